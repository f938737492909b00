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

from . import bound
from .config import NetworkConfig, OptimizerConfig
from .config.diffusion import ObjectiveConfig
from .networks.layers import Array, Params
from .networks.table import network
from .objective import simple_loss, target, weight_at, x0_from_output
from .optimizer import (
    adam_init,
    adam_step,
    clip_by_global_norm,
    ema_update,
    ema_weight,
    learning_rate,
)
from .preconditioning import network_input
from .process import q_sample
from .schedule import Schedule, levels_at


@dataclass(frozen=True)
class TrainingConfig(OptimizerConfig, ObjectiveConfig):
    """What a training step does; the defaults are those of ``denoising-diffusion-pytorch`` 2.3.4.

    Attributes:
        lr: the learning rate after warm-up, see ``optimizer.learning_rate``.

    Raises:
        ValueError: a number out of its range; the message names it.
    """

    lr: float = 1e-4

    def __post_init__(self) -> None:
        OptimizerConfig.__post_init__(self)
        ObjectiveConfig.__post_init__(self)

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
        t: (B,) integers, 1..T, or real numbers above 0.
        noise: shaped as x_0, standard normal.
        self_cond_mask: (B,), 1 where the network is given its own first estimate of x_0, 0 where
            it is given zeros (None: all 0). Needs a network with self_condition.
        dropout_masks: as the network takes them.
        condition: what the network is told of each item, as it takes it.
    """

    x_0: Array
    t: Array
    noise: Array
    self_cond_mask: Array | None = None
    dropout_masks: Sequence[Array] | None = None
    condition: Array | None = None


def initial_state(params: Params) -> TrainingState:
    """The state before the first step: no moments, and the average equal to the parameters."""
    m, v = adam_init(params)
    return TrainingState(0, dict(params), m, v, dict(params))


def training_step(
    state: TrainingState,
    config: TrainingConfig,
    unet_config: NetworkConfig,
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
    params: Params,
    config: TrainingConfig,
    net: NetworkConfig,
    schedule: Schedule,
    batch: MicroBatch,
) -> Array:
    """The loss of one micro-batch (arXiv 2006.11239, eq. 14): a scalar to be differentiated.

    With a learned variance it is hybrid (arXiv 2102.09672, eq. 16): the bound, in bits per
    dimension, is added with ``vlb_weight``. Only the variance learns from the bound.
    With self-conditioning (arXiv 2208.04202, section 3.2) the network first estimates x_0 from x_t
    and zeros, without dropout and without clipping; no gradient flows through that estimate.
    Raises ValueError for a network that does not return one number for each of x_0's.
    """
    x_0, t, noise, self_cond_mask, dropout_masks, condition = MicroBatch(*batch)
    net.check_out_channels()
    x_t = q_sample(schedule, x_0, t, noise)
    seen = network_input(schedule, config.objective, x_t, t, config.sigma_data)
    x_self_cond = None
    if self_cond_mask is not None:
        fixed = {name: getval(p) for name, p in params.items()}
        first, _ = bound.halves(network(fixed, net, seen, t - 1, None, None, condition), x_t)
        x0_hat = x0_from_output(schedule, config.objective, x_t, t, first, config.sigma_data)
        x_self_cond = x0_hat * self_cond_mask.astype(x0_hat.dtype).reshape(
            -1, *(1,) * (x_0.ndim - 1)
        )
    output = network(params, net, seen, t - 1, x_self_cond, dropout_masks, condition)
    output, raw = bound.halves(output, x_t)
    goal = target(schedule, config.objective, x_0, t, noise, config.sigma_data)
    signal, sigma = levels_at(schedule, t)
    weight = weight_at((signal / sigma) ** 2, config.objective, **config.weight_rule)
    loss = simple_loss(output, goal, weight, config.loss_type)
    if raw is None:
        return loss
    learned = getval(output)
    x0_hat = x0_from_output(schedule, config.objective, x_t, t, learned, config.sigma_data)
    log_var = bound.log_var(schedule, t, bound.share_of(raw))
    terms = bound.vlb_term(schedule, x_0, t, x0_hat, log_var)
    # Times are drawn evenly: T times the mean of the terms is their sum.
    bits = schedule.T * np.mean(bound.bits_per_dim(terms, x_0[0].size))
    return loss + config.vlb_weight * bits


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
