"""Estimates kept within [-1, 1], on tensors; ``reference/thresholding.py`` is the definition."""

from __future__ import annotations

import math
from collections.abc import Callable

from mindspore import Tensor, ops

from .denoiser import as_it_is, within


def dynamic_threshold(x0_hat: Tensor, share: float) -> Tensor:
    """Squeeze each item until ``share`` of its values are within [-1, 1] (arXiv 2205.11487).

    Of all sizes only the largest are sorted: those down to the two that the quantile is between.
    """
    size = ops.abs(x0_hat).reshape(x0_hat.shape[0], -1)
    count = size.shape[1]
    place = share * (count - 1)  # of the quantile, from the smallest
    below = math.floor(place)
    largest, _ = ops.topk(size, count - below)
    lower = largest[:, count - below - 1]
    upper = largest[:, max(0, count - below - 2)]
    s = ops.maximum(lower + (place - below) * (upper - lower), 1.0)
    s = s.reshape((-1,) + (1,) * (x0_hat.ndim - 1))
    return ops.maximum(ops.minimum(x0_hat, s), -s) / s


def limit_of(clips: bool, share: float | None) -> Callable[[Tensor], Tensor]:
    """What is done to an estimate: nothing, or it is cut, or squeezed by a share of its values."""
    if not clips:
        return as_it_is
    if share is None:
        return within

    def limit(x0_hat: Tensor) -> Tensor:
        return dynamic_threshold(x0_hat, share)

    return limit
