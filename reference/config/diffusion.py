"""The configuration of the diffusion process, and of what is learned about it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ..plain import check_choice, make_plain
from .draws import DrawsConfig
from .network import NetworkConfig

SCHEDULES = ("linear", "cosine", "sigmoid", "scaled_linear")
"""Rules for how much noise each step adds; ``schedule`` states them."""

PREDICTIONS = ("pred_noise", "pred_x0", "pred_v")
"""Objectives whose network sees x_t as it is: those that other packages have under these names."""

OBJECTIVES = (*PREDICTIONS, "flow", "edm", "x0_v_loss")
LOSSES = ("l1", "l2", "huber")
SIGMA_DATA = 0.5
"""The standard deviation of images in [-1, 1], about (2206.00364, table 1)."""

_NEEDS_SIGNAL = {
    "pred_noise": "the noise does not tell x_0",
    "edm": "sigma = noise / signal is infinite",
}


def check_terminal_snr(objective: str) -> None:
    """Raise ValueError for an objective that cannot be used where nothing of x_0 is left."""
    if objective in _NEEDS_SIGNAL:
        raise ValueError(
            f"objective {objective!r} cannot be used with zero_terminal_snr (at t = T "
            f"{_NEEDS_SIGNAL[objective]}): use pred_v, pred_x0 or flow"
        )


def check_weight_rule(
    objective: str,
    p2_loss_weight_gamma: float,
    p2_loss_weight_k: float,
    min_snr_loss_weight: bool,
    min_snr_gamma: float,
    sigma_data: float,
) -> None:
    """Raise ValueError for a number out of its range, and for two rules for one weight."""
    if p2_loss_weight_gamma < 0:
        raise ValueError(f"p2_loss_weight_gamma {p2_loss_weight_gamma} must not be negative")
    positive = {
        "p2_loss_weight_k": p2_loss_weight_k,
        "min_snr_gamma": min_snr_gamma,
        "sigma_data": sigma_data,
    }
    for name, value in positive.items():
        if not value > 0:
            raise ValueError(f"{name} {value} must be positive")
    if p2_loss_weight_gamma and min_snr_loss_weight:
        raise ValueError(
            f"p2_loss_weight_gamma {p2_loss_weight_gamma} and min_snr_loss_weight are two rules "
            "for one weight: choose one"
        )
    if objective == "x0_v_loss" and (p2_loss_weight_gamma or min_snr_loss_weight):
        rule = "min_snr_loss_weight" if min_snr_loss_weight else "p2_loss_weight_gamma"
        raise ValueError(
            f"objective 'x0_v_loss' is a weight itself, and {rule} another one: choose pred_x0 "
            "with that rule"
        )


@dataclass(frozen=True)
class ObjectiveConfig:
    """What the network predicts, and how its answer is scored.

    Attributes:
        objective: what the network predicts: pred_noise, pred_x0 or pred_v; flow, the velocity
            noise - x_0 of a straight path (2210.02747, 2209.03003); edm, what is left of x_0 in
            the scales of 2206.00364; x0_v_loss, x_0 with the error of that velocity (2511.13720).
        loss_type: l1, l2 or huber.
        p2_loss_weight_gamma: weigh the loss by 1 / (k + SNR)^gamma; 0 turns it off (2204.00227).
        p2_loss_weight_k: the k of that weight.
        min_snr_loss_weight: weigh the loss by min(SNR, gamma) / SNR (2303.09556).
        min_snr_gamma: the gamma of that weight.
        vlb_weight: of a network with a learned variance, what the variational bound counts in the
            loss, in bits per dimension (arXiv 2102.09672, eq. 16).
        sigma_data: the standard deviation of the data that edm assumes, on the scale of the
            process: [-1, 1] for images.

    Raises:
        ValueError: a value out of its range, or two rules for one weight.
    """

    objective: str = "pred_v"
    loss_type: str = "l2"
    p2_loss_weight_gamma: float = 0.0
    p2_loss_weight_k: float = 1.0
    min_snr_loss_weight: bool = False
    min_snr_gamma: float = 5.0
    vlb_weight: float = 0.001
    sigma_data: float = SIGMA_DATA

    def __post_init__(self) -> None:
        make_plain(self)
        check_choice("objective", self.objective, OBJECTIVES)
        check_choice("loss_type", self.loss_type, LOSSES)
        check_weight_rule(self.objective, **self.weight_rule)
        if not self.vlb_weight >= 0:
            raise ValueError(f"vlb_weight {self.vlb_weight} must not be negative")

    @property
    def weight_rule(self) -> dict[str, Any]:
        """The options of ``objective.loss_weight``, by name."""
        names = (
            *("p2_loss_weight_gamma", "p2_loss_weight_k", "min_snr_loss_weight", "min_snr_gamma"),
            "sigma_data",
        )
        return {name: getattr(self, name) for name in names}


@dataclass(frozen=True)
class DiffusionConfig(DrawsConfig, ObjectiveConfig):
    """The diffusion process, and what is learned about it.

    Attributes:
        timesteps: number T of noising steps.
        beta_schedule: linear, cosine, sigmoid or scaled_linear (that of latent diffusion).
        zero_terminal_snr: rescale the schedule so that step T is pure noise (arXiv 2305.08891).
        auto_normalize: data lie in [0, 1], as pixels, and become [-1, 1] for the process: the
            columns of a table by their range. Off: data are standardised, an array is taken as it
            is, and what is drawn is never clipped.

    Raises:
        ValueError: a value out of its range, or two that contradict each other.
    """

    timesteps: int = 1000
    beta_schedule: str = "sigmoid"
    zero_terminal_snr: bool = False
    auto_normalize: bool = True

    def __post_init__(self) -> None:
        ObjectiveConfig.__post_init__(self)
        DrawsConfig.__post_init__(self)
        check_choice("beta_schedule", self.beta_schedule, SCHEDULES)
        if self.timesteps < 1:
            raise ValueError(f"timesteps {self.timesteps} must be at least 1")
        if self.zero_terminal_snr:
            check_terminal_snr(self.objective)

    def check_network(self, network: NetworkConfig) -> None:
        """Raise ValueError for what is not defined on the data or the times of a network."""
        if self.offset_noise and network.rank == 0:
            raise ValueError(
                f"offset_noise {self.offset_noise} moves all values of a channel alike, and "
                "vectors have one value in each: leave it out"
            )
        if network.learned_variance and not self.auto_normalize:
            raise ValueError(
                "learned_variance learns from the price of 8-bit pixels, and data without "
                "auto_normalize are none: leave one of them out"
            )
        if network.learned_variance and self.time_distribution != "steps":
            raise ValueError(
                f"time_distribution {self.time_distribution!r} draws no whole steps, whose "
                "variance learned_variance learns: leave one of them out"
            )
