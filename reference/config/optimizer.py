"""The configuration of the optimiser: rates, moments, clipping and averages."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from ..plain import Unbounded, check_choice, make_plain

LR_SCHEDULES = ("constant", "cosine")


@dataclass(frozen=True)
class OptimizerConfig:
    """What an update does; the rate itself is a field of who is one.

    Attributes:
        train_num_steps: optimiser steps in all.
        warmup_steps: steps over which the learning rate rises from 0.
        lr_schedule: what it does then: constant, or cosine, with which it falls along half a
            cosine and is min_lr at the last step. A run that is resumed with other steps goes on
            along the other cosine.
        min_lr: where the cosine ends.
        adam_betas: decay of Adam's two moments.
        adam_eps: added to the root of Adam's second moment.
        weight_decay: AdamW's: each step takes off this share, times the learning rate, of the
            weights of convolutions and linear layers, not of biases and gains. 0 is Adam.
        max_grad_norm: longer gradients are shortened to this norm; inf shortens none.
        ema_decay: decay of the moving average of the parameters, which samples are drawn with.
        ema_update_every: optimiser steps between two updates of the average; the first is after the
            first step.
        ema_update_after_step: until so many steps are done, each update makes it a copy.

    Raises:
        ValueError: a value out of its range.
    """

    RATE: ClassVar[str] = "lr"
    """The field that holds the learning rate."""

    train_num_steps: int = 100_000
    warmup_steps: int = 0
    lr_schedule: str = "constant"
    min_lr: float = 0.0
    adam_betas: tuple[float, float] = (0.9, 0.99)
    adam_eps: float = 1e-8
    weight_decay: float = 0.0
    max_grad_norm: Unbounded = 1.0
    ema_decay: float = 0.995
    ema_update_every: int = 10
    ema_update_after_step: int = 100

    @property
    def rate(self) -> float:
        """The learning rate after warm-up."""
        return float(getattr(self, self.RATE))

    def __post_init__(self) -> None:
        make_plain(self)
        for name in ("train_num_steps", "ema_update_every"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} {getattr(self, name)} must be at least 1")
        for name in (self.RATE, "adam_eps", "max_grad_norm"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} {getattr(self, name)} must be positive")
        check_choice("lr_schedule", self.lr_schedule, LR_SCHEDULES)
        if self.lr_schedule == "constant" and self.min_lr:
            raise ValueError(f"min_lr {self.min_lr} is for lr_schedule cosine: choose that too")
        if self.min_lr > self.rate:
            raise ValueError(
                f"min_lr {self.min_lr} must be at most {self.RATE}, which is {self.rate}"
            )
        for name in ("warmup_steps", "min_lr", "weight_decay", "ema_update_after_step"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} {getattr(self, name)} must not be negative")
        for beta in self.adam_betas:
            if not 0.0 <= beta < 1.0:
                raise ValueError(f"adam_betas {self.adam_betas} must be at least 0, less than 1")
        if not 0.0 <= self.ema_decay <= 1.0:
            raise ValueError(f"ema_decay {self.ema_decay} must be from 0 to 1")
