"""What the network is asked for, and how its answer is scored."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from hypothesis import given

from ddpm_mindspore.accelerated import objective as accelerated
from ddpm_mindspore.parity.examples.objectives import (
    CONVERSIONS,
    LOSS_CASES,
    loss_cases,
    objective_cases,
)
from ddpm_mindspore.parity.examples.values import Case, first
from ddpm_mindspore.parity.judgement.compare import check, reproducible
from ddpm_mindspore.parity.judgement.tolerance import elementwise
from ddpm_mindspore.parity.report import budget, trace
from ddpm_mindspore.parity.sides import device
from ddpm_mindspore.parity.test_process import FACTORS, ROUNDINGS
from ddpm_mindspore.reference import objective as reference
from ddpm_mindspore.reference.process import gather


@first(CONVERSIONS)
@budget.examples()
@given(case=objective_cases())
def test_target(case: Case) -> None:
    """what the network should return: the noise, x_0 or v"""
    conversion(formula="target", **case)


@first(CONVERSIONS)
@budget.examples()
@given(case=objective_cases())
def test_x0_from_output(case: Case) -> None:
    """the estimate of x_0 that the network's output stands for"""
    conversion(formula="x0_from_output", **case)


@first(LOSS_CASES)
@budget.examples()
@given(case=loss_cases())
def test_simple_loss(case: Case) -> None:
    """mean error of each image, times its weight at t, mean over the batch"""
    simple_loss(**case)


# The process formula behind each: x_0 and noise are passed on as they are.
FORMULAS = {
    ("target", "pred_v"): "v_from_x0",
    ("x0_from_output", "pred_noise"): "x0_from_eps",
    ("x0_from_output", "pred_v"): "x0_from_v",
}


@reproducible
def conversion(
    formula: str,
    objective: str,
    schedule: tuple[str, int, bool],
    t: Sequence[int],
    shape: Sequence[int],
    scale: float,
    seed: int,
    modes: Sequence[str] = device.MODES,
) -> None:
    """``target`` or ``x0_from_output``: (array, t, array) to an array."""
    s, times = device.schedule(*schedule), np.array(t, np.int32)
    first, second = device.draw(seed, (2, len(t), *shape), scale)
    wide = first.astype(np.float64), second.astype(np.float64)
    expected = getattr(reference, formula)(s, objective, wide[0], times, wide[1])
    bound: Any = 0.0
    if (formula, objective) in FORMULAS:
        tables = FACTORS[FORMULAS[formula, objective]]
        with np.errstate(divide="ignore"):
            factors = [gather(table, times, wide[0]) for table in tables(s)]
        bound = elementwise(ROUNDINGS, factors[0] * wide[0], factors[1] * wide[1])
    elif objective in ("flow", "edm"):
        zeros = np.zeros_like(wide[0])
        terms = (wide[0], zeros), (zeros, wide[1])
        parts = [getattr(reference, formula)(s, objective, a, times, b) for a, b in terms]
        bound = elementwise(ROUNDINGS, *parts)
    function = getattr(accelerated, formula)
    levels = device.levels(schedule, times, objective=objective)
    for mode in modes:
        actual = device.run(mode, function, first, levels, second)
        name = f"{formula} {objective} ({mode})"
        check(name, actual, expected, bound, t=t, first=first, second=second)


@device.remembered
def on_device(loss_type: str) -> Callable[..., Any]:
    """The device's loss of this type: one object, so that it is compiled once."""
    return accelerated.simple_loss(loss_type)


@reproducible
def simple_loss(
    schedule: tuple[str, int, bool],
    objective: str,
    loss_type: str,
    weight: Mapping[str, Any],
    t: Sequence[int],
    shape: Sequence[int],
    scale: float,
    seed: int,
    modes: Sequence[str] = device.MODES,
) -> None:
    """``simple_loss(output, target, levels)`` with the weights of ``loss_weight``.

    No term is negative, so that relative errors add up to no more than the roundings on the way:
    three in the error of a pixel (four for Huber, whose |d| - 1/2 doubles that of |d|: eight), one
    for each further summand, and one each for the weight, its product and the two in the mean.
    """
    s, times = device.schedule(*schedule), np.array(t, np.int32)
    output, target = device.draw(seed, (2, len(t), *shape), scale)
    table = reference.loss_weight(s, objective, **weight)
    wide = output.astype(np.float64), target.astype(np.float64)
    expected = reference.simple_loss(*wide, table[times], loss_type)
    roundings = 8 + int(np.prod(shape)) + len(t) + 4
    bound = elementwise(roundings, expected)
    inputs = {"output": output, "target": target, "t": times, "weight": table}
    results = {"loss": expected}, {"loss": bound}
    trace.note(lambda: ("simple_loss", {"loss_type": loss_type}, inputs, *results))
    levels = device.levels(schedule, times, objective=objective, **weight)
    function = on_device(loss_type)
    for mode in modes:
        loss = device.run(mode, function, output, target, levels)
        name = f"simple_loss {loss_type} ({mode})"
        check(name, loss, expected, bound, t=t, weights=table[times], output=output, target=target)
