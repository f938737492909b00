"""Clipping, Adam and AdamW, learning rates and the moving average, for given gradients."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from itertools import product
from typing import Any

import mindspore as ms
import numpy as np
from hypothesis import example, given
from mindspore import Parameter, Tensor

from ddpm_mindspore.accelerated import optimizer as accelerated
from ddpm_mindspore.accelerated.ema import power_name
from ddpm_mindspore.parity.examples.optimizers import LEFT_OUT, optimizer_cases
from ddpm_mindspore.parity.examples.values import Case
from ddpm_mindspore.parity.judgement.compare import check, reproducible
from ddpm_mindspore.parity.judgement.tolerance import Arrays, deep
from ddpm_mindspore.parity.report import budget, trace
from ddpm_mindspore.parity.sides import device
from ddpm_mindspore.parity.sides.device import Array
from ddpm_mindspore.parity.sides.network import Options, optimizer_options, training_config
from ddpm_mindspore.reference import optimizer as reference
from ddpm_mindspore.reference.ema import power_weight
from ddpm_mindspore.reference.training import TrainingConfig

SPOILED = 3
"""The update that is left out, if one is: the average is behind the parameters by then."""


@budget.examples(0.5)
@given(case=optimizer_cases())
@example(case=LEFT_OUT[0])
@example(case=LEFT_OUT[1])
def test_updates(case: Case) -> None:
    """parameters, moments and averages after a few updates"""
    updates(**case)


@reproducible
def updates(
    shapes: Sequence[Sequence[int]],
    steps: int,
    scale: float,
    optimizer: Options,
    ema_sigma_rels: Sequence[float],
    seed: int,
    pieces: bool = False,
    spoiled: str = "",
    kernels: Sequence[str] = device.KERNELS,
    modes: Sequence[str] = device.MODES,
) -> None:
    """``steps`` updates of tensors of these shapes, by gradients of about ``scale``.

    ``pieces``: the gradient is not one vector. ``spoiled``: whether in the third update there is
    no number in "loss" or "gradient", so that it is left out.
    """
    config = training_config(optimizer)
    names = [f"{i}.weight" if len(shape) > 1 else f"{i}.bias" for i, shape in enumerate(shapes)]
    starts = {
        name: device.draw(seed + i, tuple(shape))
        for i, (name, shape) in enumerate(zip(names, shapes, strict=True))
    }
    size = sum(start.size for start in starts.values())
    grads = [device.draw(seed + 100 * step, (size,), scale) for step in range(1, steps + 1)]
    inputs = starts | {f"gradient {step}": grad for step, grad in enumerate(grads, start=1)}
    function = partial(in_reference, config, names, ema_sigma_rels, spoiled != "")
    expected, bounds = deep(function, inputs)
    if not spoiled:
        trace.note(lambda: _case(config, steps, inputs, expected, bounds))
    for choice, mode in product(kernels, modes):
        with device.kernels(choice):
            found = on_device(mode, config, ema_sigma_rels, starts, grads, pieces, spoiled)
        for name, value in expected.items():
            check(f"{name} ({choice}, {mode})", found[name], value, bounds[name])


def _case(
    config: TrainingConfig,
    steps: int,
    inputs: Arrays,
    expected: Arrays,
    bounds: Mapping[str, float],
) -> tuple[Any, ...]:
    """The same without the averages, as a case of a trace."""
    options = {
        "rates": [config.learning_rate(step) for step in range(1, steps + 1)],
        "betas": list(config.adam_betas),
        "eps": config.adam_eps,
        "weight_decay": config.weight_decay,
        "max_grad_norm": config.max_grad_norm,
    }
    names = ["params", "m", "v", *(f"norm {step}" for step in range(1, steps + 1))]
    results = ({name: values[name] for name in names} for values in (expected, bounds))
    return "adam", options, inputs, *results


def in_reference(
    config: TrainingConfig,
    names: Sequence[str],
    ema_sigma_rels: Sequence[float],
    skips: bool,
    arrays: Arrays,
) -> Arrays:
    """Norms, parameters, moments and averages after an update by each gradient.

    ``skips``: but for the third, whose number counts and whose moments are of no update.
    """
    ema_options = config.ema_decay, config.ema_update_every, config.ema_update_after_step
    params = ema = {name: arrays[name] for name in names}
    ends = np.cumsum([p.size for p in params.values()])[:-1]
    powers = {power_name(sigma_rel): params for sigma_rel in ema_sigma_rels}
    m, v = reference.adam_init(params)
    results = {}
    for step in range(1, len(arrays) - len(names) + 1):
        if skips and step == SPOILED:
            continue
        parts = zip(names, np.split(arrays[f"gradient {step}"], ends), strict=True)
        grads = {name: part.reshape(params[name].shape) for name, part in parts}
        grads, norm = reference.clip_by_global_norm(grads, config.max_grad_norm)
        rate = config.learning_rate(step)
        adam = config.adam_betas, config.adam_eps, config.weight_decay
        applied = step - (skips and step > SPOILED)
        params, m, v = reference.adam_step(params, grads, m, v, applied, rate, *adam)
        ema = reference.ema_update(ema, params, reference.ema_weight(step, *ema_options))
        for name, sigma_rel in zip(powers, ema_sigma_rels, strict=True):
            weight = power_weight(step, sigma_rel)
            powers[name] = reference.ema_update(powers[name], params, weight)
        results[f"norm {step}"] = np.array(norm)
    after = {"params": params, "m": m, "v": v, "ema": ema, **powers}
    joined = {n: np.concatenate([x.ravel() for x in part.values()]) for n, part in after.items()}
    return {**results, **joined}


def on_device(
    mode: str,
    config: TrainingConfig,
    ema_sigma_rels: Sequence[float],
    starts: Arrays,
    grads: Sequence[Array],
    pieces: bool,
    spoiled: str,
) -> Arrays:
    """The same, where the parameters are those that the network itself has in the end."""
    tensors = [Parameter(Tensor(start), name=name) for name, start in starts.items()]
    options = optimizer_options(config, ema_sigma_rels)
    optimizer = accelerated.Optimizer(tensors, options)
    update = device.compiled(optimizer.update) if mode == "compiled" else optimizer.update
    results = {}
    for step, grad in enumerate(grads, start=1):
        here = spoiled if step == SPOILED else ""
        given = grad + np.float32("nan") if here == "gradient" else grad
        parts = tuple(optimizer.by_name(given).values()) if pieces else (given,)
        norm = update(
            ms.mutable(tuple(Tensor(part) for part in parts)),  # no constants of a graph
            Tensor(np.float32("nan" if here == "loss" else 0.0)),
            *accelerated.step_scalars(
                step, options, int(spoiled != "" and step > SPOILED)
            ).tensors(),
        )
        results[f"norm {step}"] = device.arrays(norm)
    own = np.concatenate([tensor.asnumpy().ravel() for tensor in tensors])
    return {**results, **optimizer.vectors(), "params": own}
