"""DPM-Solver++(2M) as a plan; ``reference/samplers/dpmpp_2m.py`` states it."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from math import inf

from ...reference.samplers.common import Level, walk_down
from ...reference.schedule import Schedule
from .plan import Plan, Row, plan_of_rows


def dpmpp_2m_plan(schedule: Schedule, timesteps: Sequence[float]) -> Plan:
    """The estimate before is one of two that D is made of (arXiv 2211.01095, algorithm 2)."""
    walk = walk_down(schedule, timesteps)
    rows = []
    for (t, s), ahead in zip(walk, ahead_of(walk), strict=True):
        of_x = s.noise / t.noise
        # As h or r, which are infinite at the ends, does not occur here: no end is special.
        of_D = s.signal - of_x * t.signal
        rows.append(Row(t.t, of_x, of_D * (1.0 + ahead), earlier=(-of_D * ahead,)))
    return plan_of_rows(rows)


def ahead_of(walk: Sequence[tuple[Level, Level]]) -> list[float]:
    """1 / (2 r) of each step; 0 for the first, the last, and after a step from no signal."""
    h = [s.log_snr - t.log_snr for t, s in walk]
    found = [now / (2.0 * before) if now < inf else 0.0 for before, now in pairwise(h)]
    return [0.0, *found]
