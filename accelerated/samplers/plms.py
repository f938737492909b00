"""PLMS as a plan; ``reference/samplers/plms.py`` states it."""

from __future__ import annotations

from collections.abc import Sequence

from ...reference.samplers.common import Level, walk_down
from ...reference.samplers.plms import HISTORY
from ...reference.samplers.polynomial import mean_weights
from ...reference.schedule import Schedule
from .euler import euler_row
from .plan import Plan, Row, plan_of_rows


def plms_plan(schedule: Schedule, timesteps: Sequence[float]) -> Plan:
    """Pseudo linear multistep (arXiv 2202.09778, eqs. 11 to 13), in estimates of the noise.

    The improved Euler step at the beginning has two rows, of which the second keeps nothing.
    """
    rows, times = list[Row](), list[float]()
    for t, s in walk_down(schedule, timesteps):
        times = [t.t, *times][:HISTORY]
        if len(times) > 1:
            of_x = s.signal / t.signal
            of_eps = s.noise - of_x * t.noise
            weights = [of_eps * weight for weight in mean_weights(times, t.t, s.t)]
            rows.append(eps_row(t, of_x, weights))
            continue
        rows.append(euler_row(t, s)._replace(kept=eps_of(t)))
        if s.t > 0 and t.signal > 0.0:
            # From x', which lies on the line of the first slope, to the mean of both.
            half = s.signal * (s.sigma - t.sigma) / 2.0
            rows.append(eps_row(s, 1.0, [half, -half])._replace(kept=(0.0, 0.0)))
    return plan_of_rows(rows)


def eps_of(t: Level) -> tuple[float, float]:
    """The factors of x_t and x0_hat in eps_hat."""
    return 1.0 / t.noise, -t.signal / t.noise


def eps_row(t: Level, of_x: float, weights: Sequence[float]) -> Row:
    """x times a factor, and the noises, of which this one comes first, times theirs."""
    own, kept = weights[0], eps_of(t)
    return Row(t.t, of_x + own * kept[0], own * kept[1], earlier=weights[1:], kept=kept)
