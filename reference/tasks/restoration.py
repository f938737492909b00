"""DDNM: undo a known linear degradation, by putting in at every step what is known of x_0.

Wang, Yu & Zhang 2022, arXiv 2212.00490; with noise on the measurement its DDNM+.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np

from ..degradations import Degradation, along
from ..samplers.common import Denoiser, estimate, steps
from ..schedule import Array, Schedule, Table
from .paths import ancestral_step, noising_step, with_jumps


def ddnm(
    schedule: Schedule,
    predict_x0: Denoiser,
    x_T: Array,
    y: Array,
    degradation: Degradation,
    *,
    timesteps: Sequence[int],
    noise: Callable[[int], Array],
    sigma_y: float = 0.0,
    jump_length: int = 1,
    jump_repeats: int = 1,
    clip: bool = False,
) -> Array:
    """Walk from x_T to an x_0 with A x_0 = y, y = A x_true + sigma_y n.

    Without noise (2212.00490, algorithm 1) each estimate keeps only what A cannot see of it:

        x0_bar = A^+ y + (1 - A^+ A) x0_hat,   x_s ~ q(x_s | x_t, x0_bar).

    With noise (DDNM+, eqs. 17 to 19) that would put n into the result; so the correction, and the
    noise that is added, are weighed for each singular direction (``weights``) such that x_s has the
    noise that belongs to it:

        x0_bar = x0_hat - V lambda V^T A^+ (A x0_hat - y),   covariance V gamma V^T.

    Args:
        x_T: the start, floats (B, ...).
        y: (B, *degradation.measured).
        timesteps: descending within T..1.
        noise: move i of the path draws ``noise(i)``.
        sigma_y: the deviation of the noise on y.
        jump_length, jump_repeats: the time-travel of section 3.4, see ``paths.with_jumps``.

    Raises ValueError for timesteps, jumps, shapes or a sigma_y that do not fit.
    """
    steps(schedule, timesteps)
    check_sigma(sigma_y)
    target = degradation.pseudo_inverse(y)
    x = x_T
    for i, (t, s) in enumerate(with_jumps(timesteps, jump_length, jump_repeats)):
        if s > t:
            kept, var = noising_step(schedule, t, s)
            x = kept * x + math.sqrt(var) * noise(i)
            continue
        x0_hat = estimate(predict_x0, x, t, clip)
        seen: Array = degradation.pseudo_inverse(degradation(x0_hat))
        if sigma_y == 0.0:
            x0_bar: Array = target + x0_hat - seen
        else:
            share, _ = weights(schedule, t, s, degradation, sigma_y)
            x0_bar = x0_hat - _each(degradation, share, seen - target)
        coef_x0, coef_xt, _ = ancestral_step(schedule, t, s)
        x = coef_x0 * x0_bar + coef_xt * x
        if s > 0:
            _, var_of_each = weights(schedule, t, s, degradation, sigma_y)
            x = x + _each(degradation, np.sqrt(var_of_each), noise(i))
    return x


def weights(
    schedule: Schedule, t: float, s: float, degradation: Degradation, sigma_y: float
) -> tuple[Table, Table]:
    """lambda and gamma of DDNM+ for each direction, in the step from t to s (2212.00490, eq. 19).

    With a the factor of x_0 and sigma^2 the variance of q(x_s | x_t, x_0), and d = sigma_y / S the
    noise that the measurement leaves in a direction:

        lambda = 1 where a d <= sigma, else sigma / (a d);   gamma = sigma^2 - (a d lambda)^2.

    Where nothing is measured lambda = 1, which is of no account, and gamma = sigma^2. The noise
    that y brings counts as new at every step, and it is the same one: many steps of a noisy y end
    nearer to y than they should. Ten to a hundred are the paper's.
    """
    coef_x0, _, var = ancestral_step(schedule, t, s)
    brought = coef_x0 * sigma_y * degradation.inverse
    too_much = brought > np.sqrt(var)
    share = np.where(too_much, np.sqrt(var) / np.where(too_much, brought, 1.0), 1.0)
    return share, np.maximum(var - (share * brought) ** 2, 0.0)


def check_sigma(sigma_y: float) -> None:
    """Raise ValueError for a deviation of the noise that is negative or no number."""
    if not 0.0 <= sigma_y < np.inf:
        raise ValueError(f"sigma_y {sigma_y} must not be negative: it is the noise's deviation")


def _each(degradation: Degradation, factor: Table, x: Array) -> Array:
    """V factor V^T x: each direction times a factor."""
    return along(degradation.right, factor.astype(x.dtype) * degradation.directions(x))
