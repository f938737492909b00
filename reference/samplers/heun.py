"""EDM's sampler: Heun's second-order steps down the probability flow, with churn.

Karras et al. 2022, arXiv 2206.00364, algorithm 2.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..schedule import Array, Schedule
from .churn import Churn
from .common import Denoiser, check_inputs, estimate, first_order, walk_down


def sample(
    schedule: Schedule,
    predict_x0: Denoiser,
    x_T: Array,
    *,
    timesteps: Sequence[float],
    noise: Array | None = None,
    clip: bool = False,
    **churn: Any,
) -> Array:
    """Walk from x_T to x_0: an Euler step, then the same step by the mean of both ends' slopes.

    In y = x / signal and sigma = noise / signal, after ``euler``'s y_hat, sigma_hat and d,

        y'  = y_hat + (sigma_s - sigma_hat) d                    d  = (y_hat - x0_hat) / sigma_hat
        y_s = y_hat + (sigma_s - sigma_hat) (d + d') / 2         d' = (y' - x0_hat') / sigma_s

    Two evaluations a step; the last step, to sigma = 0, is Euler's (algorithm 2, line 9), and so is
    one from sigma = inf, at zero terminal SNR.

    Args: as of ``euler.sample``.

    Returns x_0, of the shape of x_T. Raises ValueError for arguments that do not fit.
    """
    added, walk = Churn(**churn), walk_down(schedule, timesteps)
    check_inputs(x_T, noise, len(walk), needed=added.needed)
    x = x_T
    for i, ((t, s), t_hat) in enumerate(zip(walk, added.hats(schedule, walk), strict=True)):
        x_hat = added.apply(x, t, t_hat, None if noise is None else noise[i])
        x0_hat = estimate(predict_x0, x_hat, t_hat.t, clip)
        x = first_order(x_hat, x0_hat, t_hat, s)
        if s.t > 0 and t_hat.signal > 0.0:
            y_hat, length = x_hat / t_hat.signal, s.sigma - t_hat.sigma
            slope = (y_hat - x0_hat) / t_hat.sigma
            slope_there = (x / s.signal - estimate(predict_x0, x, s.t, clip)) / s.sigma
            x = s.signal * (y_hat + length * (slope + slope_there) / 2.0)
    return x
