"""The variational bound, from which a learned variance learns."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import autograd.numpy as anp
import mindspore as ms
import numpy as np
from hypothesis import given

from ddpm_mindspore.accelerated.bound import bound_loss
from ddpm_mindspore.parity.examples.bound import BOUNDS, bound_cases
from ddpm_mindspore.parity.examples.values import Case, first
from ddpm_mindspore.parity.judgement.compare import check, reproducible
from ddpm_mindspore.parity.judgement.tolerance import Arrays, deep, elementwise
from ddpm_mindspore.parity.report import budget
from ddpm_mindspore.parity.sides import device
from ddpm_mindspore.reference import bound as reference
from ddpm_mindspore.reference.levels import LOG_VAR_RANGE, VLB_WEIGHT
from ddpm_mindspore.reference.training import value_and_grad

EXP = 64
"""Roundings that an exp of a small argument counts for: on a CPU up to 55."""


@first(BOUNDS)
@budget.examples(0.25)
@given(case=bound_cases())
def test_terms(case: Case) -> None:
    """the bound's term at each t with a learned variance, and its slope by what the network says"""
    terms(**case)


@reproducible
def terms(
    schedule: tuple[str, int, bool],
    t: Sequence[int],
    shape: Sequence[int],
    error: float,
    spread: float,
    vlb_weight: float,
    seed: int,
    modes: Sequence[str] = device.MODES,
) -> None:
    """``bound_loss`` of each image alone, as it counts in the loss.

    Images of 256 levels, a third of them black or white; estimates that are off by N(0, error^2);
    raw variances N(0, spread^2). In r + exp(-r) - 1 what is left may be far smaller than 1, of
    which it has the rounding errors: where devices have an expm1, it is no better.
    """
    s, rng = device.schedule(*schedule), np.random.default_rng(seed)
    grey = rng.integers(-128, 384, (len(t), 1, *shape)).clip(0, 255)
    x_0 = (grey * 2.0 / 255.0 - 1.0).astype(np.float32)
    x0_hat = x_0 + device.draw(seed, x_0.shape, error)
    raw = device.draw(seed + 1, x_0.shape, spread)
    levels = device.levels(schedule, np.array(t), vlb_weight=vlb_weight)
    for i, time in enumerate(t):
        when = np.array([time])

        def function(arrays: Arrays, when: Any = when) -> Arrays:
            def loss(part: Any) -> Any:
                log_var = reference.log_var(s, when, reference.share_of(part["raw"]))
                nats = reference.vlb_term(s, arrays["x_0"], when, arrays["x0_hat"], log_var)
                bits = reference.bits_per_dim(nats, raw[0].size)
                return vlb_weight * s.T * anp.mean(bits)

            value, slope = value_and_grad(loss, {"raw": arrays["raw"]})
            return {"loss": np.array(value), "slope": slope["raw"]}

        expected, bounds = deep(function, {"x_0": x_0[i], "x0_hat": x0_hat[i], "raw": raw[i]})
        beside_one = elementwise(EXP, 1.0) * levels[i, VLB_WEIGHT]
        bounds["loss"] += float(beside_one)
        bounds["slope"] += float(beside_one) * levels[i, LOG_VAR_RANGE] / raw[0].size
        for mode in modes:
            value, slope = device.run(mode, with_slope(), x_0[i], x0_hat[i], raw[i], levels[[i]])
            given = {"x_0": x_0[i], "x0_hat": x0_hat[i], "raw": raw[i]}
            check(f"bound at t = {time} ({mode})", value, expected["loss"], bounds["loss"], **given)
            name = f"d bound / d raw at t = {time} ({mode})"
            check(name, slope, expected["slope"], bounds["slope"], **given)


@device.remembered
def with_slope() -> Callable[..., Any]:
    """``bound_loss`` and its derivative by raw: one object, so that it is compiled once."""
    function: Callable[..., Any] = ms.value_and_grad(bound_loss, 2)
    return function
