"""SDE-DPM-Solver++(2M) as a plan; ``reference/samplers/dpmpp_2m_sde.py`` states it."""

from __future__ import annotations

from collections.abc import Sequence
from math import sqrt

from ...reference.samplers.common import walk_down
from ...reference.schedule import Schedule
from .dpmpp_2m import ahead_of
from .plan import Plan, Row, plan_of_rows


def dpmpp_2m_sde_plan(schedule: Schedule, timesteps: Sequence[float]) -> Plan:
    """As ``dpmpp_2m``, with noise (arXiv 2211.01095, section 6).

    exp(-h) is written as sigma_s / sigma_t, which is 0 at both ends, where h is infinite.
    """
    walk = walk_down(schedule, timesteps)
    rows = []
    for i, ((t, s), ahead) in enumerate(zip(walk, ahead_of(walk), strict=True)):
        shrink = s.sigma * t.signal / t.noise
        new = 1.0 - shrink**2
        of_D = s.signal * new
        rows.append(
            Row(
                t.t,
                s.noise / t.noise * shrink,
                of_D * (1.0 + ahead),
                noise=s.noise * sqrt(new),
                earlier=(-of_D * ahead,),
                draw=i,
            )
        )
    return plan_of_rows(rows)
