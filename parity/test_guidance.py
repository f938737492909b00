"""Guidance: how two estimates become one, and whole walks that are guided."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from functools import partial
from typing import Any

import numpy as np
from hypothesis import given
from mindspore import Tensor

from ddpm_mindspore.accelerated import guidance as accelerated
from ddpm_mindspore.parity.examples.guidance import FIXED, combination_cases, guided_cases
from ddpm_mindspore.parity.examples.values import Case, first
from ddpm_mindspore.parity.judgement.compare import check, reproducible
from ddpm_mindspore.parity.judgement.tolerance import Arrays, deep
from ddpm_mindspore.parity.report import budget
from ddpm_mindspore.parity.sides import device, door_device
from ddpm_mindspore.parity.sides import door as reference
from ddpm_mindspore.parity.sides.device import Array
from ddpm_mindspore.parity.sides.door import Door, Options
from ddpm_mindspore.reference.config import SamplingConfig
from ddpm_mindspore.reference.denoiser import Denoiser
from ddpm_mindspore.reference.guidance import (
    ANYWHERE,
    classifier_guided,
    inside,
    less_parallel,
    rescaled,
    shortened,
)

SHAPE = (3, 2, 2, 3)


@budget.examples(0.5)
@given(case=combination_cases())
def test_combined(case: Case) -> None:
    """two estimates become one: scale, rescaling, projection, norm and momentum"""
    combined(**case)


@first(FIXED)
@budget.examples(0.1)
@given(case=guided_cases())
def test_walk(case: Case) -> None:
    """walks guided by a class, by a weaker network, by a classifier, in an interval"""
    walk(**case)


@reproducible
def combined(
    options: Options, scale: float, seed: int, modes: Sequence[str] = device.MODES
) -> None:
    """``options``: of ``SamplingConfig``; ``scale``: of the estimates."""
    config = SamplingConfig(**options)
    names = ("x0_hat", "other", "running")
    inputs = {name: device.draw(seed + i, SHAPE, scale) for i, name in enumerate(names)}

    def function(arrays: Arrays) -> Arrays:
        x0_hat, other, running = (arrays[name] for name in names)
        change = x0_hat - other + config.guidance_momentum * running
        norm = np.inf if config.guidance_norm is None else config.guidance_norm
        moved = less_parallel(shortened(change, norm), x0_hat, config.guidance_parallel)
        estimate = x0_hat + (config.cond_scale - 1.0) * moved
        return {
            "guided": rescaled(estimate, x0_hat, config.guidance_rescale),
            "running": change,
        }

    expected, bounds = deep(function, inputs)
    numbers = np.array(accelerated.numbers_of(config), np.float32)
    for mode in modes:
        results = device.run(mode, on_device, *inputs.values(), *numbers)
        for name, actual in zip(expected, results, strict=True):
            check(f"{name} ({mode})", actual, expected[name], bounds[name])


def on_device(x0_hat, other, running, *numbers):  # type: ignore[no-untyped-def]
    return accelerated.combined(x0_hat, other, running, numbers)


@reproducible
def walk(
    net: Options,
    size: tuple[int, int],
    diffusion: Options,
    by: str,
    options: Options,
    count: int,
    params: int,
    modes: Sequence[str] = ("compiled",),
) -> None:
    """``count`` images of classes 0, 1, 2, ...; ``by``: "class", "weak" or "classifier"."""
    door = door_device.door(net, diffusion, {}, size)
    made = door_device.diffusion(door, seed=5)
    values, others = (door_device.parameters(door, params + i) for i in (0, 1))
    made.model.load_arrays(values)
    classes = None if door.net.num_classes is None else np.arange(count) % door.net.num_classes
    wanted = device.draw(params, door.shape)
    help_by: dict[str, Any] = {}
    if by == "weak":
        help_by["weak"] = door_device.diffusion(door).model
        help_by["weak"].load_arrays(others)
    elif by == "classifier":
        help_by["classifier"] = partial(log_probability, Tensor(wanted))

    def function(arrays: Arrays) -> Arrays:
        own = {name: arrays[name] for name in values}
        weak = {name: arrays[f"weak {name}"] for name in values}
        guide = partial(guided_by, door, by, options, weak, wanted)
        drawn = range(count)
        states = reference.sample(door, own, 5, drawn, classes=classes, guide=guide)
        return {f"state {i}": states[:, i] for i in range(states.shape[1])}

    weaker = {f"weak {name}": value for name, value in others.items()}
    expected, bounds = deep(function, {**values, **weaker})
    asked: dict[str, Any] = {"num_samples": count, "classes": classes, "return_all_timesteps": True}
    for mode in modes:
        with device.eager() if mode == "eager" else nullcontext():
            actual = made.sample(2, **asked, **help_by, **options)
        check(f"how many states ({mode})", actual.shape[1], len(expected), 0.0)
        for i, (name, images) in enumerate(expected.items()):
            check(f"{name}, guided by {by} ({mode})", actual[:, i], images, bounds[name])


def log_probability(wanted: Tensor, x_t: Tensor, t: Tensor) -> Tensor:
    """Of a classifier that wants what is near: - t ||x_t - wanted||^2 / 100."""
    apart = x_t - wanted
    return -0.01 * t * (apart * apart).reshape(x_t.shape[0], -1).sum(1)


def guided_by(
    door: Door, by: str, options: Options, weak: Arrays, wanted: Array, alone: Denoiser
) -> Denoiser:
    """The reference's estimate, guided."""
    config, schedule = SamplingConfig(**options), door.schedule
    interval = config.guidance_interval or ANYWHERE
    if by != "classifier":
        guide = reference.class_guide(door, config, weak if by == "weak" else None)
        return alone if guide is None else guide(alone)

    def gradient(x_t: Array, t: Array) -> Array:
        factor = -0.02 * np.asarray(t).reshape(-1, *(1,) * (x_t.ndim - 1))
        by_x: Array = factor.astype(x_t.dtype) * (x_t - wanted.astype(x_t.dtype))
        return by_x

    by_class = classifier_guided(alone, schedule, gradient, config.cond_scale)

    def predict(x_t: Array, t: Array, condition: Any = None, *shown: Any) -> Array:
        chosen = by_class if inside(schedule, t, interval) else alone
        return chosen(x_t, t, condition, *shown)

    return predict
