"""The forward process on tensors, and the ranges of images.

``reference/process.py`` is the definition. What depends on the time alone comes as ``levels``, from
``reference/levels.py``: computed in float64 on the host, and rounded once to float32.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from mindspore import Tensor
from numpy.typing import NDArray

from ..reference.levels import NOISE, SIGNAL
from ..reference.schedule import Table


def checked(
    name: str, images: NDArray[Any] | Tensor, shape: tuple[int, ...], normalize: bool = True
) -> NDArray[Any]:
    """Images (B, *shape) as users give them, as an array.

    Raises:
        ValueError: another shape; beyond [0, 1], or without ``normalize`` NaN or infinite.
    """
    x = images.asnumpy() if isinstance(images, Tensor) else np.asarray(images)
    if x.ndim != 1 + len(shape) or x.shape[1:] != shape or not len(x):
        raise ValueError(f"{name} of shape {x.shape} must be (B, {', '.join(map(str, shape))})")
    if not normalize and np.isfinite(x).all():
        return x
    if x.dtype != np.uint8 and not (x.min() >= 0.0 and x.max() <= 1.0):
        remedy = (
            "scale them to [0, 1], or give uint8" if normalize else "leave out what is no number"
        )
        raise ValueError(f"{name} range from {x.min()!s} to {x.max()!s}: {remedy}")
    return x


def to_model_range(images: NDArray[Any], normalize: bool = True) -> NDArray[np.float32]:
    """Images as users see them, uint8 or floats in [0, 1], as the process sees them: [-1, 1].

    Without ``normalize`` both are the same.
    """
    if not normalize:
        return images.astype(np.float32)
    scale = 2.0 / 255.0 if images.dtype == np.uint8 else 2.0
    return images.astype(np.float32) * np.float32(scale) - np.float32(1.0)


def to_unit_range(
    x_0: NDArray[np.float32], clip: bool = True, normalize: bool = True
) -> NDArray[np.float32]:
    """The way back, to [0, 1]; values beyond it are clipped, or not."""
    if not normalize:
        return x_0
    images = (x_0 + np.float32(1.0)) * np.float32(0.5)
    return np.clip(images, 0.0, 1.0) if clip else images


def to_uint8(images: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Floats in [0, 1] as 0..255, rounded to the nearest."""
    rounded: NDArray[np.uint8] = np.rint(images * np.float32(255.0)).astype(np.uint8)
    return rounded


def on_device(levels: Table) -> Tensor:
    """The numbers of each time, (B, K), for the functions that read their columns."""
    return Tensor(levels.astype(np.float32))


def q_sample(x_0: Tensor, levels: Tensor, noise: Tensor) -> Tensor:
    """``signal x_0 + noise eps`` (2006.11239, eq. 4), of arrays (B, C, *spatial)."""
    return column(levels, SIGNAL, x_0) * x_0 + column(levels, NOISE, x_0) * noise


def column(levels: Tensor, which: int, like: Tensor) -> Tensor:
    """One number of each item, (B, 1, ..., 1), to multiply what has the shape of ``like``."""
    return levels[:, which].reshape((-1,) + (1,) * (like.ndim - 1))
