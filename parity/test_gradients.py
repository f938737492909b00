"""The gradient of the training loss by every parameter of the network."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from functools import partial
from typing import Any

import mindspore as ms
import numpy as np
from hypothesis import given

from ddpm_mindspore.accelerated.networks.network import Network
from ddpm_mindspore.parity.examples.training import GRADIENTS, gradient_cases
from ddpm_mindspore.parity.examples.values import Case, first
from ddpm_mindspore.parity.judgement.compare import check, reproducible
from ddpm_mindspore.parity.judgement.explain import explained
from ddpm_mindspore.parity.judgement.tolerance import Arrays, deep
from ddpm_mindspore.parity.judgement.training_divergence import of_gradients
from ddpm_mindspore.parity.report import budget, trace
from ddpm_mindspore.parity.sides import device, network
from ddpm_mindspore.parity.sides.network import Options, Schedule
from ddpm_mindspore.reference.config.diffusion import PREDICTIONS
from ddpm_mindspore.reference.objective import loss_weight
from ddpm_mindspore.reference.training import TrainingConfig, training_loss, value_and_grad


@first(GRADIENTS)
@budget.examples(0.1)
@given(case=gradient_cases())
def test_gradients(case: Case) -> None:
    """the loss and its gradient by every parameter, one operator at a time"""
    gradients(**case, modes=("eager",))


@budget.examples(0.05)
@given(case=gradient_cases())
def test_gradients_compiled(case: Case) -> None:
    """the loss and its gradient by every parameter, as one graph that is used twice"""
    gradients(**case, draws=2, modes=("compiled",))


@reproducible
def gradients(
    net: Options,
    size: Sequence[int],
    schedule: Schedule,
    t: Sequence[float],
    loss: Mapping[str, Any],
    seed: int,
    draws: int = 1,
    modes: Sequence[str] = device.MODES,
) -> None:
    """``training_loss`` with the options ``loss`` of ``TrainingConfig``.

    One network is given the parameters and images of the seeds ``seed``, ``seed + 1``, ... in turn,
    ``draws`` of them.
    """
    config = TrainingConfig(**loss)
    for number in range(seed, seed + draws):
        params, batch = network.parameters(net, number), network.batch(net, size, t, number)
        expected, bounds = deep(_reference(net, schedule, config, batch), params)
        function = _gradient(network.network(net), config)
        names = [p.name for p in network.network(net).trainable_params()]
        is_unet = "kind" not in net  # whose layers are known one by one
        if is_unet and not network.config_of(net).learned_variance:
            _note(net, schedule, config, batch, params, names, expected, bounds)
        search = partial(of_gradients, net, number, schedule, config, batch)
        with explained(search) if is_unet else nullcontext():
            for mode in modes:
                call = device.compiled(function) if mode == "compiled" else function
                value, grads = device.arrays(call(*batch.on_device(schedule, config).tensors()))
                check(f"training loss ({mode})", value, expected["loss"], bounds["loss"])
                for name, grad in zip(names, grads, strict=True):
                    check(f"d loss / d {name} ({mode})", grad, expected[name], bounds[name])


def _note(
    net: Options,
    schedule: Schedule,
    config: TrainingConfig,
    batch: network.Batch,
    params: Arrays,
    names: Sequence[str],
    expected: Arrays,
    bounds: Mapping[str, float],
) -> None:
    """The same as a case of a trace, where one is recorded: of whole t, on x_t as it is."""
    if batch.t.dtype.kind == "f" or config.objective not in PREDICTIONS:
        return
    given = {"x_0": batch.x_0, "t": batch.t, "noise": batch.noise}
    given |= {"self_cond_mask": batch.self_cond_mask} if net.get("self_condition") else {}
    given |= {f"mask.{i}": mask for i, mask in enumerate(batch.masks or [])}
    given |= {} if batch.condition is None else {"condition": batch.condition}
    tables = device.schedule(*schedule)
    weight = loss_weight(
        tables,
        config.objective,
        **config.weight_rule,
    )
    constants = {"alpha_bar": tables.alpha_bar, "weight": weight}
    options = {
        "net": dict(net),
        "objective": config.objective,
        "loss_type": config.loss_type,
    }
    results = (
        {"loss": v["loss"], **{f"grad {n}": v[n] for n in names}} for v in (expected, bounds)
    )
    inputs = {**constants, **given, **params}
    trace.note(lambda: ("training_loss", options, inputs, *results))


@device.remembered
def _gradient(net: Network, config: TrainingConfig) -> Callable[..., Any]:
    compute = network.loss(net, config)
    gradient: Callable[..., Any] = ms.value_and_grad(compute, None, net.trainable_params())
    return gradient


def _reference(
    net: Options, schedule: Schedule, config: TrainingConfig, batch: network.Batch
) -> Callable[[Arrays], Arrays]:
    def function(params: Arrays) -> Arrays:
        dtype = next(iter(params.values())).dtype
        config_of_net = network.config_of(net)
        compute = partial(
            training_loss,
            config=config,
            net=config_of_net,
            schedule=device.schedule(*schedule),
            batch=batch.in_reference(dtype, config_of_net.self_condition),
        )
        value, grads = value_and_grad(compute, params)
        return {"loss": np.array(value), **grads}

    return function
