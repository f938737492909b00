"""What training data looks like to the trainer, and images that are in memory already."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from .left_out import LeftOut

Pixels = NDArray[Any]
Chance: TypeAlias = Callable[[int], np.random.Generator]


class Images(Protocol):
    """Images of one shape, read by index; ``len`` counts those that can be, as far as is known.

    Attributes:
        shape: (C, H, W).
        places: number N of indices. As many as there are images, and more where some have broken
            that keep their place in the order; another image is shown there.
        sequential: False: ``batch`` takes any indices in 0..N-1. True: the images come in an
            order of their own, and ``batch`` takes consecutive positions of an endless stream.
        skipped: what could not be decoded so far, as (name, reason); new ones come last.
        left_out: the same, and what is no image.
        checked: whether all that can be known of the images was known when they were opened: True
            for what is in memory.
        draws: how many random numbers ``batch`` takes for each image, 0 unless it crops at random.
        names: the files of a folder, relative to it, one for each place, else ().
        gone: those of the names that were known before and are not there any more.
        classes: names of the classes, () if there are none.
        labels: int64 (N,), the class of each image, or None.
    """

    shape: tuple[int, int, int]
    draws: int = 0
    names: Sequence[str] = ()
    gone: Sequence[str] = ()
    classes: Sequence[str] = ()
    labels: NDArray[np.int64] | None = None

    sequential: bool = False
    checked: bool = True

    @property
    def places(self) -> int:
        return len(self)

    @property
    def skipped(self) -> list[tuple[str, str]]:
        return []

    @property
    def left_out(self) -> list[LeftOut]:
        return [LeftOut(path, why) for path, why in self.skipped]

    def __len__(self) -> int: ...

    def batch(
        self,
        indices: NDArray[np.int64],
        draws: NDArray[np.float64] | None = None,
        chance: Chance | None = None,
    ) -> Pixels:
        """Return (B, C, H, W), uint8 or float32 in [0, 1].

        Args:
            indices: (B,).
            draws: (B, self.draws) uniform numbers in [0, 1); None: the middle is shown.
            chance: gives for the j-th of the batch the stream that another image is drawn from, if
                that one cannot be decoded; None: one that belongs to its index.
        """
        ...


class ArrayImages(Images):
    """Images in memory, (N, C, H, W): uint8, or float32 in [0, 1]. Not copied."""

    def __init__(self, array: Pixels, skipped: list[tuple[str, str]] | None = None) -> None:
        self._array = array
        self.shape = array.shape[1:]  # type: ignore[assignment]
        self._skipped = skipped or []

    @property
    def skipped(self) -> list[tuple[str, str]]:
        return self._skipped

    def __len__(self) -> int:
        return len(self._array)

    def batch(
        self,
        indices: NDArray[np.int64],
        draws: NDArray[np.float64] | None = None,
        chance: Chance | None = None,
    ) -> Pixels:
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
            f"{name} has values from {low!s} to {high!s}: give floats in [0, 1], or uint8"
        )
