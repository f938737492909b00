"""Times between whole steps at which a network is trained: host code, used by both sides."""

from __future__ import annotations

import numpy as np
from scipy.special import ndtri

from .config.draws import DrawsConfig
from .schedule import Schedule, Table, time_of


def real_times(schedule: Schedule, config: DrawsConfig, u: Table) -> Table:
    """The time at which its distribution has reached the share u.

    "uniform": t = 1 + (T - 1) u. "log_normal" (arXiv 2206.00364, table 1): log(noise / signal) =
    p_mean + p_std Phi^-1(u); where the schedule has no such noise, its nearest step, 1 or T. Below
    t = 1 no sampler asks.

    Args:
        u: (B,) uniform in [0, 1).

    Returns float64 (B,) in [1, T]. Raises ValueError for steps, which are no real numbers.
    """
    if config.time_distribution == "uniform":
        return 1.0 + (schedule.T - 1.0) * u
    if config.time_distribution == "log_normal":
        log_sigma = config.p_mean + config.p_std * ndtri(u)
        return np.clip(time_of(schedule, -log_sigma), 1.0, float(schedule.T))
    raise ValueError(
        f"time_distribution {config.time_distribution!r} is of whole numbers: draw them as such"
    )
