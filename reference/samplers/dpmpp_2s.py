"""DPM-Solver++(2S): a step by the estimate at its middle, in the logarithm of signal to noise.

Lu et al. 2022, arXiv 2211.01095, algorithm 1.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from ..schedule import Array, Schedule, time_of
from .common import Denoiser, Level, check_inputs, estimate, first_order, levels, walk_down


def sample(
    schedule: Schedule,
    predict_x0: Denoiser,
    x_T: Array,
    *,
    timesteps: Sequence[float],
    noise: Array | None = None,
    clip: bool = False,
) -> Array:
    """Walk from x_T to x_0, with two evaluations a step.

    With lambda = log(signal / noise), h = lambda_s - lambda_t and u the time at which lambda is
    halfway, a real number (algorithm 1 with r = 1/2, where its D is the estimate at u):

        x_u = noise_u / noise_t x_t - signal_u (exp(-h / 2) - 1) x0_hat(x_t, t)
        x_s = noise_s / noise_t x_t - signal_s (exp(-h) - 1) x0_hat(x_u, u)

    There is no halfway to t = 0, nor from where no signal is left: these steps are of first order,
    with one evaluation.

    Args: as of ``ancestral.sample``; ``noise`` is not read.

    Returns x_0, of the shape of x_T. Raises ValueError for arguments that do not fit.
    """
    walk = walk_down(schedule, timesteps)
    check_inputs(x_T, noise, len(walk))
    x = x_T
    for t, s in walk:
        x0_hat = estimate(predict_x0, x, t.t, clip)
        u = middle(schedule, t, s)
        if u is None:
            x = first_order(x, x0_hat, t, s)
            continue
        h = s.log_snr - t.log_snr
        x_u = u.noise / t.noise * x - u.signal * math.expm1(-h / 2.0) * x0_hat
        x0_there = estimate(predict_x0, x_u, u.t, clip)
        x = s.noise / t.noise * x - s.signal * math.expm1(-h) * x0_there
    return x


def middle(schedule: Schedule, t: Level, s: Level) -> Level | None:
    """The level whose lambda is halfway between those of t and s; None where one is infinite."""
    if s.t == 0 or t.signal == 0.0:
        return None
    return levels(schedule, [float(time_of(schedule, (t.log_snr + s.log_snr) / 2.0))])[0]
