"""Whole training steps: loss, gradient, accumulation, clipping, Adam and the moving average."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from functools import partial

import numpy as np
from hypothesis import given

from ddpm_mindspore.accelerated.networks.network import Network
from ddpm_mindspore.accelerated.optimizer import Optimizer
from ddpm_mindspore.accelerated.system.distributed import GradientReducer
from ddpm_mindspore.accelerated.training import TrainStep
from ddpm_mindspore.parity.examples.training import training_cases
from ddpm_mindspore.parity.examples.values import Case
from ddpm_mindspore.parity.judgement.compare import check, reproducible
from ddpm_mindspore.parity.judgement.explain import explained
from ddpm_mindspore.parity.judgement.tolerance import Arrays, deep
from ddpm_mindspore.parity.judgement.training_divergence import of_training
from ddpm_mindspore.parity.report import budget
from ddpm_mindspore.parity.sides import device, network
from ddpm_mindspore.parity.sides.device import Array
from ddpm_mindspore.parity.sides.network import Batch, Options, Schedule
from ddpm_mindspore.reference.training import TrainingConfig, initial_state, training_step


@budget.examples(0.05)
@given(case=training_cases())
def test_steps(case: Case) -> None:
    """loss, norm, parameters, moments and average over a few steps, one operator at a time"""
    steps(**case, modes=("eager",))


@budget.examples(0.05)
@given(case=training_cases())
def test_steps_compiled(case: Case) -> None:
    """loss, norm, parameters, moments and average over a few steps, as graphs used twice"""
    steps(**case, draws=2, modes=("compiled",))


@reproducible
def steps(
    net: Options,
    size: Sequence[int],
    batch: int,
    accumulate: int,
    count: int,
    schedule: Schedule,
    training: Options,
    seed: int,
    scale: float = 0.0,
    spoiled: Sequence[int] = (),
    draws: int = 1,
    modes: Sequence[str] = device.MODES,
) -> None:
    """``count`` steps of ``accumulate`` micro-batches; ``training``: of ``TrainingConfig``.

    ``scale``: of the loss, if it is scaled; ``spoiled``: the steps that have a NaN in an image.
    The same is done from the parameters and with the images of the seeds ``seed``, ``seed + 1``,
    ... in turn, ``draws`` of them.
    """
    config = network.training_config(training)
    for number in range(seed, seed + draws):
        params = network.parameters(net, number)
        shape = (count, accumulate, batch)
        batches = network.steps_of_batches(net, size, schedule, shape, number)
        for step in spoiled:
            batches[step - 1][0].x_0.flat[0] = np.nan
        expected, bounds = deep(in_reference(net, schedule, config, batches), params)
        update = (net, number, schedule, config, batches[0][0], count, accumulate)
        with explained(partial(of_training, *update)) if "kind" not in net else nullcontext():
            for mode in modes:
                with device.eager() if mode == "eager" else nullcontext():
                    actual = on_device(net, schedule, config, batches, params, scale)
                for name, value in actual.items():
                    check(f"{name} ({mode})", value, expected[name], bounds[name])


def in_reference(
    net: Options, schedule: Schedule, config: TrainingConfig, batches: Sequence[Sequence[Batch]]
) -> Callable[[Arrays], Arrays]:
    """Losses, norms, and parameters, moments and average after the steps, by parameter."""
    unet, tables = network.config_of(net), device.schedule(*schedule)

    def function(params: Arrays) -> Arrays:
        dtype = next(iter(params.values())).dtype
        state = initial_state(params)
        results: Arrays = {}
        for i, micro in enumerate(batches, start=1):
            inputs = [b.in_reference(dtype, unet.self_condition) for b in micro]
            state, loss, norm = training_step(state, config, unet, tables, inputs)
            results |= _numbers(i, np.array(loss), np.array(norm))
        for part in ("params", "m", "v", "ema"):
            results |= {f"{part} of {n}": x for n, x in getattr(state, part).items()}
        return results

    return function


def on_device(
    net: Options,
    schedule: Schedule,
    config: TrainingConfig,
    batches: Sequence[Sequence[Batch]],
    params: Arrays,
    scale: float = 0.0,
) -> Arrays:
    """The same, for the parameters that are trained."""
    accumulate = len(batches[0])
    step, optimizer = train_step(network.network(net), config, accumulate, scale > 0)
    restore(network.network(net), optimizer, params)
    results: Arrays = {}
    for i, micro in enumerate(batches, start=1):
        skipped = sum(int(results[f"left out {j}"]) for j in range(1, i))
        scalars = network.step_scalars(config, i, skipped=skipped)
        given = [b.on_device(schedule, config) for b in micro]
        loss, norm = device.arrays(step(given, scalars, scale))
        results |= _numbers(i, loss, norm)
    return results | state_by_name(optimizer)


def restore(net: Network, optimizer: Optimizer, params: Arrays) -> None:
    """Let training begin from these parameters."""
    # The optimizer has to give them to the network.
    nothing = {p.name: np.zeros_like(params[p.name]) for p in net.trainable_params()}
    net.load_arrays(params | nothing)
    start = optimizer.as_vector(params)
    zeros = np.zeros_like(start)
    optimizer.restore({"params": start, "m": zeros, "v": zeros, "ema": start})


def state_by_name(optimizer: Optimizer) -> Arrays:
    """Parameters, moments and average, "m of init_conv.weight" and so on."""
    return {
        f"{part} of {name}": piece
        for part, vector in optimizer.vectors().items()
        for name, piece in optimizer.by_name(vector).items()
    }


def _numbers(step: int, loss: Array, norm: Array) -> Arrays:
    """Whether a step was left out, and if not its loss and norm."""
    if not np.isfinite(loss + norm):
        return {f"left out {step}": np.array(1.0)}
    return {f"left out {step}": np.array(0.0), f"loss {step}": loss, f"norm {step}": norm}


@device.remembered
def train_step(
    net: Network,
    config: TrainingConfig,
    accumulate: int,
    scaled: bool = False,
    reducer: GradientReducer | None = None,
) -> tuple[TrainStep, Optimizer]:
    """The device's step, and the optimizer that it updates."""
    optimizer = Optimizer(net.trainable_params(), network.optimizer_options(config))
    loss = network.loss(net, config)
    return TrainStep(loss, optimizer, accumulate, reducer, scaled), optimizer
