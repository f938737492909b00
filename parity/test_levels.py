"""What depends on the time alone, as the device reads it."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import numpy as np
from hypothesis import given

from ddpm_mindspore.accelerated import process as accelerated
from ddpm_mindspore.parity.examples.schedules import LEVELS, level_cases
from ddpm_mindspore.parity.examples.values import Case, first
from ddpm_mindspore.parity.judgement.compare import check, reproducible
from ddpm_mindspore.parity.judgement.tolerance import elementwise
from ddpm_mindspore.parity.report import budget
from ddpm_mindspore.parity.sides import device
from ddpm_mindspore.parity.sides.device import Array
from ddpm_mindspore.reference import objective as reference
from ddpm_mindspore.reference.bound import bits_per_dim, log_var
from ddpm_mindspore.reference.config.diffusion import SIGMA_DATA
from ddpm_mindspore.reference.levels import COLUMNS
from ddpm_mindspore.reference.preconditioning import network_input, s_at
from ddpm_mindspore.reference.process import q_sample
from ddpm_mindspore.reference.schedule import Schedule


@first(LEVELS)
@budget.examples()
@given(case=level_cases())
def test_columns(case: Case) -> None:
    """every factor of the process and of the objective at t, as one number for each image"""
    columns(**case)


@reproducible
def columns(
    schedule: tuple[str, int, bool],
    t: Sequence[float],
    objective: str,
    sigma_data: float = SIGMA_DATA,
    modes: Sequence[str] = device.MODES,
) -> None:
    """Every column of ``levels`` on the device, against what the reference's formulas do with 1."""
    times = np.array(t)
    levels = device.levels(schedule, times, objective=objective, sigma_data=sigma_data)
    like = np.zeros((len(t), 1, 1, 1), np.float32)
    s = device.schedule(*schedule)
    expected = [x.reshape(like.shape) for x in definitions(s, objective, times, sigma_data)]
    for mode in modes:
        read = device.run(mode, _columns, levels, like)
        for name, column, truth in zip(COLUMNS, read, expected, strict=True):
            # Rounded once from float64, and then only moved.
            check(f"{name} ({mode})", column, truth, elementwise(1, truth), t=t)


def _columns(levels, like):  # type: ignore[no-untyped-def]
    return tuple(accelerated.column(levels, which, like) for which in range(len(COLUMNS)))


def definitions(s: Schedule, objective: str, t: Array, sigma_data: float) -> list[Array]:
    """The columns, of formulas that are linear in their arrays: what they make of 1 and 0."""
    one, zero = np.ones((len(t), 1)), np.zeros((len(t), 1))
    target = partial(reference.target, s, objective, sigma_data=sigma_data)
    estimate = partial(reference.x0_from_output, s, objective, sigma_data=sigma_data)
    seen = network_input(s, objective, one, t, sigma_data)
    weight = np.ones(len(t))
    if objective == "x0_v_loss":
        weight = np.maximum(s_at(s, t), 0.05) ** -2.0
    columns = [
        *(t - 1.0, q_sample(s, one, t, zero), q_sample(s, zero, t, one)),
        *(seen, estimate(one, t, zero), estimate(zero, t, one)),
        *(target(one, t, zero), target(zero, t, one), weight),
        *bounds(s, np.ceil(t).astype(int)),
    ]
    return [np.asarray(column) for column in columns]


def bounds(s: Schedule, step: Array) -> list[Array]:
    """What the bound needs: its weight, where the decoder is, 1 / deviation, range and drop."""
    one, zero = np.ones((len(step), 1)), np.zeros((len(step), 1))
    lowest, highest = (log_var(s, step, share) for share in (zero, one))
    last = step == 1
    var = np.where(last, np.inf, s.posterior_var[step])
    drop = s.posterior_mean_coef_x0[step] ** 2 / var
    weight = 0.001 * bits_per_dim(s.T * one, 1)
    return [weight, last, np.exp(-lowest / 2), highest - lowest, drop]
