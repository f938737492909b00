"""DDIM: the same denoiser, fewer steps, and as much noise as one likes.

Song et al. 2021, arXiv 2010.02502.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from ..schedule import Array, Schedule
from .common import Denoiser, Level, check_inputs, eps_of, estimate, walk_down


def sample(
    schedule: Schedule,
    predict_x0: Denoiser,
    x_T: Array,
    *,
    timesteps: Sequence[float],
    noise: Array | None = None,
    clip: bool = False,
    eta: float = 0.0,
) -> Array:
    """Walk from x_T to x_0: towards x0_hat, along eps_hat, with eta times the ancestral noise.

    Each step from t to the next lower time s is (2010.02502, eqs. 12 and 16)

        x_s = sqrt(alpha_bar_s) x0_hat + sqrt(1 - alpha_bar_s - sigma^2) eps_hat + sigma noise[i]
        sigma = eta sqrt((1 - alpha_bar_s) / (1 - alpha_bar_t)) sqrt(1 - alpha_bar_t / alpha_bar_s)

    where eps_hat is the noise that x0_hat leaves in x_t, derived after clipping. eta = 0 is
    deterministic, eta = 1 is ancestral sampling. The last step goes to t = 0 and gives x0_hat.

    Args:
        predict_x0: the denoiser, ``predict_x0(x_t, t) -> x0_hat`` with t of shape (B,).
        x_T: the start, floats of shape (B, ...).
        timesteps: strictly descending within T..1, as ``spacing`` makes them.
        noise: shape (n, B, ...): noise[i] belongs to the i-th of the n steps; noise[-1] is not
            read. Needed where eta > 0.
        clip: clip x0_hat to [-1, 1].
        eta: from 0 to 1.

    Returns x_0, of the shape of x_T. Raises ValueError for arguments that do not fit.
    """
    walk = walk_down(schedule, timesteps)
    if not 0.0 <= eta <= 1.0:
        raise ValueError(f"eta {eta} is outside 0..1: 0 is deterministic, 1 is ancestral sampling")
    check_inputs(x_T, noise, len(walk), needed=f"eta {eta}" if eta > 0.0 else "")
    x = x_T
    for i, (t, s) in enumerate(walk):
        x0_hat = estimate(predict_x0, x, t.t, clip)
        signal, direction, sigma = _coefficients(t, s, eta)
        x = signal * x0_hat + direction * eps_of(x, x0_hat, t)
        if noise is not None and sigma > 0.0:
            x = x + sigma * noise[i]
    return x


def _coefficients(t: Level, s: Level, eta: float) -> tuple[float, float, float]:
    """The factors of x0_hat, eps_hat and noise in x_s. At s = 0 they are 1, 0 and 0."""
    sigma = eta * s.noise / t.noise * math.sqrt(1.0 - (t.signal / s.signal) ** 2)
    # Never negative but for rounding: with eta = 1 and alpha_bar_t near 0 nothing is left of eps.
    return s.signal, math.sqrt(max(0.0, s.noise**2 - sigma**2)), sigma
