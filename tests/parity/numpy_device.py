"""A device for ``verify_trace.py``: NumPy in float32, by way of the reference.

Each function has the name of an operation of a trace, and takes its inputs and options.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any

import autograd.numpy as anp
import numpy as np

from ddpm_mindspore.reference import objective, process
from ddpm_mindspore.reference.config import UnetConfig
from ddpm_mindspore.reference.networks import layers
from ddpm_mindspore.reference.networks.unet import unet as reference_unet
from ddpm_mindspore.reference.optimizer import adam_init, adam_step, clip_by_global_norm
from ddpm_mindspore.reference.samplers import ddim
from ddpm_mindspore.reference.schedule import Schedule, make_schedule, posterior_coefficients
from ddpm_mindspore.reference.training import MicroBatch, value_and_grad

Arrays = dict[str, Any]
LAYER = "layer"


def _schedule(alpha_bar: Any) -> Schedule:
    """The tables that follow from alpha_bar; those of no use here are another schedule's."""
    coef_x0, coef_xt, var = (
        np.concatenate([[0.0], entries])
        for entries in posterior_coefficients(alpha_bar[1:], alpha_bar[:-1])
    )
    return replace(
        make_schedule("linear", len(alpha_bar) - 1),
        alpha_bar=alpha_bar,
        sqrt_alpha_bar=np.sqrt(alpha_bar),
        sqrt_one_minus_alpha_bar=np.sqrt(1.0 - alpha_bar),
        posterior_mean_coef_x0=coef_x0,
        posterior_mean_coef_xt=coef_xt,
        posterior_var=var,
        posterior_log_var=np.log(np.maximum(var, 1e-20)),
    )


def q_sample(inputs: Arrays, options: Arrays) -> Arrays:
    s = _schedule(inputs["alpha_bar"])
    return {"x_t": process.q_sample(s, inputs["x_0"], inputs["t"], inputs["noise"])}


def x0_from_eps(inputs: Arrays, options: Arrays) -> Arrays:
    s = _schedule(inputs["alpha_bar"])
    return {"x_0": process.x0_from_eps(s, inputs["x_t"], inputs["t"], inputs["eps"])}


def v_from_x0(inputs: Arrays, options: Arrays) -> Arrays:
    s = _schedule(inputs["alpha_bar"])
    return {"v": process.v_from_x0(s, inputs["x_0"], inputs["t"], inputs["eps"])}


def x0_from_v(inputs: Arrays, options: Arrays) -> Arrays:
    s = _schedule(inputs["alpha_bar"])
    return {"x_0": process.x0_from_v(s, inputs["x_t"], inputs["t"], inputs["v"])}


def simple_loss(inputs: Arrays, options: Arrays) -> Arrays:
    weight = inputs["weight"][inputs["t"]].astype(np.float32)
    loss_type = options["loss_type"]
    return {"loss": objective.simple_loss(inputs["output"], inputs["target"], weight, loss_type)}


def ddim_step(inputs: Arrays, options: Arrays) -> Arrays:
    """A walk of two steps whose second, to 0, is forgotten: its estimate is the state itself."""
    s, t, to = _schedule(inputs["alpha_bar"]), options["t"], options["s"]
    states: list[Any] = []

    def predict_x0(x_t: Any, time: Any) -> Any:
        states.append(x_t)
        return inputs["x0_hat"]

    steps = (t, to) if to else (t,)
    noise = np.stack([inputs["noise"]] * len(steps))
    last = ddim.sample(
        s, predict_x0, inputs["x_t"], timesteps=steps, eta=options["eta"], noise=noise, clip=False
    )
    return {"x_s": states[1] if to else last}


def _layer(forward: Any, inputs: Arrays) -> Arrays:
    """Output, and gradients of sum(output * cotangent) by what is of floats and no cotangent."""
    given = {n: x for n, x in inputs.items() if x.dtype == np.float32 and n != "cotangent"}
    grads = value_and_grad(lambda a: anp.sum(forward(a) * inputs["cotangent"]), given)[1]
    return {"output": forward(given), **{f"grad {name}": grad for name, grad in grads.items()}}


def conv1d(inputs: Arrays, options: Arrays) -> Arrays:
    def function(a: Arrays) -> Arrays:
        stride = 2 - a[f"{LAYER}.weight"].shape[2] % 2
        return layers.conv1d(a["x"], a[f"{LAYER}.weight"], a[f"{LAYER}.bias"], stride)

    return _layer(function, inputs)


def conv2d(inputs: Arrays, options: Arrays) -> Arrays:
    return _layer(lambda a: layers.conv(a, LAYER, a["x"]), inputs)


def linear(inputs: Arrays, options: Arrays) -> Arrays:
    return _layer(lambda a: layers.linear(a["x"], a["layer.weight"], a["layer.bias"]), inputs)


def gelu(inputs: Arrays, options: Arrays) -> Arrays:
    return _layer(lambda a: layers.gelu(a["x"]), inputs)


def rms_norm(inputs: Arrays, options: Arrays) -> Arrays:
    return _layer(lambda a: layers.rms_norm(a["x"], a["layer.g"]), inputs)


