"""The network as a denoiser: from x_t, t and what is known besides to an estimate of x_0.

``predict_x0(x_t, t, condition, x_self_cond) -> x0_hat``, all that samplers see. Clipping, and
whatever else is done to an estimate, is a function around it. ``reference/denoiser.py`` is the
definition.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import mindspore as ms
from mindspore import Tensor, ops

from .objective import Objective

Denoiser: TypeAlias = Callable[..., Tensor]


def ask(
    model: Callable[..., Tensor],
    x_t: Tensor,
    t: Tensor,
    x_self_cond: Tensor | None = None,
    dropout_masks: Any = None,
    condition: Tensor | None = None,
) -> Tensor:
    """The network's output at t = 1..T, which it is told as t - 1.

    A network that knows of no dropout or of no condition is not told of one.
    """
    time = (t - 1).astype(ms.float32)
    if condition is not None:
        return model(x_t, time, x_self_cond, dropout_masks, condition)
    if dropout_masks is not None:
        return model(x_t, time, x_self_cond, dropout_masks)
    return model(x_t, time, x_self_cond)


def denoiser(model: Callable[..., Tensor], objective: Objective) -> Denoiser:
    """The estimate that the network's output amounts to, whatever it predicts."""

    def predict_x0(
        x_t: Tensor, t: Tensor, condition: Tensor | None = None, x_self_cond: Tensor | None = None
    ) -> Tensor:
        output = ask(model, x_t, t, x_self_cond, None, condition)
        return objective.x0_from_output(x_t, t, output)

    return predict_x0


def clipped(predict_x0: Denoiser) -> Denoiser:
    """A denoiser whose estimates are in [-1, 1]."""

    def clip(
        x_t: Tensor, t: Tensor, condition: Tensor | None = None, x_self_cond: Tensor | None = None
    ) -> Tensor:
        x0_hat = predict_x0(x_t, t, condition, x_self_cond)
        return ops.clamp(x0_hat, -1.0, 1.0)

    return clip
