"""DDIM as a plan; ``reference/samplers/ddim.py`` states it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ...reference.schedule import Schedule
from .plan import Plan, alpha_bars, plan_of


def ddim_plan(schedule: Schedule, timesteps: Sequence[float], eta: float = 0.0) -> Plan:
    """Denoising diffusion implicit models (arXiv 2010.02502, eqs. 12 and 16).

    ``x_s = sqrt(alpha_bar_s) x0_hat + sqrt(1 - alpha_bar_s - sigma^2) eps_hat + sigma noise``, with
    eps_hat = (x_t - sqrt(alpha_bar_t) x0_hat) / sqrt(1 - alpha_bar_t) put in: eps_hat thus always
    belongs to the x0_hat that is used, clipped or not.
    """
    alpha_bar_t, alpha_bar_s = alpha_bars(schedule, timesteps)
    var = (1.0 - alpha_bar_s) / (1.0 - alpha_bar_t) * (1.0 - alpha_bar_t / alpha_bar_s)
    sigma = eta * np.sqrt(var)
    direction = np.sqrt(np.maximum(1.0 - alpha_bar_s - sigma**2, 0.0))
    a = direction / np.sqrt(1.0 - alpha_bar_t)
    return plan_of(timesteps, a, np.sqrt(alpha_bar_s) - a * np.sqrt(alpha_bar_t), sigma)
