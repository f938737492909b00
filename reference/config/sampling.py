"""The configuration of sampling, which can be another one at each time that one draws."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

from ..plain import Unbounded, check_choice, make_plain
from .diffusion import DiffusionConfig
from .network import NetworkConfig
from .samplers import SAMPLERS, SPACINGS, VARIANCES, VARIANTS, check_sampler

DEFAULT_SAMPLER = "unipc"
DEFAULT_STEPS = 20
DEFAULT_SPACING = "uniform"
"""What is drawn with when nothing is said: see the table of quality against evaluations."""

OPTIONS = tuple(dict.fromkeys(option for own in SAMPLERS.values() for option in own))
"""Every option that some sampler has."""


@dataclass(frozen=True)
class SamplingConfig:
    """How a trained network is sampled from.

    Attributes:
        sampler: ancestral, ddim, euler, heun, plms, dpm++2s, dpm++2m, dpm++3m, dpm++2m-sde, unipc
            or deis (None: unipc, or ddim where eta is given).
        sampling_timesteps: steps taken when sampling (None: 20, or as many as timesteps if these
            are fewer; ancestral takes all). heun and dpm++2s ask the network twice a step.
        spacing: at which times: uniform, trailing, leading, linspace, quadratic, log_snr, karras,
            or the times themselves, descending from at most timesteps to at least 1 (None:
            uniform; of heun log_snr).
        eta: of ddim, the noise that it adds, 0 (none, which is None) to 1 (as ancestral).
        variance: of ancestral, of the noise that it adds: posterior (None), beta, or learned, of a
            network that has learned it.
        s_churn: of euler and heun, noise that is added on the way, and taken away again (None: 0).
        s_tmin: where: from this noise / signal on (None: 0).
        s_tmax: and up to this (None: everywhere).
        s_noise: and its deviation (None: 1).
        order: of unipc, 2 (None) or 3; of deis, 1 to 3 (None).
        variant: of unipc, bh1 or bh2 (None).
        clip_denoised: clip every estimate of x_0 to the range of images while sampling.
        dynamic_threshold: instead, squeeze an estimate whose pixels leave that range: until this
            share of them, as 0.995, is in it (arXiv 2205.11487).
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
        ValueError: a value out of its range, or an option that the sampler has not.
    """

    sampler: str | None = None
    sampling_timesteps: int | None = None
    spacing: str | tuple[float, ...] | None = None
    eta: float | None = None
    variance: str | None = None
    s_churn: float | None = None
    s_tmin: float | None = None
    s_tmax: Unbounded | None = None
    s_noise: float | None = None
    order: int | None = None
    variant: str | None = None
    clip_denoised: bool = True
    dynamic_threshold: float | None = None
    cond_scale: float = 1.0
    guidance_interval: tuple[float, float] | None = None
    guidance_rescale: float = 0.0
    guidance_parallel: float = 1.0
    guidance_norm: float | None = None
    guidance_momentum: float = 0.0

    def __post_init__(self) -> None:
        make_plain(self)
        if isinstance(self.spacing, str) and self.spacing[:1].isdigit():
            object.__setattr__(self, "spacing", _times(self.spacing))
        self._check_ranges()
        self._check_guidance()
        check_sampler(self.name, self.options)
        if isinstance(self.spacing, tuple):
            self._check_times(self.spacing)
        if self.order == 1 and self.name == "unipc":
            raise ValueError("order 1 of sampler 'unipc' is unknown: choose 2 or 3")

    def _check_ranges(self) -> None:
        if self.eta is not None and not 0.0 <= self.eta <= 1.0:
            raise ValueError(f"eta {self.eta} must be from 0 to 1")
        if self.sampling_timesteps is not None and self.sampling_timesteps < 1:
            raise ValueError(f"sampling_timesteps {self.sampling_timesteps} must be at least 1")
        choices: dict[str, tuple[str, ...]] = {"variance": VARIANCES, "variant": VARIANTS}
        if isinstance(self.spacing, str):
            choices["spacing"] = SPACINGS
        for name, known in choices.items():
            if getattr(self, name) is not None:
                check_choice(name, getattr(self, name), known)
        if self.order is not None and not 1 <= self.order <= 3:
            raise ValueError(f"order {self.order} must be from 1 to 3")
        for name in ("s_churn", "s_tmin", "s_tmax", "s_noise"):
            if (value := getattr(self, name)) is not None and value < 0:
                raise ValueError(f"{name} {value} must not be negative")
        if None not in (self.s_tmin, self.s_tmax) and self.s_tmin > self.s_tmax:  # type: ignore[operator]
            raise ValueError(
                f"s_tmin {self.s_tmin} is above s_tmax {self.s_tmax}: no noise would be added"
            )
        if self.dynamic_threshold is not None:
            if not 0.0 < self.dynamic_threshold <= 1.0:
                raise ValueError(
                    f"dynamic_threshold {self.dynamic_threshold} must be above 0 and at most 1: it "
                    "is a share of the pixels"
                )
            if not self.clip_denoised:
                raise ValueError(
                    f"dynamic_threshold {self.dynamic_threshold} is a way of clipping: leave "
                    "clip_denoised on"
                )

    def _check_times(self, times: tuple[float, ...]) -> None:
        if not times:
            raise ValueError("spacing () must hold the times of the steps, or name a rule")
        if not all(t > s for t, s in pairwise((*times, 0.0))) or times[-1] < 1:
            raise ValueError(f"spacing {_listed(times)} must descend, to at least 1")
        if self.sampling_timesteps not in (None, len(times)):
            raise ValueError(
                f"sampling_timesteps {self.sampling_timesteps} and the {len(times)} times of "
                f"spacing {_listed(times)} contradict each other: leave one out"
            )

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

    def check_network(self, network: NetworkConfig) -> None:
        """Raise ValueError where a learned variance is asked for, of a network that has none."""
        if self.variance == "learned" and not network.learned_variance:
            raise ValueError(
                "variance 'learned' needs a network with learned_variance (train "
                "--learned-variance): choose posterior or beta"
            )

    @property
    def guides(self) -> bool:
        """Whether estimates are changed at all: a scale of 1 leaves them as they are."""
        return self.cond_scale != 1.0

    @property
    def name(self) -> str:
        """The sampler that is meant."""
        usual = "ddim" if self.eta is not None else DEFAULT_SAMPLER
        return usual if self.sampler is None else self.sampler

    @property
    def options(self) -> dict[str, Any]:
        """What it is told of its own options, by name."""
        told = {name: getattr(self, name) for name in OPTIONS}
        return {name: value for name, value in told.items() if value is not None}

    @property
    def rule(self) -> str | tuple[float, ...]:
        """The spacing that is meant, or the times.

        Heun's steps are in noise / signal, which evenly spaced times fall by decades of.
        """
        return self.spacing or ("log_snr" if self.name == "heun" else DEFAULT_SPACING)

    def but(self, **options: Any) -> SamplingConfig:
        """This configuration with other options (None: as they are).

        With another sampler, options that it has not are left out.

        Raises ValueError as the constructor does, for those that are given.
        """
        given = {name: value for name, value in options.items() if value is not None}
        name = given.get("sampler", "ddim" if "eta" in given and not self.sampler else self.name)
        check_sampler(name, {n: v for n, v in given.items() if n in OPTIONS})
        # An order of one is none of another.
        foreign = dict.fromkeys(OPTIONS if name != self.name else ())
        # Times that are given have a number; one of two says both.
        if "spacing" in given and given["spacing"] not in SPACINGS:
            foreign["sampling_timesteps"] = None
        elif "sampling_timesteps" in given and isinstance(self.spacing, tuple):
            foreign["spacing"] = None
        return replace(self, **{**foreign, **given})

    def steps(self, timesteps: int) -> int:
        """How many steps are taken of T = ``timesteps``; ValueError for more than there are."""
        usual = timesteps if self.name == "ancestral" else min(DEFAULT_STEPS, timesteps)
        if isinstance(self.spacing, tuple):
            usual = len(self.spacing)
            if self.spacing[0] > timesteps:
                raise ValueError(
                    f"spacing {_listed(self.spacing)} must begin at timesteps, which is "
                    f"{timesteps}, or below"
                )
        n = usual if self.sampling_timesteps is None else self.sampling_timesteps
        if n > timesteps:
            raise ValueError(
                f"sampling_timesteps {n} must be from 1 to timesteps, which is {timesteps}"
            )
        return n

    def facts(self, timesteps: int) -> dict[str, Any]:
        """What draws, by the names of the options that say more than the default."""
        told = {"sampler": self.name, "steps": self.steps(timesteps), "spacing": self.rule}
        if self.dynamic_threshold is not None:
            told["dynamic_threshold"] = self.dynamic_threshold
        return {**told, **self.options}


def _listed(times: tuple[float, ...]) -> str:
    return ",".join(f"{t:g}" for t in times)


def check_together(
    network: NetworkConfig, diffusion: DiffusionConfig, sampling: SamplingConfig
) -> None:
    """Raise ValueError unless the network can be trained so, and drawn from so."""
    network.check_out_channels()
    diffusion.check_network(network)
    sampling.check_network(network)
    sampling.steps(diffusion.timesteps)


def _times(text: str) -> tuple[float, ...]:
    """Times that are given as a text, with commas; ValueError where one is no number."""
    try:
        return tuple(map(float, text.split(",")))
    except ValueError:
        raise ValueError(
            f"spacing {text!r} must be a name or times with commas between them, as 900,300.5,10"
        ) from None
