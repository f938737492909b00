"""Encoded images that are decoded when they are asked for, and what happens when one cannot be."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from .arrays import ArrayImages, Images
from .decode import Pixels8

Item = TypeVar("Item")
Result = TypeVar("Result")

_THREADS = min(8, os.cpu_count() or 1)
# Images read together: enough to keep the threads busy, few enough to take no memory to speak of.
CHUNK = 32 * _THREADS


class Records(Protocol):
    """N encoded images by number: their place, 0..N-1.

    Attributes:
        shape: (C, H, W) of the decoded images.
        draws: how many random numbers the decoding of one takes.
    """

    shape: tuple[int, int, int]
    draws: int

    def __len__(self) -> int: ...

    def name(self, place: int) -> str:
        """What to call a record when something is wrong with it."""
        ...

    def files(self) -> Iterable[tuple[str, str]]:
        """The (name, path) of each file that the records come from."""
        ...

    def read(
        self, places: Sequence[int], draws: Sequence[Sequence[float]]
    ) -> Sequence[Pixels8 | str]:
        """Decode records: for each its pixels (C, H, W), or in a few words why it has none."""
        ...


class RecordImages(Images):
    """Records as training images.

    Every record keeps its place, whether it can be read or not. Where it cannot, the next one that
    can is shown instead (the first comes after the last). A batch is therefore a function of the
    records there are and of which of them can be read, however they are read and whenever one
    breaks. A record that could not be read is not tried again.

    Args:
        records: the images.
        strict: raise ValueError where a record cannot be read, instead of skipping it.
        skipped: what was skipped while the records were looked for, as path: reason.
    """

    def __init__(
        self, records: Records, *, strict: bool = False, skipped: dict[str, str] | None = None
    ) -> None:
        self.shape, self.draws = records.shape, records.draws
        self._records, self._strict = records, strict
        self._skipped = skipped or {}
        self._broken: dict[int, str] = {}

    @property
    def skipped(self) -> list[tuple[str, str]]:
        broken = self._broken.copy().items()  # another thread may be reading
        return [*self._skipped.items(), *((self._records.name(i), why) for i, why in broken)]

    def __len__(self) -> int:
        return len(self._records)

    def batch(
        self, indices: NDArray[np.int64], draws: NDArray[np.float64] | None = None
    ) -> Pixels8:
        places: list[int] = indices.tolist()
        drawn = [[]] * len(places) if draws is None else draws.tolist()
        images: list[Pixels8 | None] = [None] * len(places)
        missing = list(range(len(places)))
        while missing:
            for j in missing:
                places[j] = self._next_readable(places[j])
            read = self._records.read([places[j] for j in missing], [drawn[j] for j in missing])
            for j, found in zip(missing, read, strict=True):
                if isinstance(found, str):
                    self.skip(places[j], found)
                else:
                    images[j] = found
            missing = [j for j in missing if images[j] is None]
        return np.stack(images)  # type: ignore[arg-type]

    def skip(self, place: int, why: str) -> None:
        """Note that a record cannot be read.

        Raises:
            ValueError: strict.
        """
        if self._strict:
            raise unreadable(self._records.name(place), why)
        self._broken[place] = why

    def _next_readable(self, place: int) -> int:
        for offset in range(len(self)):
            candidate = (place + offset) % len(self)
            if candidate not in self._broken:
                return candidate
        name, why = self.skipped[-len(self)]
        raise ValueError(
            f"none of the {len(self)} images of data can be decoded ('{name}': {why}): "
            "give images that can be"
        )


def unreadable(name: str, why: str) -> ValueError:
    """The error that ``strict`` asks for."""
    return ValueError(f"'{name}' cannot be decoded: {why}; remove it, or leave out strict")


def load(images: RecordImages, *, progress: bool) -> ArrayImages:
    """Decode all images into memory."""
    pixels = np.empty((len(images), *images.shape), np.uint8)
    for start, chunk in in_chunks(images, "decoding images", progress=progress):
        pixels[start : start + len(chunk)] = chunk
    return ArrayImages(pixels, images.skipped)


def in_chunks(images: RecordImages, task: str, *, progress: bool) -> Iterator[tuple[int, Pixels8]]:
    """Yield all images in order, as (place of the first, a few images)."""
    with tqdm(None, task, len(images), delay=2, disable=not progress) as bar:
        for start in range(0, len(images), CHUNK):
            stop = min(start + CHUNK, len(images))
            yield start, images.batch(np.arange(start, stop))
            bar.update(stop - start)


def parallel(function: Callable[[Item], Result], items: Iterable[Item]) -> list[Result]:
    """Map in a few threads: Pillow decodes without the interpreter's lock."""
    with ThreadPoolExecutor(_THREADS) as pool:
        return list(pool.map(function, items))
