"""The configuration of what training draws: times and noise."""

from __future__ import annotations

from dataclasses import dataclass

from ..plain import check_choice, make_plain

TIMES = ("steps", "uniform", "log_normal")


@dataclass(frozen=True)
class DrawsConfig:
    """At which times and with which noise the network is trained.

    Attributes:
        time_distribution: steps (t is one of 1, 2, ..., T), uniform (any number from 1 to T) or
            log_normal (log(noise / signal) is normal, arXiv 2206.00364, table 1; with flow this is
            the logit-normal of 2403.03206). Samplers may ask at any of them.
        p_mean, p_std: mean and standard deviation of that logarithm.
        offset_noise: this times one more normal number for each image and channel is added to its
            noise, so that brightness is learned too (0: none).
        immiscible: within a batch every image is given the noise that lies near it
            (arXiv 2406.12303).

    Raises:
        ValueError: a value out of its range.
    """

    time_distribution: str = "steps"
    p_mean: float = -1.2
    p_std: float = 1.2
    offset_noise: float = 0.0
    immiscible: bool = False

    def __post_init__(self) -> None:
        make_plain(self)
        check_choice("time_distribution", self.time_distribution, TIMES)
        if not self.p_std > 0:
            raise ValueError(f"p_std {self.p_std} must be positive")
        if self.offset_noise < 0:
            raise ValueError(f"offset_noise {self.offset_noise} must not be negative")
