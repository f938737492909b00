"""Diffusion posterior sampling: follow the gradient of the measurement's misfit by x_t.

Chung et al. 2022, arXiv 2209.14687. Inpainting (a mask), deblurring and the rest are one algorithm.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
from autograd.core import make_vjp

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
    x = x_T
    for i, (t, s) in enumerate(pairs):
        x0_hat, slope = misfit_gradient(predict_x0, x, t, y, degradation, clip)
        coef_x0, coef_xt, var = ancestral_step(schedule, t, s)
        moved = coef_x0 * x0_hat + coef_xt * x
        if s > 0:
            moved = moved + math.sqrt(var) * noise(i)
        x = moved - 2.0 * scale * slope
    return x


def misfit_gradient(
    predict_x0: Denoiser,
    x_t: Array,
    t: float,
    y: Array,
    degradation: Degradation,
    clip: bool = False,
) -> tuple[Array, Array]:
    """x0_hat at x_t, and the gradient of each item's misfit: grad_{x_t} |y - A x0_hat(x_t)|.

    The chain rule: A^T (A x0_hat - y) / |y - A x0_hat|, through the denoiser. 0 where there is no
    misfit.
    """
    back, x0_hat = make_vjp(lambda x: estimate(predict_x0, x, t, clip), x_t)
    apart = degradation(x0_hat) - y
    squares = np.sum(apart.reshape(len(apart), -1) ** 2, axis=1)
    norms = np.sqrt(np.where(squares > 0.0, squares, 1.0)).reshape((-1,) + (1,) * (x_t.ndim - 1))
    return x0_hat, back(degradation.transpose(apart / norms))


def check_scale(scale: float) -> None:
    """Raise ValueError for a scale that is negative or no number."""
    if not 0.0 <= scale < math.inf:
        raise ValueError(f"scale {scale} of the gradient must not be negative: 0.1 to 1 is usual")