def upsample(inputs: Arrays, options: Arrays) -> Arrays:
    def forward(a: Arrays) -> Any:
        return layers.conv(a, f"{LAYER}.1", layers.upsample_nearest(a["x"]))

    return _layer(forward, inputs)


def downsample(inputs: Arrays, options: Arrays) -> Arrays:
    def forward(a: Arrays) -> Any:
        return layers.conv(a, f"{LAYER}.1", layers.pixel_unshuffle(a["x"]))

    return _layer(forward, inputs)


def sinusoidal_embedding(inputs: Arrays, options: Arrays) -> Arrays:
    dim = inputs["cotangent"].shape[1]
    return _layer(lambda a: layers.sinusoidal_embedding(a["time"], dim, options["theta"]), inputs)


def fourier_embedding(inputs: Arrays, options: Arrays) -> Arrays:
    return _layer(lambda a: layers.fourier_embedding(a["time"], a["layer.weights"]), inputs)


def block(inputs: Arrays, options: Arrays) -> Arrays:
    return _layer(lambda a: layers.block(a, LAYER, a["x"], (a["scale"], a["shift"])), inputs)


def resnet_block(inputs: Arrays, options: Arrays) -> Arrays:
    def forward(a: Arrays) -> Any:
        mask, dropout = inputs["mask"], options["dropout"]
        return layers.resnet_block(a, LAYER, a["x"], a["embedding"], mask, dropout)

    return _layer(forward, inputs)


def linear_attention(inputs: Arrays, options: Arrays) -> Arrays:
    return _layer(lambda a: layers.linear_attention(a, LAYER, a["x"]), inputs)


def attention(inputs: Arrays, options: Arrays) -> Arrays:
    return _layer(lambda a: layers.attention(a, LAYER, a["x"]), inputs)


def _network(options: Arrays) -> UnetConfig:
    tuples = {n: tuple(v) if isinstance(v, list) else v for n, v in options["net"].items()}
    return UnetConfig(**tuples)


def _masks(inputs: Arrays) -> list[Any] | None:
    return [inputs[f"mask.{i}"] for i in range(sum("mask." in n for n in inputs))] or None


def unet(inputs: Arrays, options: Arrays) -> Arrays:
    shown, masks = inputs.get("x_self_cond"), _masks(inputs)
    net, told = _network(options), inputs.get("condition")
    return {"output": reference_unet(inputs, net, inputs["x"], inputs["time"], shown, masks, told)}


def training_loss(inputs: Arrays, options: Arrays) -> Arrays:
    """As ``reference.training.training_loss``, with the weights that are given."""
    net, s = _network(options), _schedule(inputs["alpha_bar"])
    shown = inputs.get("self_cond_mask")
    batch = MicroBatch(inputs["x_0"], inputs["t"], inputs["noise"], shown, _masks(inputs))
    kind, told = options["objective"], inputs.get("condition")
    x_t = process.q_sample(s, batch.x_0, batch.t, batch.noise)
    params = {n: x for n, x in inputs.items() if x.dtype == np.float32 and n not in _OF_A_BATCH}

    def estimate() -> Any:
        first = reference_unet(params, net, x_t, batch.t - 1, condition=told)
        x0_hat = objective.x0_from_output(s, kind, x_t, batch.t, first)
        return x0_hat * shown.astype(np.float32).reshape(-1, 1, 1, 1)  # type: ignore[union-attr]

    x_self_cond = None if shown is None else estimate()

    def loss(params: Arrays) -> Any:
        output = reference_unet(params, net, x_t, batch.t - 1, x_self_cond, _masks(inputs), told)
        goal = objective.target(s, kind, batch.x_0, batch.t, batch.noise)
        weight = inputs["weight"][batch.t].astype(np.float32)
        return objective.simple_loss(output, goal, weight, options["loss_type"])

    value, grads = value_and_grad(loss, params)
    return {"loss": np.array(value), **{f"grad {name}": grad for name, grad in grads.items()}}


_OF_A_BATCH = ("x_0", "noise")


def adam(inputs: Arrays, options: Arrays) -> Arrays:
    params = {n: x for n, x in inputs.items() if not n.startswith("gradient")}
    m, v = adam_init(params)
    ends = np.cumsum([p.size for p in params.values()])[:-1]
    results: Arrays = {}
    for step, rate in enumerate(options["rates"], start=1):
        pieces = np.split(inputs[f"gradient {step}"], ends)
        pairs = zip(params.items(), pieces, strict=True)
        grads = {name: piece.reshape(p.shape) for (name, p), piece in pairs}
        grads, norm = clip_by_global_norm(grads, options["max_grad_norm"])
        update = partial(adam_step, params, grads, m, v, step, rate)
        params, m, v = update(tuple(options["betas"]), options["eps"], options["weight_decay"])
        results[f"norm {step}"] = np.array(norm)
    after = {"params": params, "m": m, "v": v}
    joined = {n: np.concatenate([x.ravel() for x in part.values()]) for n, part in after.items()}
    return {**results, **joined}
