"""What is done to an estimate that leaves the range of images, [-1, 1], around a denoiser.

Saharia et al. 2022, arXiv 2205.11487, section 2.3.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .schedule import Array


def dynamic_threshold(x0_hat: Array, share: float) -> Array:
    """Squeeze each item until ``share`` of its values are within [-1, 1], and clip the others.

    With s the share's quantile of |x0_hat| over one item (between two values, on the line between
    them), but at least 1: x0_hat is clipped to [-s, s] and divided by s. Where clipping alone
    (s = 1) leaves a pile of values at the ends, this keeps them apart.

    ``x0_hat``: floats (B, ...). Raises ValueError for a share that is not above 0 and at most 1.
    """
    if not 0.0 < share <= 1.0:
        raise ValueError(f"share {share} of a threshold must be above 0 and at most 1")
    size = np.abs(x0_hat).reshape(len(x0_hat), -1)
    s = np.maximum(np.quantile(size, share, axis=1), 1.0).astype(x0_hat.dtype)
    s = s.reshape((-1,) + (1,) * (x0_hat.ndim - 1))
    squeezed: Array = np.clip(x0_hat, -s, s) / s
    return squeezed


def thresholded(predict_x0: Callable[..., Array], share: float) -> Callable[..., Array]:
    """A denoiser whose estimates are squeezed into [-1, 1]."""

    def squeezed(*given: Any) -> Array:
        return dynamic_threshold(predict_x0(*given), share)

    return squeezed
