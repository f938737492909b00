"""Adam and AdamW, clipping by the global norm, learning rates, a running average of parameters.

Parameters, gradients and moments are flat dicts of arrays with equal names; nothing is changed in
place. Step numbers are 1 for the first update. Scalars are Python floats, so arrays keep their
dtype.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TypeAlias

import numpy as np

from .config.optimizer import LR_SCHEDULES
from .plain import check_choice
from .schedule import Array

Arrays: TypeAlias = Mapping[str, Array]


def adam_init(params: Arrays) -> tuple[dict[str, Array], dict[str, Array]]:
    """The two moments (m, v) before the first step: zeros, shaped as the parameters."""
    return (
        {name: np.zeros_like(p) for name, p in params.items()},
        {name: np.zeros_like(p) for name, p in params.items()},
    )


def adam_step(
    params: Arrays,
    grads: Arrays,
    m: Arrays,
    v: Arrays,
    step: int,
    lr: float,
    betas: tuple[float, float] = (0.9, 0.99),
    eps: float = 1e-8,
    weight_decay: float = 0.0,
) -> tuple[dict[str, Array], dict[str, Array], dict[str, Array]]:
    """One update of Adam (arXiv 1412.6980, algorithm 1), number ``step`` = 1, 2, ...

        m <- beta_1 m + (1 - beta_1) g          m_hat = m / (1 - beta_1^step)
        v <- beta_2 v + (1 - beta_2) g^2        v_hat = v / (1 - beta_2^step)
        p <- p - lr m_hat / (sqrt(v_hat) + eps) - lr weight_decay p

    The last term, AdamW's decoupled decay (arXiv 1711.05101, algorithm 2), is for the parameters
    that ``decays`` names. Its rate is lr times weight_decay, as in ``torch.optim.AdamW``.
    Returns ``(params, m, v)``. Raises ValueError for a step below 1.
    """
    if step < 1:
        raise ValueError(f"step {step} is less than 1: the first update has number 1")
    beta_1, beta_2 = betas
    m = {name: beta_1 * m[name] + (1.0 - beta_1) * g for name, g in grads.items()}
    v = {name: beta_2 * v[name] + (1.0 - beta_2) * g * g for name, g in grads.items()}
    updated = {}
    for name, p in params.items():
        m_hat = m[name] / (1.0 - beta_1**step)
        v_hat = v[name] / (1.0 - beta_2**step)
        updated[name] = p - lr * m_hat / (np.sqrt(v_hat) + eps)
        if decays(name):
            updated[name] = updated[name] - lr * weight_decay * p
    return updated, m, v


def decays(name: str) -> bool:
    """Whether weight decay pulls this parameter towards 0: the weights of convolutions and of
    linear layers, which are called ``....weight``; not biases, gains of norms, memories, and the
    rows of classes."""
    return name.endswith(".weight") and not name.startswith("classes_emb")


def global_norm(grads: Arrays) -> float:
    """The Euclidean norm of all gradients taken together."""
    return math.sqrt(sum(float(np.sum(g * g)) for g in grads.values()))


def clip_by_global_norm(grads: Arrays, max_norm: float) -> tuple[dict[str, Array], float]:
    """Scale all gradients by min(1, max_norm / (norm + 1e-6)) (arXiv 1211.5063, algorithm 1).

    One factor for all, so the direction stays. The 1e-6 is that of
    ``torch.nn.utils.clip_grad_norm_``. Returns the scaled gradients and the norm before scaling.
    Raises ValueError unless ``max_norm`` is positive.
    """
    if not max_norm > 0:
        raise ValueError(f"max_norm {max_norm} must be positive: use math.inf to clip nothing")
    norm = global_norm(grads)
    scale = min(1.0, max_norm / (norm + 1e-6))
    return {name: scale * g for name, g in grads.items()}, norm


def learning_rate(
    step: int,
    lr: float,
    warmup_steps: int = 0,
    lr_schedule: str = "constant",
    train_num_steps: int = 0,
    min_lr: float = 0.0,
) -> float:
    """The rate of update number ``step`` = 1, 2, ..., in float64.

    It rises linearly, lr step / warmup_steps, until step = warmup_steps. Then it is constant, or
    falls along half a cosine (arXiv 1608.03983, equation 5, without restarts):

        min_lr + (lr - min_lr) (1 + cos(pi q)) / 2 = min_lr + (lr - min_lr) cos(pi q / 2)^2
        q = (step - warmup_steps) / (train_num_steps - warmup_steps), at most 1

    Raises ValueError for a schedule that is not in LR_SCHEDULES.
    """
    check_choice("lr_schedule", lr_schedule, LR_SCHEDULES)
    if step < warmup_steps:
        return lr * (step / warmup_steps)
    if lr_schedule == "constant":
        return lr
    q = (step - warmup_steps) / max(1, train_num_steps - warmup_steps)
    return min_lr + (lr - min_lr) * math.cos(0.5 * math.pi * min(1.0, q)) ** 2


def ema_weight(
    step: int, decay: float = 0.995, update_every: int = 10, update_after_step: int = 100
) -> float:
    """The w in ema <- w ema + (1 - w) params after optimiser step number ``step`` = 1, 2, ...

    With n = step - 1, the steps before this one: w = 1 (leave it) unless ``update_every`` divides
    n; w = 0 (copy) for n <= update_after_step, and so after the first step; then w grows towards
    ``decay``, and a decay of 1 leaves the average at the last copy:

        w = min(decay, 1 - (1 + n - update_after_step)^(-2/3))       (1 where decay = 1)

    This is ``ema_pytorch`` 0.8.3 with its default power and inv_gamma, where ``update`` is called
    after each step. Raises ValueError for a step below 1.
    """
    if step < 1:
        raise ValueError(f"step {step} is less than 1: the first update has number 1")
    n = step - 1
    if n % update_every:
        return 1.0
    if n <= update_after_step:
        return 0.0
    if decay == 1.0:
        return 1.0
    return min(decay, 1.0 - math.pow(1 + n - update_after_step, -2.0 / 3.0))


def ema_update(ema: Arrays, params: Arrays, weight: float) -> dict[str, Array]:
    """weight * ema + (1 - weight) * params; exactly ``ema`` at weight 1, ``params`` at 0."""
    return {name: weight * ema[name] + (1.0 - weight) * p for name, p in params.items()}
