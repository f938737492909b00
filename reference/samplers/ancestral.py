"""Ancestral sampling: draw from the posterior of an estimated x_0, step by step.

Ho et al. 2020, arXiv 2006.11239, algorithm 2, with the posterior's variance (section 3.2).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from ..schedule import Array, Schedule, posterior_coefficients
from .common import Denoiser, check_inputs, estimate, steps


def sample(
    schedule: Schedule,
    predict_x0: Denoiser,
    x_T: Array,
    noise: Array,
    *,
    timesteps: Sequence[int] | None = None,
    clip: bool = False,
) -> Array:
    """Walk from x_T to x_0 by draws from q(x_s | x_t, x_0 = x0_hat).

    Each step from t to the next lower timestep s is

        x_s = mean(x0_hat, x_t) + sqrt(var) noise[i]

    with mean and variance of the forward chain that visits only these timesteps
    (``schedule.posterior_coefficients``; for s = t - 1 they are 2006.11239, eq. 7). The last step
    goes to t = 0, where the mean is x0_hat and the variance 0.

    Args:
        predict_x0: the denoiser, ``predict_x0(x_t, t) -> x0_hat`` with t of shape (B,).
        x_T: the start, floats of shape (B, ...).
        noise: shape (n, B, ...): noise[i] belongs to the i-th of the n steps; noise[-1] is not
            read.
        timesteps: strictly descending integers within T..1 (default: all of them).
        clip: clip x0_hat to [-1, 1].

    Returns x_0, of the shape of x_T. Raises ValueError for timesteps or shapes that do not fit.
    """
    pairs = steps(schedule, range(schedule.T, 0, -1) if timesteps is None else timesteps)
    check_inputs(x_T, noise, len(pairs))
    x = x_T
    for i, (t, s) in enumerate(pairs):
        x0_hat = estimate(predict_x0, x, t, clip)
        coefficients = posterior_coefficients(schedule.alpha_bar[t], schedule.alpha_bar[s])
        coef_x0, coef_xt, var = map(float, coefficients)
        x = coef_x0 * x0_hat + coef_xt * x
        if s > 0:
            x = x + math.sqrt(var) * noise[i]
    return x
