"""Diffusion posterior sampling: follow the gradient of the measurement's misfit by x_t.

Chung et al. 2022, arXiv 2209.14687. Inpainting (a mask), deblurring and the rest are one algorithm.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import autograd.numpy as np
from autograd import grad

from ..degradations import Degradation
from ..samplers.common import Denoiser, estimate, steps
from ..schedule import Array, Schedule
from .paths import ancestral_step


def dps(
    schedule: Schedule,
    predict_x0: Denoiser,
    x_T: Array,
    y: Array,
    degradation: Degradation,
    *,
    timesteps: Sequence[int],
    noise: Callable[[int], Array],
    scale: float = 1.0,
    clip: bool = False,
) -> Array:
    """Walk from x_T to an x_0 with A x_0 near y (2209.14687, algorithm 1).

        x_s = (a draw of ancestral sampling) - zeta grad_{x_t} |y - A x0_hat(x_t)|^2,
        zeta = scale / |y - A x0_hat|,

    which is 2 scale times the gradient of the norm itself. The gradient goes through the denoiser.
    The misfit is made small, not zero; how small, scale and the noise on y decide.

    Args:
        predict_x0: a denoiser that ``autograd`` can differentiate.
        x_T: the start, floats (B, ...).
        y: (B, *degradation.measured).
        timesteps: descending within T..1.
        noise: step i draws ``noise(i)``.
        scale: zeta' of the paper, appendix D: 0.1 to 1.

    Raises ValueError for timesteps, shapes or a scale that do not fit.
    """
    pairs = steps(schedule, timesteps)
    check_scale(scale)
    measured = degradation.of_measured(y)
    x = x_T
    for i, (t, s) in enumerate(pairs):
        x0_hat = estimate(predict_x0, x, t, clip)
        coef_x0, coef_xt, var = ancestral_step(schedule, t, s)
        moved = coef_x0 * x0_hat + coef_xt * x
        if s > 0:
            moved = moved + math.sqrt(var) * noise(i)
        slope = misfit_gradient(predict_x0, x, t, measured, degradation, clip)
        x = moved - 2.0 * scale * slope
    return x


def misfit_gradient(
    predict_x0: Denoiser,
    x_t: Array,
    t: float,
    measured: Array,
    degradation: Degradation,
    clip: bool = False,
) -> Array:
    """grad_{x_t} |y - A x0_hat(x_t)| of each item, in the shape of x_t; 0 where there is none.

    In the directions of the degradation |y - A x| = |U^T y - S V^T x|. ``measured``: U^T y.
    """
    singular = degradation.singular.astype(x_t.dtype)

    def misfits(x: Array) -> Array:
        x0_hat = predict_x0(x, np.full(len(x), t))
        x0_hat = np.clip(x0_hat, -1.0, 1.0) if clip else x0_hat
        apart: Array = measured - singular * degradation.directions(x0_hat)
        squares = np.sum(np.reshape(apart**2, (len(x_t), -1)), axis=1)
        total: Array = np.sum(np.sqrt(np.where(squares > 0.0, squares, 1.0)))
        return total

    slope: Array = grad(misfits)(x_t)
    return slope


def check_scale(scale: float) -> None:
    """Raise ValueError for a scale that is negative or no number."""
    if not 0.0 <= scale < math.inf:
        raise ValueError(f"scale {scale} of the gradient must not be negative: 0.1 to 1 is usual")
