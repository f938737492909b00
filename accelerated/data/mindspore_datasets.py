"""A MindSpore dataset as training images, read once into memory or streamed."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator
from itertools import islice
from threading import Lock
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from .arrays import ArrayImages, Images, Pixels
from .decode import Pixels8, decode_value, is_encoded
from .records import unreadable

# Endless would be -1, from which MindSpore cannot resume; much more overflows with .repeat().
_EPOCHS = 2**16


class Rows:
    """Reads the images out of a dataset's rows, whatever their form.

    Args:
        dataset: any pipeline whose rows have a column of images: the one named "image", else the
            first that looks like one. For the form of an image see :func:`.decode.decode_value`.
            Rows may be batches of images of one size.

    Raises:
        ValueError: no row, or no such column.
    """

    def __init__(self, dataset: Any, image_size: tuple[int, int], channels: int) -> None:
        self._dataset = dataset
        self.image_size, self.channels = image_size, channels
        self.count: int = dataset.get_dataset_size()
        if self.count < 1:
            raise ValueError("the MindSpore dataset has no row: at least 1 image is needed")
        self._in_batches = dataset.get_batch_size() > 1
        first = next(self.from_row(0))
        names = dataset.get_col_names()
        self._column = image_column(names, first)
        self.name = f"dataset column '{names[self._column]}'"
        self.per_row = len(self.images(first))

    def images(self, row: list[Pixels]) -> list[Pixels8 | str]:
        """Return the image of a row, or those of a batch: uint8 (C, H, W), or why it has none."""
        value = np.asarray(row[self._column])
        if value.dtype.kind == "S":  # encoded files, as MindDataset gives them
            batch = encoded_files(value)
        elif value.ndim == 4 or (value.ndim == 3 and self._in_batches):
            batch = list(value)
        else:
            batch = [value]
        return [decode_value(self.name, v, self.image_size, self.channels) for v in batch]

    def from_row(self, start: int) -> Iterator[list[Pixels]]:
        """Read on without end from row ``start`` of the endless stream of epochs."""
        before = self._dataset.get_init_step()
        self._dataset.set_init_step(start)
        try:
            epochs = self._dataset.create_tuple_iterator(num_epochs=_EPOCHS, output_numpy=True)
        finally:
            self._dataset.set_init_step(before)
        delivers = True
        while delivers:
            delivers = False
            for row in epochs:  # ends with each epoch, and begins again with the next
                delivers = True
                yield row
        raise ValueError("the MindSpore dataset delivers no more rows: it can be read only once")

    def one_epoch(self) -> Iterator[list[Pixels]]:
        """Read all rows once."""
        return iter(self._dataset.create_tuple_iterator(num_epochs=1, output_numpy=True))

    def images_per_epoch(self) -> int:
        """Count the images: all rows have as many as the first, but the last may have fewer."""
        if self.per_row == 1:
            return self.count
        last = next(self.from_row(self.count - 1))
        return (self.count - 1) * self.per_row + len(self.images(last))


class DatasetStream(Images):
    """A dataset too large for memory, in its own order.

    ``batch`` reads on; asked for another position, it starts the pipeline anew there. So that a
    resumed run sees the same images, fix the pipeline's shuffling with
    ``mindspore.dataset.config.set_seed`` (random augmentations differ all the same).

    Instead of an image file that cannot be decoded the stream shows the next one that can.
    """

    sequential = True

    def __init__(self, rows: Rows, *, strict: bool) -> None:
        self._strict, self._broken = strict, dict[str, str]()
        self.shape = (rows.channels, *rows.image_size)
        self._rows, self._lock = rows, Lock()
        self._length = rows.images_per_epoch()
        self._position = -1
        self._images: Iterator[Pixels8 | str] = iter(())

    @property
    def skipped(self) -> list[tuple[str, str]]:
        return list(self._broken.copy().items())

    def __len__(self) -> int:
        return self._length

    def batch(
        self, indices: NDArray[np.int64], draws: NDArray[np.float64] | None = None
    ) -> Pixels8:
        with self._lock:  # there is one position for all threads
            return self._batch(indices)

    def _batch(self, indices: NDArray[np.int64]) -> Pixels8:
        start = int(indices[0])
        if not np.array_equal(indices, np.arange(start, start + len(indices))):
            raise ValueError(f"a streamed dataset is read in order, not at {indices.tolist()}")
        if start != self._position:
            self._seek(start)
        self._position = -1  # unknown, should reading be interrupted
        found = [next(self._images) for _ in indices]
        self._note_broken(found, start)
        if isinstance(found[-1], str):
            later = self._next_readable()
        else:
            later, self._position = found[-1], start + len(found)
        images = []
        for image in reversed(found):
            later = later if isinstance(image, str) else image
            images.append(later)
        return np.stack(images[::-1])

    def _note_broken(self, found: list[Pixels8 | str], start: int) -> None:
        for position, image in enumerate(found, start):
            if isinstance(image, str):
                name = _nth(position % self._length)
                if self._strict:
                    raise unreadable(name, image)
                self._broken[name] = image

    def _next_readable(self) -> Pixels8:
        why = ""
        for image in islice(self._images, self._length):
            if not isinstance(image, str):
                return image
            why = image
        raise ValueError(f"{self._rows.name} cannot be decoded: {why}")

    def _seek(self, position: int) -> None:
        epoch, offset = divmod(position, self._length)
        row, inside = divmod(offset, self._rows.per_row)
        rows = self._rows.from_row(epoch * self._rows.count + row)
        self._images = (image for row in rows for image in self._rows.images(row))
        for _ in range(inside):
            next(self._images)


def open_dataset(
    dataset: Any,
    image_size: tuple[int, int],
    channels: int,
    *,
    strict: bool,
    memory_limit: int,
    progress: bool = False,
) -> Images:
    """Read a dataset of at most ``memory_limit`` bytes of pixels into memory, or stream it.

    In memory every image is kept as it came in the one epoch that is read (give a limit of 0 where
    the pipeline augments at random), sorted by a hash of its pixels: so a run does not depend on
    the order in which a shuffling pipeline happened to deliver them.

    Raises:
        ValueError: no row, no column of images, or images of an unknown form.
    """
    rows = Rows(dataset, image_size, channels)
    if rows.count * rows.per_row * channels * math.prod(image_size) > memory_limit:
        return DatasetStream(rows, strict=strict)
    bar = tqdm(rows.one_epoch(), "reading the dataset", rows.count, delay=2, disable=not progress)
    found = [image for row in bar for image in rows.images(row)]
    broken = [(_nth(place), why) for place, why in enumerate(found) if isinstance(why, str)]
    images = [image for image in found if not isinstance(image, str)]
    if broken and strict:
        raise unreadable(*broken[0])
    if not images:
        raise ValueError(f"{rows.name} cannot be decoded: {broken[0][1]}")
    images.sort(key=lambda image: hashlib.blake2b(image.tobytes()).digest())
    return ArrayImages(np.stack(images), broken)


def _nth(place: int) -> str:
    return f"image {place} of the MindSpore dataset"


def encoded_files(value: Pixels) -> list[Pixels8]:
    """Return the bytes of each file in a bytes array; NumPy's own bytes lose zeros at the end."""
    files = np.ascontiguousarray(value).reshape(-1, 1).view(np.uint8)
    return list(files)


def image_column(names: list[str], row: list[Pixels]) -> int:
    """Choose the column named "image", else the first of 2 or more axes, else encoded files."""
    if "image" in names:
        return names.index("image")
    values = [np.asarray(value) for value in row]
    pictures = [column for column, value in enumerate(values) if value.ndim >= 2]
    files = [column for column, value in enumerate(values) if is_encoded(value)]
    if pictures or files:
        return (pictures or files)[0]
    raise ValueError(
        f"no column of the MindSpore dataset holds images ({', '.join(names)}): "
        "name the right one 'image'"
    )
