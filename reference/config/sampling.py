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
        cond_scale: how much is made of what is asked for, of a network that is told a class or has
            a weaker one beside it: 1 nothing more, 0 no class, above 1 guidance (arXiv 2207.12598,
            whose w is this less 1).
        guidance_interval: guide only where the noise, as a multiple of the signal, is above the
            first and not above the second (arXiv 2404.07724; default: everywhere).
        guidance_rescale: share in which guided estimates get back the spread they had before,
            0 to 1 (arXiv 2305.08891).
        guidance_parallel: share that is kept of a change that only makes the estimate stronger: 1
            all of it, 0 as adaptive projected guidance has it (arXiv 2410.02416).
        guidance_norm: the largest change of an estimate, by its Euclidean norm (likewise; default:
            any).
        guidance_momentum: share of the last step's change that is added, negative as a rule
            (likewise), above -1 and below 1.

    Raises:
        ValueError: a value out of its range.
    """

    sampling_timesteps: int | None = None
    eta: float = 0.0
    clip_denoised: bool = True
    cond_scale: float = 1.0
    guidance_interval: tuple[float, float] | None = None
    guidance_rescale: float = 0.0
    guidance_parallel: float = 1.0
    guidance_norm: float | None = None
    guidance_momentum: float = 0.0

    def __post_init__(self) -> None:
        make_plain(self)
        if not 0.0 <= self.eta <= 1.0:
            raise ValueError(f"eta {self.eta} must be from 0 to 1")
        if self.sampling_timesteps is not None and self.sampling_timesteps < 1:
            raise ValueError(f"sampling_timesteps {self.sampling_timesteps} must be at least 1")
        self._check_guidance()

    def _check_guidance(self) -> None:
        if not self.cond_scale >= 0.0:
            raise ValueError(f"cond_scale {self.cond_scale} must not be negative")
        if self.guidance_interval is not None:
            low, high = self.guidance_interval
            if not 0.0 <= low < high:
                raise ValueError(
                    f"guidance_interval {self.guidance_interval} must rise from 0 or more"
                )
        for name in ("guidance_rescale", "guidance_parallel"):
            if not 0.0 <= getattr(self, name) <= 1.0:
                raise ValueError(f"{name} {getattr(self, name)} must be from 0 to 1")
        if self.guidance_norm is not None and not self.guidance_norm > 0.0:
            raise ValueError(f"guidance_norm {self.guidance_norm} must be positive")
        if not -1.0 < self.guidance_momentum < 1.0:
            raise ValueError(
                f"guidance_momentum {self.guidance_momentum} must be above -1 and below 1"
            )

    @property
    def guides(self) -> bool:
        """Whether estimates are changed at all: a scale of 1 leaves them as they are."""
        return self.cond_scale != 1.0

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
