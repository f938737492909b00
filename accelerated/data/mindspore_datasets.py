"""A MindSpore dataset as training images, read once into memory or streamed."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator
from itertools import islice
from threading import Lock
from typing import Any

import numpy as np

from ..system.say import bar
from .arrays import ArrayImages, Chance, Draws, Images, Indices, Items, Pixels
from .decode import Pixels8, decode_value, is_encoded
from .left_out import unreadable
from .reading import Reading
from .records import chance_of

# Endless would be -1, from which MindSpore cannot resume; much more overflows with .repeat().
_EPOCHS = 2**16
# Of a stream's images that are kept, so that others can take the place of broken ones.
_BLOCK_BYTES = 2**26


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

    ``items`` reads on; asked for another position, it starts the pipeline anew there. So that a
    resumed run sees the same images, fix the pipeline's shuffling with
    ``mindspore.dataset.config.set_seed`` (random augmentations differ all the same).

    The stream is cut into blocks of up to 256 positions. Instead of an image file that cannot be
    decoded another image of its block is shown, drawn from those that can: a block is what can be
    read without reading all. Where it has none, the next one that has is taken.
    """

    sequential = True
    checked = False

    def __init__(self, rows: Rows, *, strict: bool) -> None:
        self._strict, self._broken = strict, dict[str, str]()
        self.shape = (rows.channels, *rows.image_size)
        self._rows, self._lock = rows, Lock()
        self._length = rows.images_per_epoch()
        self._block = int(np.clip(_BLOCK_BYTES // math.prod(self.shape), 1, 256))
        self._images: Iterator[Pixels8 | str] = iter(())
        # What has been read of the stream and may be needed again, from this position on.
        self._begin, self._read = 0, list[Pixels8 | str]()
        self._readable = -1, list[Pixels8]()  # of the block that begins there
        self._is_reading = True  # nothing is known of the pipeline's position

    @property
    def skipped(self) -> list[tuple[str, str]]:
        return list(self._broken.copy().items())

    def __len__(self) -> int:
        return self._length

    def items(
        self,
        indices: Indices,
        draws: Draws | None = None,
        chance: Chance | None = None,
        choice: Draws | None = None,
    ) -> Items:
        start = int(indices[0])
        if not np.array_equal(indices, np.arange(start, start + len(indices))):
            raise ValueError(f"a streamed dataset is read in order, not at {indices.tolist()}")
        with self._lock:  # there is one position for all threads
            if self._is_reading or not 0 <= start - self._begin <= len(self._read):
                self._seek(start - start % self._block)
            self._is_reading = True  # should it be interrupted
            images = [self._image(start + j, j, chance) for j in range(len(indices))]
            last = start + len(indices) - 1
            self._forget(last - last % self._block)
            self._is_reading = False
        return Items(np.stack(images))

    def _image(self, position: int, j: int, chance: Chance | None) -> Pixels8:
        self._read_until(position + 1)
        found = self._read[position - self._begin]
        if not isinstance(found, str):
            return found
        name = _nth(position % self._length)
        if self._strict:
            raise unreadable(name, found)
        self._broken[name] = found
        start = position - position % self._block
        if self._readable[0] != start:
            self._readable = start, self._find_readable(start)
        readable = self._readable[1]
        stand_in = chance(j) if chance else chance_of(position)
        return readable[stand_in.integers(len(readable))]

    def _find_readable(self, start: int) -> list[Pixels8]:
        """The images of the block that begins at ``start``, or of the first after it with any."""
        why = ""
        for first in range(start, start + self._length + self._block, self._block):
            self._read_until(first + self._block)
            block = self._read[first - self._begin :][: self._block]
            if readable := [image for image in block if not isinstance(image, str)]:
                return readable
            why = str(block[0])
        raise ValueError(f"{self._rows.name} cannot be decoded: {why}")

    def _read_until(self, stop: int) -> None:
        missing = stop - self._begin - len(self._read)
        self._read.extend(islice(self._images, max(0, missing)))

    def _forget(self, stop: int) -> None:
        del self._read[: max(0, stop - self._begin)]
        self._begin = max(self._begin, stop)

    def _seek(self, position: int) -> None:
        epoch, offset = divmod(position, self._length)
        row, inside = divmod(offset, self._rows.per_row)
        rows = self._rows.from_row(epoch * self._rows.count + row)
        self._images = (image for row in rows for image in self._rows.images(row))
        for _ in range(inside):
            next(self._images)
        self._begin, self._read = position, []


def open_dataset(dataset: Any, how: Reading) -> Images:
    """Read a dataset of at most ``how.memory_limit`` bytes of pixels into memory, or stream it.

    In memory every image is kept as it came in the one epoch that is read (give a limit of 0 where
    the pipeline augments at random), sorted by a hash of its pixels: so a run does not depend on
    the order in which a shuffling pipeline happened to deliver them.

    Raises:
        ValueError: no row, no column of images, or images of an unknown form.
    """
    channels, height, width = how.shape
    rows = Rows(dataset, (height, width), channels)
    if not how.fits_in_memory(rows.count * rows.per_row):
        return DatasetStream(rows, strict=how.strict)
    hidden = not how.progress
    shown = bar(rows.one_epoch(), "reading the dataset", rows.count, delay=2, disable=hidden)
    found = [image for row in shown for image in rows.images(row)]
    broken = [(_nth(place), why) for place, why in enumerate(found) if isinstance(why, str)]
    images = [image for image in found if not isinstance(image, str)]
    if broken and how.strict:
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
