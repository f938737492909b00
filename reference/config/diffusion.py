"""The configuration of the diffusion process, and of what is learned about it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ..plain import check_choice, make_plain
from .network import NetworkConfig

SCHEDULES = ("linear", "cosine", "sigmoid")
"""Rules for how much noise each step adds; ``schedule`` states them."""

OBJECTIVES = ("pred_noise", "pred_x0", "pred_v")
LOSSES = ("l1", "l2", "huber")


def check_weight_rule(
    p2_loss_weight_gamma: float,
    p2_loss_weight_k: float,
    min_snr_loss_weight: bool,
    min_snr_gamma: float,
) -> None:
    """Raise ValueError for a number out of its range, and for two rules for one weight."""
    if p2_loss_weight_gamma < 0:
        raise ValueError(f"p2_loss_weight_gamma {p2_loss_weight_gamma} must not be negative")
    for name, value in (("p2_loss_weight_k", p2_loss_weight_k), ("min_snr_gamma", min_snr_gamma)):
        if not value > 0:
            raise ValueError(f"{name} {value} must be positive")
    if p2_loss_weight_gamma and min_snr_loss_weight:
        raise ValueError(
            f"p2_loss_weight_gamma {p2_loss_weight_gamma} and min_snr_loss_weight are two rules "
            "for one weight: choose one"
        )


@dataclass(frozen=True)
class ObjectiveConfig:
    """What the network predicts, and how its answer is scored.

    Attributes:
        objective: what the network predicts: pred_noise, pred_x0 or pred_v.
        loss_type: l1, l2 or huber.
        p2_loss_weight_gamma: weigh the loss by 1 / (k + SNR)^gamma; 0 turns it off (2204.00227).
        p2_loss_weight_k: the k of that weight.
        min_snr_loss_weight: weigh the loss by min(SNR, gamma) / SNR (2303.09556).
        min_snr_gamma: the gamma of that weight.
        vlb_weight: of a network with a learned variance, what the variational bound counts in the
            loss, in bits per dimension (arXiv 2102.09672, eq. 16).

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

    def __post_init__(self) -> None:
        make_plain(self)
        check_choice("objective", self.objective, OBJECTIVES)
        check_choice("loss_type", self.loss_type, LOSSES)
        check_weight_rule(**self.weight_rule)
        if not self.vlb_weight >= 0:
            raise ValueError(f"vlb_weight {self.vlb_weight} must not be negative")

    @property
    def weight_rule(self) -> dict[str, Any]:
        """The options of ``objective.loss_weight``, by name."""
        names = ("p2_loss_weight_gamma", "p2_loss_weight_k", "min_snr_loss_weight", "min_snr_gamma")
        return {name: getattr(self, name) for name in names}


@dataclass(frozen=True)
class DiffusionConfig(ObjectiveConfig):
    """The diffusion process, and what is learned about it.

    Attributes:
        timesteps: number T of noising steps.
        beta_schedule: linear, cosine or sigmoid.
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
        super().__post_init__()
        check_choice("beta_schedule", self.beta_schedule, SCHEDULES)
        if self.timesteps < 1:
            raise ValueError(f"timesteps {self.timesteps} must be at least 1")
        if self.zero_terminal_snr and self.objective == "pred_noise":
            raise ValueError(
                "zero_terminal_snr leaves nothing of x_0 at step T, where objective 'pred_noise' "
                "learns nothing: choose pred_v or pred_x0"
            )

    def check_network(self, network: NetworkConfig) -> None:
        """Raise ValueError for a learned variance where its bound is not defined."""
        if network.learned_variance and not self.auto_normalize:
            raise ValueError(
                "learned_variance learns from the price of 8-bit pixels, and data without "
                "auto_normalize are none: leave one of them out"
            )
