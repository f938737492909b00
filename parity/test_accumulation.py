"""Gradient accumulation: k micro-batches do what one batch of k times the size does."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext

import numpy as np
from hypothesis import given

from ddpm_mindspore.parity.examples.training import accumulation_cases
from ddpm_mindspore.parity.examples.values import Case
from ddpm_mindspore.parity.judgement.compare import check, reproducible
from ddpm_mindspore.parity.judgement.explain import explained
from ddpm_mindspore.parity.judgement.tolerance import deep
from ddpm_mindspore.parity.judgement.training_divergence import of_training
from ddpm_mindspore.parity.report import budget
from ddpm_mindspore.parity.sides import device, network
from ddpm_mindspore.parity.sides.network import Batch, Options, Schedule
from ddpm_mindspore.parity.test_training import in_reference, on_device


@budget.examples(0.05)
@given(case=accumulation_cases())
def test_accumulation(case: Case) -> None:
    """micro-batches on the device, against one large batch in the reference and on the device"""
    accumulation(**case, modes=("eager",))


@reproducible
def accumulation(
    net: Options,
    size: Sequence[int],
    batch: int,
    accumulate: int,
    count: int,
    schedule: Schedule,
    training: Options,
    seed: int,
    modes: Sequence[str] = device.MODES,
) -> None:
    """``count`` steps, each with ``accumulate`` micro-batches of ``batch`` images, or with all."""
    config = network.training_config(training)
    params = network.parameters(net, seed)
    micro = network.steps_of_batches(net, size, schedule, (count, accumulate, batch), seed)
    large = [[_joined(step)] for step in micro]
    expected, bounds = deep(in_reference(net, schedule, config, large), params)
    first = micro[0][0]
    with explained(lambda: of_training(net, seed, schedule, config, first, count, accumulate)):
        for mode in modes:
            with device.eager() if mode == "eager" else nullcontext():
                parts = on_device(net, schedule, config, micro, params)
                whole = on_device(net, schedule, config, large, params)
            for name, value in parts.items():
                bound = bounds[name]
                check(f"{name}, micro-batches ({mode})", value, expected[name], bound)
                check(f"{name}, one batch ({mode})", whole[name], expected[name], bound)
                check(f"{name}, one against the other ({mode})", value, whole[name], bound)


def _joined(batches: Sequence[Batch]) -> Batch:
    """All images of some batches as one."""
    masks = [batch.masks for batch in batches if batch.masks is not None]
    return Batch(
        x_0=np.concatenate([batch.x_0 for batch in batches]),
        t=np.concatenate([batch.t for batch in batches]),
        noise=np.concatenate([batch.noise for batch in batches]),
        self_cond_mask=np.concatenate([batch.self_cond_mask for batch in batches]),
        masks=[np.concatenate(parts) for parts in zip(*masks, strict=True)] or None,
    )
