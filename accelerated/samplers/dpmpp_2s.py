"""DPM-Solver++(2S) as a plan; ``reference/samplers/dpmpp_2s.py`` states it."""

from __future__ import annotations

from collections.abc import Sequence
from math import expm1

from ...reference.samplers.common import walk_down
from ...reference.samplers.dpmpp_2s import middle
from ...reference.schedule import Schedule
from .euler import euler_row
from .plan import Plan, Row, plan_of_rows


def dpmpp_2s_plan(schedule: Schedule, timesteps: Sequence[float]) -> Plan:
    """Two rows a step (arXiv 2211.01095, algorithm 1): to the middle, and from there.

    x at the middle is a combination of x_t and the first estimate, which the second row undoes.
    """
    rows = []
    for t, s in walk_down(schedule, timesteps):
        u = middle(schedule, t, s)
        if u is None:
            rows.append(euler_row(t, s))
            continue
        h = s.log_snr - t.log_snr
        of_first = -u.signal * expm1(-h / 2.0)
        rows.append(Row(t.t, u.noise / t.noise, of_first))
        of_x = s.noise / u.noise
        rows.append(Row(u.t, of_x, -s.signal * expm1(-h), earlier=(-of_x * of_first,)))
    return plan_of_rows(rows)
