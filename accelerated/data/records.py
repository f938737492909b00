"""Encoded images that are decoded when they are asked for, and what happens when one cannot be."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from typing import Any, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from ..randomness import Purpose, stream
from ..system.say import bar
from .arrays import Chance, Draws, Images, Indices, Items, chosen
from .captions import digest
from .decode import Pixels8
from .left_out import Kind, LeftOut, unreadable

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

    def read(
        self, places: Sequence[int], draws: Sequence[Sequence[float]]
    ) -> Sequence[NDArray[Any] | str]:
        """Decode records: for each its pixels (C, H, W), or in a few words why it has none."""
        ...


class Decoded:
    """Records in memory, once :meth:`fill` has run through."""

    def __init__(self, records: Records) -> None:
        self.shape, self.draws = records.shape, 0
        self._records = records
        self._pixels = np.empty((len(records), *records.shape), np.uint8)
        self._broken: dict[int, str] = {}

    def fill(self, *, progress: bool) -> Iterator[tuple[int, str]]:
        """Decode all, and yield where one cannot be, and why."""
        for place, found in read_all(self._records, "decoding images", progress=progress):
            if isinstance(found, str):
                self._broken[place] = found
                yield place, found
            else:
                self._pixels[place] = found

    def __len__(self) -> int:
        return len(self._records)

    def name(self, place: int) -> str:
        return self._records.name(place)

    def read(
        self, places: Sequence[int], draws: Sequence[Sequence[float]]
    ) -> Sequence[Pixels8 | str]:
        return [self._broken.get(place, self._pixels[place]) for place in places]


class Selected:
    """Some of the records: those at ``places``."""

    def __init__(self, records: Records, places: Sequence[int]) -> None:
        self.shape, self.draws = records.shape, records.draws
        self._records, self._places = records, places

    def __len__(self) -> int:
        return len(self._places)

    def name(self, place: int) -> str:
        return self._records.name(self._places[place])

    def read(
        self, places: Sequence[int], draws: Sequence[Sequence[float]]
    ) -> Sequence[Pixels8 | str]:
        return self._records.read([self._places[place] for place in places], draws)


class RecordImages(Images):
    """Records as training images.

    Every record keeps its place, whether it can be read or not. Where it cannot, another one is
    drawn from all that can, so that none is shown much more often than the others. A batch is
    therefore a function of the records there are, of which of them can be read and of the draws,
    however they are read and whenever one breaks. A record that could not be read is not tried
    again.

    Args:
        records: the images.
        strict: raise ValueError where a record cannot be read, instead of skipping it.
        left_out: what was left out while the records were looked for.

    Attributes:
        records: the images.
    """

    def __init__(
        self, records: Records, *, strict: bool = False, left_out: Sequence[LeftOut] = ()
    ) -> None:
        self.shape: tuple[int, ...] = records.shape
        self.draws = records.draws
        self.records, self._strict = records, strict
        self._left_out = left_out
        self._skipped = [(path, why) for path, why, kind in left_out if kind is Kind.BROKEN]
        self._broken: dict[int, str] = {}
        self._captions: Sequence[Sequence[str]] = ()

    @property
    def places(self) -> int:
        return len(self.records)

    @property
    def skipped(self) -> list[tuple[str, str]]:
        broken = self._broken.copy().items()  # another thread may be reading
        return [*self._skipped, *((self.records.name(i), why) for i, why in broken)]

    @property
    def left_out(self) -> list[LeftOut]:
        broken = self.skipped[len(self._skipped) :]
        return [*self._left_out, *(LeftOut(path, why) for path, why in broken)]

    def __len__(self) -> int:
        return len(self.records) - len(self._broken)

    def items(
        self,
        indices: Indices,
        draws: Draws | None = None,
        chance: Chance | None = None,
        choice: Draws | None = None,
    ) -> Items:
        places: list[int] = indices.tolist()
        drawn = [[]] * len(places) if draws is None else draws.tolist()
        chances = lru_cache(None)(chance or (lambda j: chance_of(int(indices[j]))))
        images: list[NDArray[Any] | None] = [None] * len(places)
        missing = list(range(len(places)))
        while missing:
            for j in missing:
                while places[j] in self._broken:
                    self._check_any()
                    places[j] = int(chances(j).integers(self.places))
            read = self.records.read([places[j] for j in missing], [drawn[j] for j in missing])
            for j, found in zip(missing, read, strict=True):
                if isinstance(found, str):
                    self.skip(places[j], found)
                else:
                    images[j] = found
            missing = [j for j in missing if images[j] is None]
        labels = None if self.labels is None else self.labels[places]
        said = None
        if self.captioned:
            picked = np.zeros(len(places)) if choice is None else choice
            told = [self.captions(place) or ("",) for place in places]
            said = [chosen(texts, u) for texts, u in zip(told, picked, strict=True)]
        return Items(np.stack(images), labels, said)  # type: ignore[arg-type]

    def captions(self, place: int) -> Sequence[str]:
        return self._captions[place]

    def tell(self, names: Sequence[str], captions: Sequence[Sequence[str]]) -> None:
        """Say something of each image: for each place its captions."""
        self.captioned, self._captions = True, captions
        self.said = digest(names, captions)

    def skip(self, place: int, why: str) -> None:
        """Note that a record cannot be read.

        Raises:
            ValueError: strict.
        """
        if self._strict:
            raise unreadable(self.records.name(place), why)
        self._broken[place] = why

    def _check_any(self) -> None:
        if not len(self):
            place, why = next(iter(self._broken.items()))
            raise none_readable(self.places, self.records.name(place), why)


def none_readable(count: int, path: str, why: str) -> ValueError:
    """The error of data without any image; ``path``: of the first."""
    return ValueError(
        f"none of the {count} images of data can be decoded ('{path}': {why}): "
        "give images that can be"
    )


def read_all(records: Records, task: str, *, progress: bool) -> Iterator[tuple[int, Pixels8 | str]]:
    """Yield all records in order, as (place, pixels or why there are none)."""
    with bar(None, task, len(records), delay=2, disable=not progress) as shown:
        for start in range(0, len(records), CHUNK):
            places = range(start, min(start + CHUNK, len(records)))
            yield from zip(places, records.read(places, [()] * len(places)), strict=True)
            shown.update(len(places))


def chance_of(index: int) -> np.random.Generator:
    """What another image is drawn with where it does not matter when this one is shown."""
    return stream(0, Purpose.REPLACE, index=index)


def parallel(function: Callable[[Item], Result], items: Iterable[Item]) -> list[Result]:
    """Map in a few threads: Pillow decodes without the interpreter's lock."""
    with ThreadPoolExecutor(_THREADS) as pool:
        return list(pool.map(function, items))
