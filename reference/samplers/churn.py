"""Noise that EDM's samplers add before a step, to be taken away with it again.

Karras et al. 2022, arXiv 2206.00364, algorithm 2, lines 4 to 6.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from ..schedule import Array, Schedule, time_of
from .common import Level, levels


@dataclass(frozen=True)
class Churn:
    """How much noise is added, and where; in sigma = noise / signal, as the paper measures it.

    Attributes:
        s_churn: how much in all; 0 is none.
        s_tmin, s_tmax: added where s_tmin <= sigma <= s_tmax.
        s_noise: its standard deviation, 1 where the denoiser is perfect.

    Raises ValueError for a value out of its range.
    """

    s_churn: float = 0.0
    s_tmin: float = 0.0
    s_tmax: float = math.inf
    s_noise: float = 1.0

    def __post_init__(self) -> None:
        for name in ("s_churn", "s_tmin", "s_tmax", "s_noise"):
            value = getattr(self, name)
            if not value >= 0.0:
                raise ValueError(f"{name} {value} must not be negative")

    @property
    def needed(self) -> str:
        """What needs noise, for ``check_inputs``; nothing if none is added."""
        return f"s_churn {self.s_churn}" if self.s_churn > 0.0 else ""

    def hats(self, schedule: Schedule, walk: Sequence[tuple[Level, Level]]) -> list[Level]:
        """The level to which noise is added before each step: sigma + gamma sigma.

        gamma = min(s_churn / n, sqrt(2) - 1) within s_tmin..s_tmax, else 0. Before the first step
        there is no other noise than that which the walk begins with, and none leads above T: where
        sigma_T would be exceeded, as much is added as leads to T.
        """
        gamma = min(self.s_churn / len(walk), math.sqrt(2.0) - 1.0)

        def hat(t: Level) -> Level:
            if gamma == 0.0 or not self.s_tmin <= t.sigma <= self.s_tmax:
                return t
            return levels(schedule, [float(time_of(schedule, t.log_snr - math.log1p(gamma)))])[0]

        return [walk[0][0], *(hat(t) for t, _ in walk[1:])]

    def factors(self, t: Level, t_hat: Level) -> tuple[float, float]:
        """Those of x_t and of noise in x_hat.

        In the paper's variable, x / signal, it is x + sqrt(sigma_hat^2 - sigma^2) s_noise noise.
        """
        if t_hat.t == t.t:
            return 1.0, 0.0
        added = math.sqrt(t_hat.noise**2 - (t_hat.signal * t.sigma) ** 2)
        return t_hat.signal / t.signal, self.s_noise * added

    def apply(self, x: Array, t: Level, t_hat: Level, noise: Array | None) -> Array:
        """x_hat at t_hat from x at t."""
        of_x, of_noise = self.factors(t, t_hat)
        return x if noise is None or of_noise == 0.0 else of_x * x + of_noise * noise
