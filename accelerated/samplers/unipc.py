"""UniPC as a plan; ``reference/samplers/unipc.py`` states it."""

from __future__ import annotations

from collections.abc import Sequence
from math import expm1

import numpy as np

from ...reference.config.samplers import VARIANTS
from ...reference.plain import check_choice
from ...reference.samplers.common import Level, walk_down
from ...reference.samplers.unipc import check_order, weights
from ...reference.schedule import Schedule, Table
from .euler import euler_row
from .plan import MEMORY, Plan, Row, plan_of_rows


def unipc_plan(
    schedule: Schedule, timesteps: Sequence[float], order: int = 2, variant: str = "bh2"
) -> Plan:
    """One row a step (arXiv 2302.04867, algorithms 5 to 8): correct what led here, predict on.

    Predicted and corrected x have one factor of the x that the step began at, so that correcting
    adds estimates alone, and the row does it on its way: no x of before is needed.
    """
    check_order(order)
    check_choice("variant", variant, VARIANTS)
    rows, before = list[Row](), list[Level]()
    correction = np.zeros(1 + MEMORY)  # factors of this estimate and of the last ones
    for t, s in walk_down(schedule, timesteps):
        if s.t == 0 or t.signal == 0.0:
            rows.append(euler_row(t, s))
            continue
        of_x, others = s.noise / t.noise, before[: order - 1]
        ahead = _estimates(t, s, others, variant)
        found = of_x * correction + ahead
        rows.append(Row(t.t, of_x, float(found[0]), earlier=found[1:].tolist()))
        # In the next row, the estimate at s comes before these.
        corrected = _estimates(t, s, [s, *others], variant)
        correction = np.array([corrected[1], corrected[0] - ahead[0], 0.0, 0.0])
        correction[2 : 2 + len(others)] = (corrected[2:] - ahead[1:-1])[: len(others)]
        before = [t, *before]
    return plan_of_rows(rows)


def _estimates(t: Level, s: Level, others: Sequence[Level], variant: str) -> Table:
    """From t to s: the factors of the estimate at t and of the others, zeros after them."""
    found = np.zeros(1 + MEMORY)
    of_each = s.signal * np.array(weights(t, s, others, variant))
    found[0] = of_each.sum() - s.signal * expm1(t.log_snr - s.log_snr)
    found[1 : 1 + len(others)] = -of_each
    return found
