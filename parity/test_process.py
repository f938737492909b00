"""The forward process, and the conversions between x_0, eps and v."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from hypothesis import given

from ddpm_mindspore.accelerated import objective, process
from ddpm_mindspore.parity.examples.schedules import process_cases
from ddpm_mindspore.parity.examples.values import Case
from ddpm_mindspore.parity.judgement.compare import check, reproducible
from ddpm_mindspore.parity.judgement.tolerance import elementwise
from ddpm_mindspore.parity.report import budget, trace
from ddpm_mindspore.parity.sides import device
from ddpm_mindspore.parity.sides.device import Array
from ddpm_mindspore.reference import process as reference
from ddpm_mindspore.reference.process import gather
from ddpm_mindspore.reference.schedule import Schedule

# Every formula here is a sum of two products. A coefficient is rounded once from its float64 value,
# and then there is one rounding in the product and one in the sum: three on the way of each term.
ROUNDINGS = 3


@budget.examples()
@given(case=process_cases())
def test_q_sample(case: Case) -> None:
    """x_t = sqrt(alpha_bar_t) x_0 + sqrt(1 - alpha_bar_t) noise"""
    two_terms(formula="q_sample", **case)


@budget.examples()
@given(case=process_cases("pred_noise"))
def test_x0_from_eps(case: Case) -> None:
    """x_0 = (x_t - sqrt(1 - alpha_bar_t) eps) / sqrt(alpha_bar_t)"""
    two_terms(formula="x0_from_eps", **case)


@budget.examples()
@given(case=process_cases())
def test_v_from_x0(case: Case) -> None:
    """v = sqrt(alpha_bar_t) eps - sqrt(1 - alpha_bar_t) x_0"""
    two_terms(formula="v_from_x0", **case)


@budget.examples()
@given(case=process_cases())
def test_x0_from_v(case: Case) -> None:
    """x_0 = sqrt(alpha_bar_t) x_t - sqrt(1 - alpha_bar_t) v"""
    two_terms(formula="x0_from_v", **case)


NAMES = {
    "q_sample": ("x_0", "noise", "x_t"),
    "x0_from_eps": ("x_t", "eps", "x_0"),
    "v_from_x0": ("x_0", "eps", "v"),
    "x0_from_v": ("x_t", "v", "x_0"),
}
"""What the first and the second array are, and the result."""

FACTORS: dict[str, Callable[[Schedule], tuple[Array, Array]]] = {
    "q_sample": lambda s: (s.sqrt_alpha_bar, s.sqrt_one_minus_alpha_bar),
    "x0_from_eps": lambda s: (1.0 / s.sqrt_alpha_bar, s.snr**-0.5),
    "v_from_x0": lambda s: (s.sqrt_one_minus_alpha_bar, s.sqrt_alpha_bar),
    "x0_from_v": lambda s: (s.sqrt_alpha_bar, s.sqrt_one_minus_alpha_bar),
}
"""What the first and the second array are multiplied by, up to the sign."""


ON_DEVICE = {
    "q_sample": (process, "q_sample", "pred_v"),
    "x0_from_eps": (objective, "x0_from_output", "pred_noise"),
    "v_from_x0": (objective, "target", "pred_v"),
    "x0_from_v": (objective, "x0_from_output", "pred_v"),
}
"""Where the device's function is, and for which objective it computes the formula."""


@reproducible
def two_terms(
    formula: str,
    schedule: tuple[str, int, bool],
    t: Sequence[int],
    shape: Sequence[int],
    scale: float,
    seed: int,
    modes: Sequence[str] = device.MODES,
) -> None:
    """``formula(array, t, array)`` of ``reference.process``, and what the device does for it."""
    s, times = device.schedule(*schedule), np.array(t, np.int32)
    first, second = device.draw(seed, (2, len(t), *shape), scale)
    wide = first.astype(np.float64), second.astype(np.float64)
    expected = getattr(reference, formula)(s, wide[0], times, wide[1])
    with np.errstate(divide="ignore"):
        factors = [gather(table, times, wide[0]) for table in FACTORS[formula](s)]
    bound = elementwise(ROUNDINGS, factors[0] * wide[0], factors[1] * wide[1])
    one, other, result = NAMES[formula]
    inputs = {"alpha_bar": s.alpha_bar, "t": times, one: first, other: second}
    trace.note(lambda: (formula, {}, inputs, {result: expected}, {result: bound}))
    module, name, of = ON_DEVICE[formula]
    function = getattr(module, name)
    levels = device.levels(schedule, times, objective=of)
    for mode in modes:
        actual = device.run(mode, function, first, levels, second)
        check(f"{formula} ({mode})", actual, expected, bound, t=t, first=first, second=second)
