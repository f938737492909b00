"""DPM-Solver++(2M): a step by this estimate and the one before, in log(signal / noise).

Lu et al. 2022, arXiv 2211.01095, algorithm 2.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from ..schedule import Array, Schedule
from .common import Denoiser, Level, check_inputs, estimate, first_order, walk_down


def sample(
    schedule: Schedule,
    predict_x0: Denoiser,
    x_T: Array,
    *,
    timesteps: Sequence[float],
    noise: Array | None = None,
    clip: bool = False,
) -> Array:
    """Walk from x_T to x_0, with one evaluation a step.

    With lambda = log(signal / noise), h = lambda_s - lambda_t and r = h_before / h,

        x_s = noise_s / noise_t x_t - signal_s (exp(-h) - 1) D,
        D = (1 + 1 / (2 r)) x0_hat - 1 / (2 r) x0_hat_before

    The first step has no estimate before it, and D = x0_hat. So has the last one: on the way to
    t = 0, where h is infinite, no line through two estimates can be followed. An estimate from
    where no signal is left, infinitely far away, counts for nothing (r is infinite).

    Args: as of ``ancestral.sample``; ``noise`` is not read.

    Returns x_0, of the shape of x_T. Raises ValueError for arguments that do not fit.
    """
    walk = walk_down(schedule, timesteps)
    check_inputs(x_T, noise, len(walk))
    x, before = x_T, None
    for t, s in walk:
        x0_hat = estimate(predict_x0, x, t.t, clip)
        ahead = share_ahead(before[0], t, s) if before else 0.0
        D = (1.0 + ahead) * x0_hat - (ahead * before[1] if before else 0.0)
        if s.t == 0 or t.signal == 0.0:
            x = first_order(x, D, t, s)
        else:
            h = s.log_snr - t.log_snr
            x = s.noise / t.noise * x - s.signal * math.expm1(-h) * D
        before = (t, x0_hat)
    return x


def share_ahead(before: Level, t: Level, s: Level) -> float:
    """1 / (2 r), how far D goes beyond x0_hat: half a step from t to s, in steps to t."""
    if s.t == 0 or before.signal == 0.0:
        return 0.0
    return (s.log_snr - t.log_snr) / (2.0 * (t.log_snr - before.log_snr))
