"""All that depends on the time alone, as numbers for the network and the formulas around it.

The formulas of ``process`` and ``objective`` are linear in their arrays, with factors that are
functions of t. Those are computed here, on the host and in float64, and the device is given them
rounded once: its graphs know neither the schedule nor what the network predicts.
"""

from __future__ import annotations

import numpy as np

from .config.diffusion import ObjectiveConfig
from .objective import check_objective, weight_at
from .schedule import Array, Schedule, Table, levels_at

COLUMNS = (
    *("time", "signal", "noise"),
    *("input", "skip", "out"),
    *("target_x0", "target_noise", "weight"),
)
"""What ``Levels`` gives for each t, in this order:

time            what the network is told: t - 1
signal, noise   x_t = signal x_0 + noise eps (2006.11239, eq. 4)
input           the network sees input x_t
skip, out       x0_hat = skip x_t + out output
target_x0, target_noise    it should return target_x0 x_0 + target_noise eps
weight          of its squared error
"""

TIME, SIGNAL, NOISE, INPUT, SKIP, OUT, TARGET_X0, TARGET_NOISE, WEIGHT = range(len(COLUMNS))


class Levels:
    """Called with t, the numbers of COLUMNS at each: float64 (B, 9).

    Args:
        schedule: how much noise there is at t.
        config: what the network predicts, and how its errors are weighed.

    Raises:
        ValueError: an objective that cannot be used with the schedule.
    """

    def __init__(self, schedule: Schedule, config: ObjectiveConfig) -> None:
        check_objective(schedule, config.objective)
        self.schedule, self.config = schedule, config

    def __call__(self, t: Array) -> Table:
        """``t``: (B,) whole or real numbers in (0, T]. Raises ValueError for others."""
        times = np.asarray(t)
        signal, noise = levels_at(self.schedule, times)
        if np.any(noise == 0.0):
            raise ValueError(f"t {times.min()} is the data, of which nothing is to be estimated")
        one, zero = np.ones_like(signal), np.zeros_like(signal)
        if self.config.objective == "pred_noise":
            skip, out, target = 1.0 / signal, -noise / signal, (zero, one)
        elif self.config.objective == "pred_x0":
            skip, out, target = zero, one, (one, zero)
        else:
            skip, out, target = signal, -noise, (-noise, signal)
        weight = weight_at((signal / noise) ** 2, self.config.objective, **self.config.weight_rule)
        columns = (times - 1.0, signal, noise, one, skip, out, *target, weight)
        return np.stack(columns, axis=-1)
