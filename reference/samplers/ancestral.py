"""Ancestral sampling: draw from the posterior of an estimated x_0, step by step.

Ho et al. 2020, arXiv 2006.11239, algorithm 2, with either of its two fixed variances (section 3.2),
or with one that was learned (arXiv 2102.09672).
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
        predict_x0: the denoiser, ``predict_x0(x_t, t) -> x0_hat`` with t of shape (B,); with a
            learned variance it returns (x0_hat, share), both of the shape of x_t.
        x_T: the start, floats of shape (B, ...).
        timesteps: strictly descending within T..1, as ``spacing`` makes them.
        noise: shape (n, B, ...): noise[i] belongs to the i-th of the n steps; noise[-1] is not
            read.
        clip: clip x0_hat to [-1, 1].
        variance: "posterior", which is right for data of variance 0, or "beta", the variance
            1 - alpha_bar_t / alpha_bar_s that the step has added, right for x_0 ~ N(0, I); or
            "learned", log var = share log beta + (1 - share) log posterior of these two for the
            step from t to s (arXiv 2102.09672, eq. 15 and section 4).

    Returns x_0, of the shape of x_T. Raises ValueError for arguments that do not fit.
    """
    check_choice("variance", variance, VARIANCES)
    walk = walk_down(schedule, timesteps)
    check_inputs(x_T, noise, len(walk), needed="ancestral sampling")
    assert noise is not None
    x, share = x_T, 1.0 if variance == "beta" else 0.0

    def predict(x_t: Array, t: Array) -> Array:
        nonlocal share
        found = predict_x0(x_t, t)
        x0_hat, share = found if variance == "learned" else (found, share)
        return x0_hat

    for i, (t, s) in enumerate(walk):
        x0_hat = estimate(predict, x, t.t, clip)
        a_t, a_s = np.square([t.signal, s.signal])
        coef_x0, coef_xt, var = map(float, posterior_coefficients(a_t, a_s))
        x = coef_x0 * x0_hat + coef_xt * x
        if s.t > 0:
            beta = 1.0 - float(a_t / a_s)
            x = x + math.sqrt(var) * (beta / var) ** (0.5 * share) * noise[i]
    return x
