"""DDIM: the same denoiser, fewer steps, and as much noise as one likes.

Song et al. 2021, arXiv 2010.02502.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from ..process import eps_from_x0
from ..schedule import Array, Schedule
from .common import Denoiser, check_inputs, estimate, steps


def sample(
    schedule: Schedule,
    predict_x0: Denoiser,
    x_T: Array,
    *,
    timesteps: Sequence[int],
    eta: float = 0.0,
    noise: Array | None = None,
    clip: bool = False,
) -> Array:
    """Walk from x_T to x_0: towards x0_hat, along eps_hat, with eta times the ancestral noise.

    Each step from t to the next lower timestep s is (2010.02502, eqs. 12 and 16)

        x_s = sqrt(alpha_bar_s) x0_hat + sqrt(1 - alpha_bar_s - sigma^2) eps_hat + sigma noise[i]
        sigma = eta sqrt((1 - alpha_bar_s) / (1 - alpha_bar_t)) sqrt(1 - alpha_bar_t / alpha_bar_s)

    where eps_hat is the noise that x0_hat leaves in x_t, derived after clipping. eta = 0 is
    deterministic, eta = 1 is ancestral sampling. The last step goes to t = 0 and gives x0_hat.

    Args:
        predict_x0: the denoiser, ``predict_x0(x_t, t) -> x0_hat`` with t of shape (B,).
        x_T: the start, floats of shape (B, ...).
        timesteps: strictly descending integers within T..1.
        eta: from 0 to 1.
        noise: shape (n, B, ...): noise[i] belongs to the i-th of the n steps; noise[-1] is not
            read. Needed where eta > 0.
        clip: clip x0_hat to [-1, 1].

    Returns x_0, of the shape of x_T. Raises ValueError for arguments that do not fit.
    """
    pairs = steps(schedule, timesteps)
    if not 0.0 <= eta <= 1.0:
        raise ValueError(f"eta {eta} is outside 0..1: 0 is deterministic, 1 is ancestral sampling")
    if noise is None and eta > 0.0:
        raise ValueError(f"eta {eta} needs noise of shape ({len(pairs)}, *x_T.shape)")
    check_inputs(x_T, noise, len(pairs))
    x = x_T
    for i, (t, s) in enumerate(pairs):
        x0_hat = estimate(predict_x0, x, t, clip)
        eps_hat = eps_from_x0(schedule, x, np.full(len(x), t), x0_hat)
        signal, direction, sigma = _coefficients(schedule, t, s, eta)
        x = signal * x0_hat + direction * eps_hat
        if noise is not None and sigma > 0.0:
            x = x + sigma * noise[i]
    return x


def _coefficients(schedule: Schedule, t: int, s: int, eta: float) -> tuple[float, float, float]:
    """The factors of x0_hat, eps_hat and noise in x_s. At s = 0 they are 1, 0 and 0."""
    a_t, a_s = float(schedule.alpha_bar[t]), float(schedule.alpha_bar[s])
    sigma = eta * math.sqrt((1.0 - a_s) / (1.0 - a_t)) * math.sqrt(1.0 - a_t / a_s)
    # Never negative but for rounding: with eta = 1 and alpha_bar_t near 0 nothing is left of eps.
    direction = math.sqrt(max(0.0, 1.0 - a_s - sigma**2))
    return math.sqrt(a_s), direction, sigma
