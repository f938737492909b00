"""What training data looks like to the trainer, and images that are in memory already."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[Any]


class Images(Protocol):
    """N images of one shape, read by index.

    Attributes:
        shape: (C, H, W).
        sequential: False: ``batch`` takes any indices in 0..N-1. True: the images come in an
            order of their own, and ``batch`` takes consecutive positions of an endless stream.
        skipped: what could not be decoded so far, as (path, reason).
    """

    shape: tuple[int, int, int]

    @property
    def sequential(self) -> bool: ...

    @property
    def skipped(self) -> list[tuple[str, str]]: ...

    def __len__(self) -> int: ...

    def batch(self, indices: NDArray[np.int64]) -> Pixels:
        """Return (B, C, H, W), uint8 or float32 in [0, 1]."""
        ...


class ArrayImages:
    """Images in memory, (N, C, H, W): uint8, or float32 in [0, 1]. Not copied."""

    sequential = False

    def __init__(self, array: Pixels, skipped: list[tuple[str, str]] | None = None) -> None:
        self._array = array
        self.shape: tuple[int, int, int] = array.shape[1:]  # type: ignore[assignment]
        self.skipped = skipped or []

    def __len__(self) -> int:
        return len(self._array)

    def batch(self, indices: NDArray[np.int64]) -> Pixels:
        batch: Pixels = self._array[indices]
        return batch


def from_array(array: Pixels, image_size: tuple[int, int], channels: int) -> ArrayImages:
    """Check an array of images and wrap it.

    Args:
        array: (N, C, H, W); uint8 in 0..255, or floats in [0, 1].

    Raises:
        ValueError: another shape, type or range, or no image at all.
    """
    expected = (channels, *image_size)
    if array.ndim != 4 or array.shape[1:] != expected:
        raise ValueError(
            f"data has shape {array.shape}: image_size and channels ask for (N, C, H, W) = "
            f"(N, {channels}, {image_size[0]}, {image_size[1]})"
        )
    if len(array) == 0:
        raise ValueError(f"data has shape {array.shape}: at least 1 image is needed")
    if array.dtype == np.uint8:
        return ArrayImages(array)
    if not np.issubdtype(array.dtype, np.floating):
        raise ValueError(f"data has type {array.dtype}: give uint8, or floats in [0, 1]")
    check_unit_range("data", array)
    return ArrayImages(array.astype(np.float32, copy=False))


def check_unit_range(name: str, values: Pixels) -> None:
    """Raise ValueError unless all values lie in [0, 1] (NaN does not)."""
    low, high = values.min(), values.max()
    if not (low >= 0 and high <= 1):
        raise ValueError(
            f"{name} has values from {low:g} to {high:g}: give floats in [0, 1], or uint8"
        )
