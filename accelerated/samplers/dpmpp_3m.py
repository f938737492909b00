"""DPM-Solver++(3M) as a plan; ``reference/samplers/dpmpp_3m.py`` states it."""

from __future__ import annotations

from collections.abc import Sequence
from math import expm1

import numpy as np

from ...reference.samplers.common import walk_down
from ...reference.schedule import Schedule
from .euler import euler_row
from .plan import Plan, Row, plan_of_rows


def dpmpp_3m_plan(schedule: Schedule, timesteps: Sequence[float]) -> Plan:
    """The parabola through three estimates, integrated (arXiv 2211.01095, eq. 12).

    With u = (lambda - lambda_t) / h the weights of the estimates at u_j are those that integrate
    1, u and u^2 against exp(h (u - 1)) h rightly.
    """
    rows, nodes = list[Row](), list[float]()
    for t, s in walk_down(schedule, timesteps):
        if s.t == 0 or t.signal == 0.0:
            rows.append(euler_row(t, s))
            continue
        nodes = [t.log_snr, *nodes][:3]
        h = s.log_snr - t.log_snr
        one = -expm1(-h)
        of_u = 1.0 - one / h
        moments = [one, of_u, 1.0 - 2.0 * of_u / h][: len(nodes)]
        u = (np.array(nodes) - t.log_snr) / h
        weights = s.signal * np.linalg.solve(np.vander(u, increasing=True).T, moments)
        rows.append(Row(t.t, s.noise / t.noise, float(weights[0]), earlier=weights[1:].tolist()))
    return plan_of_rows(rows)
