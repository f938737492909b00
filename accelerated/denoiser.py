"""The network as a denoiser: from x_t, t and what is known besides to an estimate of x_0.

``predict_x0(x_t, levels, condition, x_self_cond) -> x0_hat``, all that samplers see; ``levels`` are
the numbers of the time, (B, K), from ``reference/levels.py``. Clipping, and whatever else is done
to an estimate, is a function around it. ``reference/denoiser.py`` is the definition.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

from mindspore import Tensor, ops

from ..reference.levels import INPUT, TIME
from .bound import halves, joined
from .objective import x0_from_output
from .process import column

Denoiser: TypeAlias = Callable[..., Tensor]


def ask(
    model: Callable[..., Tensor],
    x_t: Tensor,
    levels: Tensor,
    x_self_cond: Tensor | None = None,
    dropout_masks: Any = None,
    condition: Tensor | None = None,
) -> Tensor:
    """The network's output for x_t, in the scale and with the time that it is to see.

    A network that knows of no dropout or of no condition is not told of one.
    """
    time, x_t = levels[:, TIME], column(levels, INPUT, x_t) * x_t
    if condition is not None:
        return model(x_t, time, x_self_cond, dropout_masks, condition)
    if dropout_masks is not None:
        return model(x_t, time, x_self_cond, dropout_masks)
    return model(x_t, time, x_self_cond)


def denoiser(model: Callable[..., Tensor], variance: bool = False) -> Denoiser:
    """The estimate that the network's output amounts to, whatever it predicts.

    ``variance``: with what the network says of the variance after it, (B, 2 C, *spatial), where it
    has learned that; what is done to estimates leaves that alone.
    """

    def predict_x0(
        x_t: Tensor,
        levels: Tensor,
        condition: Tensor | None = None,
        x_self_cond: Tensor | None = None,
    ) -> Tensor:
        output, raw = halves(ask(model, x_t, levels, x_self_cond, None, condition), x_t)
        return joined(x0_from_output(x_t, levels, output), raw if variance else None)

    return predict_x0


def limited(predict_x0: Denoiser, limit: Callable[[Tensor], Tensor]) -> Denoiser:
    """A denoiser to whose estimates something is done at last, as ``within``."""

    def estimate(
        x_t: Tensor,
        levels: Tensor,
        condition: Tensor | None = None,
        x_self_cond: Tensor | None = None,
    ) -> Tensor:
        x0_hat, raw = halves(predict_x0(x_t, levels, condition, x_self_cond), x_t)
        return joined(limit(x0_hat), raw)

    return estimate


def clipped(predict_x0: Denoiser) -> Denoiser:
    """A denoiser whose estimates are in [-1, 1]."""
    return limited(predict_x0, within)


def within(x0_hat: Tensor) -> Tensor:
    """An estimate cut to [-1, 1]."""
    return ops.clamp(x0_hat, -1.0, 1.0)


def as_it_is(x0_hat: Tensor) -> Tensor:
    """An estimate to which nothing is done."""
    return x0_hat
