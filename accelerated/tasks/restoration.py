"""Restoration and inpainting on the device: one step, which puts in what is known.

``reference/tasks/restoration.py`` states DDNM. In the directions of the degradation, what is known
of the result is a target for some of them:

    x_s = a x_t + b x0_hat + V gain (target - V^T (p x_t + q x0_hat)) + added

with p = 0 and q = b it is DDNM, which corrects the estimate; with p = a and q = b it is RePaint,
which corrects the result. All but x_t and x0_hat comes from the host.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from mindspore import Tensor
from numpy.typing import NDArray

from ...reference.degradations import Degradation, along
from ...reference.tasks.paths import ancestral_step, with_jumps
from ...reference.tasks.restoration import check_sigma, weights
from ..degradations import into_directions, on_device, out_of_directions
from ..denoiser import Denoiser
from .paths import Array, Noise, Solver, factors, tensor


def restoration_step(predict_x0: Denoiser) -> Callable[..., tuple[Tensor, Tensor]]:
    """The device step: the next x, and x0_hat.

    It takes x, levels, added, condition, x_self_cond, target, gain, bases and the factors (a, b, p,
    q). Shapes: x, added, x_self_cond, target (B, C, *spatial); gain (1, C, *spatial).
    """

    def step(x, levels, added, condition, x_self_cond, target, gain, bases, factors):  # type: ignore[no-untyped-def]
        x0_hat = predict_x0(x, levels, condition, x_self_cond)
        moved = factors[0] * x + factors[1] * x0_hat
        seen = into_directions(bases, factors[2] * x + factors[3] * x0_hat)
        return moved + out_of_directions(bases, gain * (target - seen)) + added, x0_hat

    return step


def ddnm(
    solver: Solver,
    x_T: Array,
    y: NDArray[Any],
    degradation: Degradation,
    *,
    timesteps: Sequence[int],
    noise: Noise,
    sigma_y: float = 0.0,
    jump_length: int = 1,
    jump_repeats: int = 1,
) -> Array:
    """As ``reference.tasks.restoration.ddnm`` (2212.00490); the result is float32, on the host."""
    check_sigma(sigma_y)
    directions = on_device(degradation)
    target = degradation.inverse * degradation.of_measured(np.asarray(y, np.float64))

    def told(i: int, t: float, s: float) -> tuple[Any, ...]:
        b, a, _ = ancestral_step(solver.schedule, t, s)
        share, var = weights(solver.schedule, t, s, degradation, sigma_y)
        added = np.zeros(x_T.shape)
        if s > 0:
            each = np.sqrt(var) * degradation.directions(noise(i).astype(np.float64))
            added = along(degradation.right, each)
        gain = (share * degradation.known)[None]
        return (
            *(tensor(added), tensor(b * target), tensor(gain), directions.bases),
            factors(a, b, 0.0, b),
        )

    moves = with_jumps(timesteps, jump_length, jump_repeats)
    return solver.walk(solver.graph(restoration_step), moves, x_T, noise, told)
