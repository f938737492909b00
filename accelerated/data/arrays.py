"""What training data looks like to the trainer, and images that are in memory already."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, Protocol, TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray

from .left_out import LeftOut
from .scaling import Scaling

Item = TypeVar("Item")
Pixels = NDArray[Any]
Chance: TypeAlias = Callable[[int], np.random.Generator]
Indices: TypeAlias = NDArray[np.int64]
Draws: TypeAlias = NDArray[np.float64]


class Items(NamedTuple):
    """What a batch is made of.

    Attributes:
        x: (B, C, *spatial), uint8 or float32 in [0, 1], or of any size if standardised.
        labels: int64 (B,), the class of each, where there are classes.
        captions: what is said of each, B texts, where there are captions.
    """

    x: Pixels
    labels: NDArray[np.int64] | None = None
    captions: Sequence[str] | None = None

    def part(self, own: slice) -> Items:
        """Some of them."""
        labels = None if self.labels is None else self.labels[own]
        return Items(self.x[own], labels, None if self.captions is None else self.captions[own])


class Images(Protocol):
    """Images of one shape, read by index; ``len`` counts those that can be, as far as is known.

    An image may be anything of one shape: a sequence, a vector.

    Attributes:
        shape: (C, *spatial), as (C, H, W).
        places: number N of indices. As many as there are images, and more where some have broken
            that keep their place in the order; another image is shown there.
        sequential: False: ``items`` takes any indices in 0..N-1. True: the images come in an
            order of their own, and ``items`` takes consecutive positions of an endless stream.
        skipped: what could not be decoded so far, as (name, reason); new ones come last.
        left_out: the same, and what is no image.
        checked: whether all that can be known of the images was known when they were opened: True
            for what is in memory.
        draws: how many random numbers ``items`` takes for each image, 0 unless it crops at random.
        names: the files of a folder, relative to it, one for each place, else ().
        gone: those of the names that were known before and are not there any more.
        classes: names of the classes, () if there are none.
        labels: int64 (N,), the class of each image, or None.
        captioned: whether something is said of each image.
        scaling: how the items were brought to that scale, or None where they were not.
        said: a text by which captions of a folder differ, else "".
    """

    shape: tuple[int, ...]
    draws: int = 0
    names: Sequence[str] = ()
    gone: Sequence[str] = ()
    classes: Sequence[str] = ()
    labels: NDArray[np.int64] | None = None
    scaling: Scaling | None = None

    captioned: bool = False
    said: str = ""
    sequential: bool = False
    checked: bool = True

    @property
    def places(self) -> int:
        return len(self)

    @property
    def shown(self) -> Images:
        """What people look at: itself, but the pictures whose latents these are."""
        return self

    @property
    def skipped(self) -> list[tuple[str, str]]:
        return []

    @property
    def left_out(self) -> list[LeftOut]:
        return [LeftOut(path, why) for path, why in self.skipped]

    def __len__(self) -> int: ...

    def batch(self, indices: NDArray[np.int64]) -> Pixels:
        """The images alone, each as it is shown where nothing is random."""
        return self.items(indices).x

    def captions(self, place: int) -> Sequence[str]:
        """All that may be said of an image, of which each showing says one."""
        return ()

    def items(
        self,
        indices: Indices,
        draws: Draws | None = None,
        chance: Chance | None = None,
        choice: Draws | None = None,
    ) -> Items:
        """Return images with what is known of each.

        Args:
            indices: (B,).
            draws: (B, self.draws) uniform numbers in [0, 1); None: the middle is shown.
            chance: gives for the j-th of the batch the stream that another image is drawn from, if
                that one cannot be decoded; None: one that belongs to its index.
            choice: (B,) uniform numbers in [0, 1) that choose among the captions of each; None: its
                first.
        """
        ...


class ArrayImages(Images):
    """Images in memory, (N, C, *spatial): uint8 or float32. Not copied."""

    def __init__(self, array: Pixels, skipped: list[tuple[str, str]] | None = None) -> None:
        self._array = array
        self.shape = array.shape[1:]
        self._skipped = skipped or []

    @property
    def skipped(self) -> list[tuple[str, str]]:
        return self._skipped

    def __len__(self) -> int:
        return len(self._array)

    def items(
        self,
        indices: Indices,
        draws: Draws | None = None,
        chance: Chance | None = None,
        choice: Draws | None = None,
    ) -> Items:
        return Items(self._array[indices], None if self.labels is None else self.labels[indices])


def from_array(
    array: Pixels, image_size: tuple[int, ...], channels: int, *, bounded: bool = True
) -> ArrayImages:
    """Check an array of images and wrap it.

    Args:
        array: (N, C, *spatial); uint8 in 0..255, or floats in [0, 1].
        bounded: whether floats have to be; else they are taken as they are.

    Raises:
        ValueError: another shape, type or range, or no image at all.
    """
    expected = (channels, *image_size)
    if array.ndim != 1 + len(expected) or array.shape[1:] != expected:
        axes = {0: "C", 1: "C, L", 2: "C, H, W"}.get(len(image_size), "C, ...")
        raise ValueError(
            f"data has shape {array.shape}: image_size and channels ask for (N, {axes}) = "
            f"(N, {', '.join(map(str, expected))})"
        )
    if len(array) == 0:
        raise ValueError(f"data has shape {array.shape}: at least 1 image is needed")
    if array.dtype == np.uint8 and bounded:
        return ArrayImages(array)
    if not np.issubdtype(array.dtype, np.floating):
        wanted = "uint8, or floats in [0, 1]" if bounded else "floats, or leave auto_normalize on"
        raise ValueError(f"data has type {array.dtype}: give {wanted}")
    if bounded:
        check_unit_range("data", array)
    elif not np.isfinite(array).all():
        raise ValueError("data has values that are NaN or infinite: correct or leave them out")
    return ArrayImages(array.astype(np.float32, copy=False))


def chosen(things: Sequence[Item], number: float) -> Item:
    """The one of several things that a uniform number in [0, 1) stands for."""
    return things[int(number * len(things))]


def check_unit_range(name: str, values: Pixels) -> None:
    """Raise ValueError unless all values lie in [0, 1] (NaN does not)."""
    low, high = values.min(), values.max()
    if not (low >= 0 and high <= 1):
        raise ValueError(
            f"{name} has values from {low!s} to {high!s}: give floats in [0, 1], or uint8"
        )
