"""All that depends on the time alone, as numbers for the network and the formulas around it.

The formulas of ``process`` and ``objective`` are linear in their arrays, with factors that are
functions of t. Those are computed here, on the host and in float64, and the device is given them
rounded once: its graphs know neither the schedule nor what the network predicts.
"""

from __future__ import annotations

import math

import numpy as np

from .bound import log_variances
from .config.diffusion import ObjectiveConfig
from .objective import check_objective, weight_at
from .schedule import Array, Schedule, Table, levels_at

COLUMNS = (
    *("time", "signal", "noise"),
    *("input", "skip", "out"),
    *("target_x0", "target_noise", "weight"),
    *("vlb_weight", "decoder", "precision", "log_var_range", "snr_drop"),
)
"""What ``Levels`` gives for each t, in this order:

time            what the network is told: t - 1
signal, noise   x_t = signal x_0 + noise eps (2006.11239, eq. 4)
input           the network sees input x_t
skip, out       x0_hat = skip x_t + out output
target_x0, target_noise    it should return target_x0 x_0 + target_noise eps
weight          of its squared error

and, for a network with a learned variance, of the step from t down (``bound``):

vlb_weight      what a nat of the bound, as a mean over the values, counts in the loss
decoder         1 where that step leads to the data, else 0
precision       1 / its smallest standard deviation
log_var_range   by how much log var can grow from there: log beta_t - log beta_tilde_t
snr_drop        snr_{t-1} - snr_t; 0 where the step leads to the data
"""

TIME, SIGNAL, NOISE, INPUT, SKIP, OUT, TARGET_X0, TARGET_NOISE, WEIGHT = range(9)
VLB_WEIGHT, DECODER, PRECISION, LOG_VAR_RANGE, SNR_DROP = range(9, len(COLUMNS))


class Levels:
    """Called with t, the numbers of COLUMNS at each: float64 (B, 14).

    Args:
        schedule: how much noise there is at t.
        config: what the network predicts, and how its errors are weighed.

    Raises:
        ValueError: an objective that cannot be used with the schedule.
    """

    def __init__(self, schedule: Schedule, config: ObjectiveConfig) -> None:
        check_objective(schedule, config.objective)
        self.schedule, self.config = schedule, config
        self._of_bound = _of_bound(schedule, config.vlb_weight)

    def __call__(self, t: Array) -> Table:
        """``t``: (B,) whole or real numbers in (0, T]. Raises ValueError for others."""
        times = np.asarray(t)
        signal, noise = levels_at(self.schedule, times)
        if np.any(noise == 0.0):
            raise ValueError(f"t {times.min()} is the data, of which nothing is to be estimated")
        one, zero = np.ones_like(signal), np.zeros_like(signal)
        objective, sigma_data = self.config.objective, self.config.sigma_data
        seen, straight, scale = one, 1.0 / (signal + noise), np.hypot(noise, sigma_data * signal)
        if objective == "pred_noise":
            skip, out, target = 1.0 / signal, -noise / signal, (zero, one)
        elif objective == "pred_v":
            skip, out, target = signal, -noise, (-noise, signal)
        elif objective == "flow":
            seen, skip, out, target = straight, straight, -noise * straight, (-one, one)
        elif objective == "edm":
            of_x0, of_noise = noise / scale, sigma_data * signal / scale
            seen, skip, out = 1.0 / scale, sigma_data * of_noise / scale, sigma_data * of_x0
            target = of_x0 / sigma_data, -of_noise
        else:
            skip, out, target = zero, one, (one, zero)
            seen = straight if objective == "x0_v_loss" else one
        weight = weight_at((signal / noise) ** 2, objective, **self.config.weight_rule)
        columns = (times - 1.0, signal, noise, seen, skip, out, *target, weight)
        step = np.ceil(times).astype(np.int64)
        return np.concatenate((np.stack(columns, axis=-1), self._of_bound[step]), axis=-1)


def _of_bound(schedule: Schedule, vlb_weight: float) -> Table:
    """The columns of the bound for each step: (T + 1, 5); row 0 is never read.

    Over times that are drawn evenly, T times the mean of the terms is the bound without L_T; in
    bits, of which arXiv 2102.09672, eq. 16, adds the share ``vlb_weight`` to the loss.
    """
    lowest, highest = log_variances(schedule)
    drop = np.concatenate([[0.0, 0.0], schedule.snr[1:-1] - schedule.snr[2:]])
    weight = np.full_like(lowest, vlb_weight * schedule.T / math.log(2.0))
    first = np.zeros_like(lowest)
    first[1] = 1.0
    columns = (weight, first, np.exp(-0.5 * lowest), highest - lowest, drop)
    return np.stack(columns, axis=-1)
