"""Diffusion posterior sampling on the device; ``reference/tasks/posterior_sampling.py`` states it.

The gradient by x_t goes through the network, in one compiled step.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import mindspore as ms
import numpy as np
from mindspore import Tensor, ops
from numpy.typing import NDArray

from ...reference.degradations import Degradation
from ...reference.tasks.paths import ancestral_step, with_jumps
from ...reference.tasks.posterior_sampling import check_scale
from ..degradations import into_directions, on_device
from ..denoiser import Denoiser
from .paths import Array, Noise, Solver, factors, tensor


def posterior_step(predict_x0: Denoiser) -> Callable[..., tuple[Tensor, Tensor]]:
    """The device step: the next x, and x0_hat.

    It takes x, levels, noise, condition, x_self_cond, measured (U^T y), singular, bases, and the
    factors of x, x0_hat, noise and the gradient. Shapes: as in ``restoration_step``.
    """

    def misfits(x, levels, condition, x_self_cond, measured, singular, bases):  # type: ignore[no-untyped-def]
        x0_hat = predict_x0(x, levels, condition, x_self_cond)
        apart = (measured - singular * into_directions(bases, x0_hat)).reshape(x.shape[0], -1)
        # A product of matrices: a reduction over an axis takes longer on a CPU.
        squares = ops.matmul(apart * apart, ops.ones((apart.shape[1], 1), apart.dtype))
        norms = ops.sqrt(ops.select(squares > 0.0, squares, ops.ones_like(squares)))
        return norms.sum(), x0_hat

    gradient = ms.value_and_grad(misfits, 0, None, has_aux=True)

    def step(x, levels, noise, condition, x_self_cond, measured, singular, bases, factors):  # type: ignore[no-untyped-def]
        (_, x0_hat), slope = gradient(x, levels, condition, x_self_cond, measured, singular, bases)
        moved = factors[0] * x + factors[1] * x0_hat + factors[2] * noise
        return moved - factors[3] * slope, x0_hat

    return step


def dps(
    solver: Solver,
    x_T: Array,
    y: NDArray[Any],
    degradation: Degradation,
    *,
    timesteps: Sequence[int],
    noise: Noise,
    scale: float = 1.0,
) -> Array:
    """As ``reference.tasks.posterior_sampling.dps`` (2209.14687); float32, on the host."""
    check_scale(scale)
    directions = on_device(degradation)
    measured = tensor(degradation.of_measured(np.asarray(y, np.float64)))
    nothing = tensor(np.zeros(x_T.shape))

    def told(i: int, t: float, s: float) -> tuple[Any, ...]:
        b, a, var = ancestral_step(solver.schedule, t, s)
        drawn = tensor(noise(i)) if s > 0 else nothing
        of_each = factors(a, b, math.sqrt(var), 2.0 * scale)
        return drawn, measured, directions.singular, directions.bases, of_each

    return solver.walk(solver.graph(posterior_step), with_jumps(timesteps), x_T, noise, told)
