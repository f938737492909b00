"""EDM's sampler as a plan; ``reference/samplers/heun.py`` states it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ...reference.samplers.churn import Churn
from ...reference.samplers.common import walk_down
from ...reference.schedule import Schedule
from .churn import churned
from .euler import euler_row
from .plan import Plan, Row, plan_of_rows


def heun_plan(schedule: Schedule, timesteps: Sequence[float], **options: Any) -> Plan:
    """Heun's steps with churn (arXiv 2206.00364, algorithm 2): two rows each.

    The first row is Euler's and leads to x', and keeps x0_hat. At x' both slopes are known:
    d = (x' - signal_s x0_hat) / noise_s, as x' lies on that line, and d' with x0_hat' in its place.
    So the corrected x is x' + (d' - d) signal_s (sigma_s - sigma_t) / 2, in which x' cancels.
    """
    churn, walk = Churn(**options), walk_down(schedule, timesteps)
    hats = churn.hats(schedule, walk)
    rows = []
    for i, (t_hat, (_, s)) in enumerate(zip(hats, walk, strict=True)):
        row = euler_row(t_hat, s)
        if s.t > 0 and t_hat.signal > 0.0:
            rows.append(row)
            half = s.signal * (s.sigma - t_hat.sigma) / 2.0 * s.signal / s.noise
            row = Row(s.t, 1.0, -half, earlier=(half,))
        rows.append(churned(row, churn, s, hats[i + 1], i + 1) if s.t > 0 else row)
    return plan_of_rows(rows)
