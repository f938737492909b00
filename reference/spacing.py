"""Which times a sampler stops at: n of them from T down, and after the last one t = 0.

The table that is made here is the only source of where a step goes: each leads from one time to the
next, the last to 0. Whatever the spacing, the first time is T, where the walk begins, all are at
least 1, which is the least that a network is trained with, and no two are equal.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import TypeAlias

import numpy as np

from .config.samplers import SPACINGS
from .plain import check_choice
from .schedule import Schedule, Table, log_snr_at, spaced_timesteps, time_of

Times: TypeAlias = tuple[float, ...]

KARRAS_RHO = 7.0
"""2206.00364, section 3: the larger, the shorter the steps where there is little noise."""


def make_timesteps(schedule: Schedule, n: int, spacing: str | Sequence[float] = "uniform") -> Times:
    """The times of n steps, descending from T.

    With i = 0..n-1, whole numbers by

        uniform     floor(T - i T / n)
        trailing    the same, rounded to the nearest (2305.08891, table 2)
        leading     1 + (n - 1 - i) floor(T / n), but for the first, which is T (2305.08891, table
                    2, lets the walk begin below T, as if its start were less noisy than it is)
        linspace    T - i (T - 1) / (n - 1), rounded to the nearest: both ends, T and 1

    and real numbers by

        quadratic   (sqrt(T) - i (sqrt(T) - 1) / (n - 1))^2 (after 2010.02502, appendix D.2)
        log_snr     evenly in log(signal / noise) from T to 1 (2206.00927, section 3.4)
        karras      evenly in (noise / signal)^(1/7) from T to 1 (2206.00364, eq. 5)

    At zero terminal SNR the last two, whose quantities are infinite at T, are computed from T - 1,
    and T takes the place of their first.

    Args:
        schedule: the schedule.
        n: how many; for times that are given it has to be their number.
        spacing: one of SPACINGS, or the times themselves: strictly descending within T..1.

    Raises ValueError unless 1 <= n <= T, for an unknown spacing, and for given times that are no
    such table.
    """
    T = schedule.T
    even = spaced_timesteps(T, n)  # raises ValueError for an n that is none
    if not isinstance(spacing, str):
        return _given(T, n, spacing)
    check_choice("spacing", spacing, SPACINGS)
    if spacing == "uniform" or n == 1:
        return even
    return _RULES[spacing](schedule, n)


def _given(T: int, n: int, times: Sequence[float]) -> Times:
    whole = tuple(int(t) if t == int(t) else float(t) for t in times)
    check_timesteps(T, whole)
    if len(whole) != n:
        raise ValueError(f"{n} steps were asked for, and {len(whole)} times given: leave one out")
    return whole


def check_timesteps(T: int, times: Sequence[float]) -> None:
    """Raise ValueError unless times descend strictly within T..1."""
    inside = len(times) > 0 and times[0] <= T and times[-1] >= 1
    if not inside or not all(t > s for t, s in pairwise(times)):
        raise ValueError(
            f"timesteps {times!r} do not descend strictly from at most {T} to at least 1: use "
            "spacing.make_timesteps(schedule, n)"
        )


def _trailing(schedule: Schedule, n: int) -> Times:
    return tuple(_nearest(i * schedule.T, n) for i in range(n, 0, -1))


def _leading(schedule: Schedule, n: int) -> Times:
    stride = schedule.T // n
    return (schedule.T, *(1 + i * stride for i in range(n - 2, -1, -1)))


def _linspace(schedule: Schedule, n: int) -> Times:
    return tuple(1 + _nearest(i * (schedule.T - 1), n - 1) for i in range(n - 1, -1, -1))


def _quadratic(schedule: Schedule, n: int) -> Times:
    return _ends(schedule, np.linspace(np.sqrt(schedule.T), 1.0, n) ** 2)


def _log_snr(schedule: Schedule, n: int) -> Times:
    first, last = log_snr_at(schedule, [_finite_end(schedule), 1])
    return _ends(schedule, time_of(schedule, np.linspace(first, last, n)))


def _karras(schedule: Schedule, n: int) -> Times:
    root = np.exp(-log_snr_at(schedule, [_finite_end(schedule), 1]) / KARRAS_RHO)
    ramp = np.linspace(root[0], root[1], n)
    return _ends(schedule, time_of(schedule, -KARRAS_RHO * np.log(ramp)))


_RULES: dict[str, Callable[[Schedule, int], Times]] = {
    "trailing": _trailing,
    "leading": _leading,
    "linspace": _linspace,
    "quadratic": _quadratic,
    "log_snr": _log_snr,
    "karras": _karras,
}


def _nearest(numerator: int, denominator: int) -> int:
    """numerator / denominator, rounded to the nearest whole number, halves up, without error."""
    return (2 * numerator + denominator) // (2 * denominator)


def _finite_end(schedule: Schedule) -> int:
    """The largest t with a finite log(signal / noise), if it is not below 1."""
    return max(1, schedule.T - 1) if schedule.zero_terminal_snr else schedule.T


def _ends(schedule: Schedule, times: Table) -> Times:
    """With T and 1 at the ends, exactly."""
    return (schedule.T, *map(float, times[1:-1]), 1)
