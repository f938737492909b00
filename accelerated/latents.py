"""Latents as the data of a diffusion: drawn by their moments on the host, as all data are read.

``reference/latents.py`` is the definition.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]


def draw(moments: Array, noise: Array, scale: float) -> Array:
    """Latents (B, C, h, w) on the scale of the process, of moments (B, 2C, h, w)."""
    mean, log_variance = np.split(moments, 2, axis=1)
    latents: Array = np.float32(scale) * (mean + np.exp(np.float32(0.5) * log_variance) * noise)
    return latents


def scale_factor(moments: Iterable[Array]) -> float:
    """1 / their standard deviation, of moments (2C, h, w) that come one after another."""
    count, total, squares = 0, 0.0, 0.0
    for one in moments:
        mean, log_variance = np.split(one.astype(np.float64), 2, axis=0)
        count += mean.size
        total += float(mean.sum())
        squares += float((np.exp(log_variance) + mean * mean).sum())
    mean_of_all = total / count
    return float(1.0 / np.sqrt(squares / count - mean_of_all * mean_of_all))


def undo(x_0: Array, scale: float) -> Array:
    """What the autoencoder decodes."""
    latents: Array = x_0 / np.float32(scale)
    return latents
