"""One training step, written out: x_0, t and noise in; loss, parameters, moments, average out.

Nothing here draws random numbers: a step is a function of its arguments. With float32 parameters
and images it is a float32 computation throughout.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import accumulate
from typing import NamedTuple

import autograd
import autograd.numpy as np
from autograd.tracer import getval

from .config import UnetConfig
from .networks.layers import Array, Params
from .networks.unet import unet
from .objective import loss_weight, simple_loss, target, x0_from_output
from .optimizer import (
    LR_SCHEDULES,
    adam_init,
    adam_step,
    clip_by_global_norm,
    ema_update,
    ema_weight,
    learning_rate,
)
from .process import q_sample
from .schedule import Schedule, check_choice


@dataclass(frozen=True)
class TrainingConfig:
    """What a training step does; the defaults are those of ``denoising-diffusion-pytorch`` 2.3.4.

    Attributes:
        lr, warmup_steps, lr_schedule, train_num_steps, min_lr: see ``optimizer.learning_rate``.
        adam_betas, adam_eps, weight_decay: see ``optimizer.adam_step``.
        max_grad_norm: see ``optimizer.clip_by_global_norm``.
        ema_decay, ema_update_every, ema_update_after_step: see ``optimizer.ema_weight``.
        objective, p2_loss_weight_gamma, p2_loss_weight_k, min_snr_loss_weight, min_snr_gamma:
            see ``objective.loss_weight``.
        loss_type: see ``objective.simple_loss``.

    Raises:
        ValueError: a number out of its range; the message names it.
    """

    lr: float = 1e-4
    warmup_steps: int = 0
    lr_schedule: str = "constant"
    train_num_steps: int = 100_000
    min_lr: float = 0.0
    adam_betas: tuple[float, float] = (0.9, 0.99)
    adam_eps: float = 1e-8
    weight_decay: float = 0.0
    max_grad_norm: float = 1.0
    ema_decay: float = 0.995
    ema_update_every: int = 10
    ema_update_after_step: int = 100
    objective: str = "pred_v"
    loss_type: str = "l2"
    p2_loss_weight_gamma: float = 0.0
    p2_loss_weight_k: float = 1.0
    min_snr_loss_weight: bool = False
    min_snr_gamma: float = 5.0

    def __post_init__(self) -> None:
        for name in ("lr", "adam_eps", "max_grad_norm", "ema_update_every"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} {getattr(self, name)} must be positive")
        check_choice("lr_schedule", self.lr_schedule, LR_SCHEDULES)
        for name in ("warmup_steps", "ema_update_after_step", "min_lr", "weight_decay"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} {getattr(self, name)} must be at least 0")
        if not all(0.0 <= beta < 1.0 for beta in self.adam_betas):
            raise ValueError(f"adam_betas {self.adam_betas} must be at least 0 and less than 1")
        if not 0.0 <= self.ema_decay <= 1.0:
            raise ValueError(f"ema_decay {self.ema_decay} must be from 0 to 1")

    def learning_rate(self, step: int) -> float:
        """The rate of update number ``step`` = 1, 2, ..."""
        return learning_rate(
            step,
            self.lr,
            self.warmup_steps,
            self.lr_schedule,
            self.train_num_steps,
            self.min_lr,
        )


@dataclass(frozen=True, eq=False)
class TrainingState:
    """Everything that a step changes: flat dicts of arrays, and the number of steps done.

    ``skipped`` of those steps were left out, because their loss or gradient was not finite.
    """

    step: int
    params: Mapping[str, Array]
    m: Mapping[str, Array]
    v: Mapping[str, Array]
    ema: Mapping[str, Array]
    skipped: int = 0


class MicroBatch(NamedTuple):
    """What one gradient is computed from.

    Attributes:
        x_0: (B, C, H, W), in [-1, 1].
        t: (B,) integers, 1..T.
        noise: shaped as x_0, standard normal.
        self_cond_mask: (B,), 1 where the network is given its own first estimate of x_0, 0 where
            it is given zeros (None: all 0). Needs a network with self_condition.
        dropout_masks: as ``unet.unet`` takes them.
    """

    x_0: Array
    t: Array
    noise: Array
    self_cond_mask: Array | None = None
    dropout_masks: Sequence[Array] | None = None


def initial_state(params: Params) -> TrainingState:
    """The state before the first step: no moments, and the average equal to the parameters."""
    m, v = adam_init(params)
    return TrainingState(0, dict(params), m, v, dict(params))


def training_step(
    state: TrainingState,
    config: TrainingConfig,
    unet_config: UnetConfig,
    schedule: Schedule,
    micro_batches: Sequence[MicroBatch],
) -> tuple[TrainingState, float, float]:
    """One update from the mean gradient of ``micro_batches`` (arXiv 2006.11239, algorithm 1).

    Returns ``(state, loss, grad_norm)``: the mean loss of the micro-batches before the update, and
    the norm of the mean gradient before clipping. Micro-batches of equal size do what one batch of
    all of them does. Where loss or norm is NaN or infinite, nothing but the numbers of steps
    changes; Adam corrects its bias by the number of updates that were applied. Raises ValueError
    for an empty list and for arguments that do not fit.
    """
    if not micro_batches:
        raise ValueError("micro_batches is empty: give at least one")
    losses, grads = zip(
        *(
            value_and_grad(
                partial(training_loss, config=config, net=unet_config, schedule=schedule, batch=b),
                state.params,
            )
            for b in micro_batches
        ),
        strict=True,
    )
    mean = {name: sum(g[name] for g in grads) / len(grads) for name in state.params}
    mean, grad_norm = clip_by_global_norm(mean, config.max_grad_norm)
    step, loss = state.step + 1, sum(losses) / len(losses)
    if not np.isfinite(loss + grad_norm):
        return replace(state, step=step, skipped=state.skipped + 1), loss, grad_norm
    params, m, v = adam_step(
        state.params,
        mean,
        state.m,
        state.v,
        step - state.skipped,
        config.learning_rate(step),
        config.adam_betas,
        config.adam_eps,
        config.weight_decay,
    )
    weight = ema_weight(
        step, config.ema_decay, config.ema_update_every, config.ema_update_after_step
    )
    ema = ema_update(state.ema, params, weight)
    return TrainingState(step, params, m, v, ema, state.skipped), loss, grad_norm


def training_loss(
    params: Params, config: TrainingConfig, net: UnetConfig, schedule: Schedule, batch: MicroBatch
) -> Array:
    """The loss of one micro-batch (arXiv 2006.11239, eq. 14): a scalar to be differentiated.

    With self-conditioning (arXiv 2208.04202, section 3.2) the network first estimates x_0 from x_t
    and zeros, without dropout and without clipping; no gradient flows through that estimate.
    Raises ValueError for a network that does not return one number for each of x_0's.
    """
    x_0, t, noise, self_cond_mask, dropout_masks = MicroBatch(*batch)
    if net.out_channels != net.channels:
        raise ValueError(
            f"out_dim {net.out_channels} differs from channels {net.channels}: training needs a "
            "network without out_dim and learned_variance"
        )
    x_t = q_sample(schedule, x_0, t, noise)
    x_self_cond = None
    if self_cond_mask is not None:
        fixed = {name: getval(p) for name, p in params.items()}
        first = unet(fixed, net, x_t, t - 1)
        x0_hat = x0_from_output(schedule, config.objective, x_t, t, first)
        x_self_cond = x0_hat * self_cond_mask.astype(x0_hat.dtype).reshape(-1, 1, 1, 1)
    output = unet(params, net, x_t, t - 1, x_self_cond, dropout_masks)
    goal = target(schedule, config.objective, x_0, t, noise)
    return simple_loss(output, goal, _weights(config, schedule)[t], config.loss_type)


def _weights(config: TrainingConfig, schedule: Schedule) -> Array:
    return loss_weight(
        schedule,
        config.objective,
        p2_loss_weight_gamma=config.p2_loss_weight_gamma,
        p2_loss_weight_k=config.p2_loss_weight_k,
        min_snr_loss_weight=config.min_snr_loss_weight,
        min_snr_gamma=config.min_snr_gamma,
    )


def value_and_grad(
    function: Callable[[Params], Array], params: Params
) -> tuple[float, dict[str, Array]]:
    """``function(params)``, a scalar, and its derivative by each parameter.

    As ``autograd.value_and_grad``, whose time on a dict grows with the square of its length; here
    all parameters are parts of one vector.
    """
    vector = np.concatenate([np.ravel(p) for p in params.values()])

    def parts(vector: Array) -> dict[str, Array]:
        ends = list(accumulate(p.size for p in params.values()))
        return {
            name: np.reshape(vector[end - p.size : end], p.shape)
            for (name, p), end in zip(params.items(), ends, strict=True)
        }

    value, grad = autograd.value_and_grad(lambda vector: function(parts(vector)))(vector)
    return float(value), parts(grad)
