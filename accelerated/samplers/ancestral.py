"""Ancestral sampling as a plan; ``reference/samplers/ancestral.py`` states it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from ...reference.schedule import Schedule
from .plan import Plan, alpha_bars, plan_of


def ancestral_plan(
    schedule: Schedule, timesteps: Sequence[float], variance: str = "posterior"
) -> Plan:
    """Draw x_s from q(x_s | x_t, x0_hat) at every step (arXiv 2006.11239, algorithm 2).

    A learned variance starts from the posterior's, and reaches "beta" within the spread.
    """
    alpha_bar_t, alpha_bar_s = alpha_bars(schedule, timesteps)
    alpha = alpha_bar_t / alpha_bar_s
    a = np.sqrt(alpha) * (1.0 - alpha_bar_s) / (1.0 - alpha_bar_t)
    b = np.sqrt(alpha_bar_s) * (1.0 - alpha) / (1.0 - alpha_bar_t)
    c = np.sqrt((1.0 - alpha_bar_s) * (1.0 - alpha) / (1.0 - alpha_bar_t))
    if variance == "beta":
        c = np.where(alpha_bar_s < 1.0, np.sqrt(1.0 - alpha), 0.0)
    plan = plan_of(timesteps, a, b, c)
    if variance != "learned":
        return plan
    moves = alpha_bar_s < 1.0
    ratio = (1.0 - alpha_bar_t) / np.where(moves, 1.0 - alpha_bar_s, 1.0)
    return replace(plan, spread=np.where(moves, ratio, 1.0))
