"""EDM's Euler steps as a plan; ``reference/samplers/euler.py`` states them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ...reference.samplers.churn import Churn
from ...reference.samplers.common import Level, walk_down
from ...reference.schedule import Schedule
from .churn import churned
from .plan import Plan, Row, plan_of_rows


def euler_plan(schedule: Schedule, timesteps: Sequence[float], **options: Any) -> Plan:
    """Euler steps with churn (arXiv 2206.00364, algorithm 2 without its correction)."""
    churn, walk = Churn(**options), walk_down(schedule, timesteps)
    hats = churn.hats(schedule, walk)
    rows = []
    for i, (t_hat, (_, s)) in enumerate(zip(hats, walk, strict=True)):
        row = euler_row(t_hat, s)
        rows.append(churned(row, churn, s, hats[i + 1], i + 1) if s.t > 0 else row)
    return plan_of_rows(rows)


def euler_row(t: Level, s: Level) -> Row:
    """From t to s along eps_hat: DDIM without noise."""
    of_x = s.noise / t.noise
    return Row(t.t, of_x, s.signal - of_x * t.signal)
