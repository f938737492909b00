"""What every sampler needs: its levels of noise, its noise checked, and the denoiser called."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TypeAlias

import autograd.numpy as np

from ..process import check_arrays
from ..schedule import Array, Schedule, levels_at
from ..spacing import check_timesteps

Denoiser: TypeAlias = Callable[[Array, Array], Array]
"""``predict_x0(x_t, t)`` of ``denoiser``; what is known besides, the function knows (``given``)."""


@dataclass(frozen=True)
class Level:
    """A time, and how much is left of the data there: x_t = signal x_0 + noise eps.

    Attributes:
        t: from 0 (the data) to T, a whole number or one between.
        signal, noise: signal^2 + noise^2 = 1.
    """

    t: float
    signal: float
    noise: float

    @property
    def log_snr(self) -> float:
        """lambda = log(signal / noise): inf at t = 0, -inf where no signal is left."""
        if self.noise == 0.0:
            return math.inf
        return math.log(self.signal / self.noise) if self.signal > 0.0 else -math.inf

    @property
    def sigma(self) -> float:
        """noise / signal, how noisy x_t / signal is: 0 at t = 0, inf where no signal is left."""
        return self.noise / self.signal if self.signal > 0.0 else math.inf


def levels(schedule: Schedule, times: Sequence[float]) -> list[Level]:
    """The levels at times in 0..T, whole or real."""
    of_each = zip(times, *levels_at(schedule, times), strict=True)
    return [
        Level(int(t) if t == int(t) else float(t), float(signal), float(noise))
        for t, signal, noise in of_each
    ]


def steps(schedule: Schedule, timesteps: Sequence[float]) -> list[tuple[float, float]]:
    """The pairs (t, s) of a walk down ``timesteps``: from t to the next lower s, at last to 0.

    Raises ValueError unless the times descend strictly within T..1.
    """
    return [(t.t, s.t) for t, s in walk_down(schedule, timesteps)]


def walk_down(schedule: Schedule, timesteps: Sequence[float]) -> list[tuple[Level, Level]]:
    """The same with the levels at these times."""
    times = tuple(timesteps)
    check_timesteps(schedule.T, times)
    return list(pairwise(levels(schedule, (*times, 0))))


def check_inputs(x_T: Array, noise: Array | None, n: int, needed: str = "") -> None:
    """Raise ValueError unless x_T is floats and noise, if any, holds one array for each step.

    ``needed``: what needs noise, where it may not be left out.
    """
    check_arrays(x_T=x_T)
    if noise is None and needed:
        raise ValueError(f"{needed} needs noise of shape ({n}, *x_T.shape)")
    if noise is not None and np.shape(noise) != (n, *x_T.shape):
        raise ValueError(
            f"noise has shape {np.shape(noise)}: {n} steps from x_T {x_T.shape} need "
            f"{(n, *x_T.shape)}"
        )


def estimate(predict_x0: Denoiser, x_t: Array, t: float, clip: bool) -> Array:
    """x0_hat at one step for the whole batch, clipped to [-1, 1] where asked."""
    x0_hat = predict_x0(x_t, np.full(len(x_t), t))
    check_arrays(x_t=x_t, x0_hat=x0_hat)
    return np.clip(x0_hat, -1.0, 1.0) if clip else x0_hat


def eps_of(x_t: Array, x0_hat: Array, at: Level) -> Array:
    """The noise that x0_hat leaves in x_t: (x_t - signal x0_hat) / noise."""
    eps: Array = (x_t - at.signal * x0_hat) / at.noise
    return eps


def first_order(x_t: Array, x0_hat: Array, at: Level, to: Level) -> Array:
    """The step that all solvers of first order are: signal_s x0_hat + noise_s eps_hat.

    2010.02502, eq. 12 without noise; it has no singular level: from no signal, and to t = 0, where
    it gives x0_hat.
    """
    moved: Array = to.signal * x0_hat + to.noise * eps_of(x_t, x0_hat, at)
    return moved
