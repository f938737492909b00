"""Ancestral sampling: draw from the posterior of an estimated x_0, step by step.

Ho et al. 2020, arXiv 2006.11239, algorithm 2, with either of its two fixed variances (section 3.2).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from ..config.samplers import VARIANCES
from ..plain import check_choice
from ..schedule import Array, Schedule, posterior_coefficients
from .common import Denoiser, check_inputs, estimate, walk_down


def sample(
    schedule: Schedule,
    predict_x0: Denoiser,
    x_T: Array,
    *,
    timesteps: Sequence[float],
    noise: Array | None = None,
    clip: bool = False,
    variance: str = "posterior",
) -> Array:
    """Walk from x_T to x_0 by draws from q(x_s | x_t, x_0 = x0_hat).

    Each step from t to the next lower time s is

        x_s = mean(x0_hat, x_t) + sqrt(var) noise[i]

    with mean and variance of the forward chain that visits only these times
    (``schedule.posterior_coefficients``; for s = t - 1 they are 2006.11239, eq. 7). The last step
    goes to t = 0, where the mean is x0_hat, and adds no noise.

    Args:
        predict_x0: the denoiser, ``predict_x0(x_t, t) -> x0_hat`` with t of shape (B,).
        x_T: the start, floats of shape (B, ...).
        timesteps: strictly descending within T..1, as ``spacing`` makes them.
        noise: shape (n, B, ...): noise[i] belongs to the i-th of the n steps; noise[-1] is not
            read.
        clip: clip x0_hat to [-1, 1].
        variance: "posterior", which is right for data of variance 0, or "beta", the variance
            1 - alpha_bar_t / alpha_bar_s that the step has added, right for x_0 ~ N(0, I).

    Returns x_0, of the shape of x_T. Raises ValueError for arguments that do not fit.
    """
    check_choice("variance", variance, VARIANCES)
    walk = walk_down(schedule, timesteps)
    check_inputs(x_T, noise, len(walk), needed="ancestral sampling")
    assert noise is not None
    x = x_T
    for i, (t, s) in enumerate(walk):
        x0_hat = estimate(predict_x0, x, t.t, clip)
        a_t, a_s = np.square([t.signal, s.signal])
        coef_x0, coef_xt, var = map(float, posterior_coefficients(a_t, a_s))
        x = coef_x0 * x0_hat + coef_xt * x
        if s.t > 0:
            if variance == "beta":
                var = 1.0 - float(a_t / a_s)
            x = x + math.sqrt(var) * noise[i]
    return x
