"""DEIS as a plan; ``reference/samplers/deis.py`` states it."""

from __future__ import annotations

from collections.abc import Sequence

from ...reference.samplers.common import walk_down
from ...reference.samplers.deis import check_order
from ...reference.samplers.polynomial import sigma_weights
from ...reference.schedule import Schedule
from .euler import euler_row
from .plan import Plan, Row, plan_of_rows
from .plms import eps_of, eps_row


def deis_plan(schedule: Schedule, timesteps: Sequence[float], order: int = 3) -> Plan:
    """A polynomial in t through the last noises (arXiv 2204.13902, eqs. 14 and 15)."""
    check_order(order)
    rows, times = list[Row](), list[float]()
    for t, s in walk_down(schedule, timesteps):
        times = [t.t, *times][:order]
        if t.signal == 0.0:
            rows.append(euler_row(t, s)._replace(kept=eps_of(t)))
            continue
        weights = [s.signal * weight for weight in sigma_weights(schedule, times, t.t, s.t)]
        rows.append(eps_row(t, s.signal / t.signal, weights))
    return plan_of_rows(rows)
