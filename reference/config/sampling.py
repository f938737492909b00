"""The configuration of sampling, which can be another one at each time that one draws."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from ..plain import make_plain


@dataclass(frozen=True)
class SamplingConfig:
    """How a trained network is sampled from.

    Attributes:
        sampling_timesteps: steps taken when sampling: fewer than timesteps means DDIM, None or as
            many means ancestral sampling.
        eta: noise that DDIM adds, 0 (none) to 1 (as much as ancestral sampling).
        clip_denoised: clip every estimate of x_0 to the range of images while sampling.

    Raises:
        ValueError: a value out of its range.
    """

    sampling_timesteps: int | None = None
    eta: float = 0.0
    clip_denoised: bool = True

    def __post_init__(self) -> None:
        make_plain(self)
        if not 0.0 <= self.eta <= 1.0:
            raise ValueError(f"eta {self.eta} must be from 0 to 1")
        if self.sampling_timesteps is not None and self.sampling_timesteps < 1:
            raise ValueError(f"sampling_timesteps {self.sampling_timesteps} must be at least 1")

    def but(self, **options: Any) -> SamplingConfig:
        """This configuration with other options (None: as they are)."""
        return replace(self, **{name: v for name, v in options.items() if v is not None})

    def steps(self, timesteps: int) -> int:
        """How many steps are taken of T = ``timesteps``; ValueError for more than there are."""
        n = timesteps if self.sampling_timesteps is None else self.sampling_timesteps
        if n > timesteps:
            raise ValueError(
                f"sampling_timesteps {n} must be from 1 to timesteps, which is {timesteps}"
            )
        return n

    def sampler(self, timesteps: int) -> str:
        """What takes them: "ancestral" or "ddim"."""
        return "ancestral" if self.steps(timesteps) == timesteps else "ddim"
