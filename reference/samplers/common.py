"""What every sampler needs: its steps, its noise checked, and the denoiser called."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import TypeAlias

import numpy as np

from ..process import check_arrays
from ..schedule import Array, Schedule

Denoiser: TypeAlias = Callable[[Array, Array], Array]
"""``predict_x0(x_t, t)`` of ``denoiser``; what is known besides, the function knows (``given``)."""


def steps(schedule: Schedule, timesteps: Sequence[int]) -> list[tuple[int, int]]:
    """The pairs (t, s) of a walk down ``timesteps``: from t to the next lower s, at last to 0.

    Raises ValueError unless they are integers that descend strictly within T..1.
    """
    path = [*map(int, timesteps), 0]
    whole = len(path) > 1 and path[:-1] == list(timesteps)
    if not whole or path[0] > schedule.T or any(t <= s for t, s in pairwise(path)):
        raise ValueError(
            f"timesteps {timesteps!r} do not descend strictly from at most {schedule.T} to at "
            "least 1: use spaced_timesteps(T, n)"
        )
    return list(pairwise(path))


def check_inputs(x_T: Array, noise: Array | None, n: int) -> None:
    """Raise ValueError unless x_T is floats and noise, if any, holds one array for each step."""
    check_arrays(x_T=x_T)
    if noise is not None and np.shape(noise) != (n, *x_T.shape):
        raise ValueError(
            f"noise has shape {np.shape(noise)}: {n} steps from x_T {x_T.shape} need "
            f"{(n, *x_T.shape)}, whose last entry is not read"
        )


def estimate(predict_x0: Denoiser, x_t: Array, t: float, clip: bool) -> Array:
    """x0_hat at one step for the whole batch, clipped to [-1, 1] where asked."""
    x0_hat = predict_x0(x_t, np.full(len(x_t), t))
    check_arrays(x_t=x_t, x0_hat=x0_hat)
    return np.clip(x0_hat, -1.0, 1.0) if clip else x0_hat
