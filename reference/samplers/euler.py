"""Euler steps down the probability flow, with churn: DDIM, and noise that is taken away again.

Karras et al. 2022, arXiv 2206.00364, algorithm 2 without its correction.
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
    """Walk from x_T to x_0: add noise, and go along the flow by its slope there.

    In y = x / signal and sigma = noise / signal each step from sigma_t to sigma_s is

        y_hat = y + sqrt(sigma_hat^2 - sigma_t^2) s_noise noise[i],  sigma_hat = (1 + gamma) sigma_t
        y_s   = y_hat + (sigma_s - sigma_hat) d,  d = (y_hat - x0_hat) / sigma_hat

    and since d is eps_hat, x_s = signal_s x0_hat + noise_s eps_hat: without churn this is DDIM.

    Args: as of ``ancestral.sample``, but noise is needed only where s_churn > 0; noise[0] is not
    read: the walk begins with noise. ``churn``: the fields of ``Churn``.

    Returns x_0, of the shape of x_T. Raises ValueError for arguments that do not fit.
    """
    added, walk = Churn(**churn), walk_down(schedule, timesteps)
    check_inputs(x_T, noise, len(walk), needed=added.needed)
    x = x_T
    for i, ((t, s), t_hat) in enumerate(zip(walk, added.hats(schedule, walk), strict=True)):
        x_hat = added.apply(x, t, t_hat, None if noise is None else noise[i])
        x = first_order(x_hat, estimate(predict_x0, x_hat, t_hat.t, clip), t_hat, s)
    return x
