"""A MindRecord file of images, decoded once into memory or read by row."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
from mindspore import dataset as ds

from .arrays import Images, Pixels
from .cache import CachedRecords, cached
from .crops import Crop
from .decode import Pixels8, decode_value, reason
from .mindspore_datasets import encoded_files, image_column
from .reading import Reading
from .records import Decoded, RecordImages, Records, parallel


class MindRecords:
    """The rows of a MindRecord file, read by number.

    A pipeline is opened for each batch, with the wanted rows as its sampler (10 ms). So the
    order is that of this package, and a run resumes anywhere, whatever has been read before.

    Args:
        file: the file, or one of its parts: the others are found by MindSpore.
        shape: (C, H, W) of the decoded images.
        crop: which part of an image is shown.

    Raises:
        ValueError: a file that MindSpore cannot read, or one without a column of images.
    """

    def __init__(self, file: Path, shape: tuple[int, int, int], crop: Crop) -> None:
        self.shape, self.draws = shape, crop.draws
        self._file, self._crop = str(file), crop
        try:
            self._file.encode()
        except UnicodeEncodeError:
            raise ValueError(
                f"MindRecord file {self._file!r} has a name that MindSpore does not take, as it is "
                "not UTF-8: rename it"
            ) from None
        try:
            dataset = ds.MindDataset(self._file, shuffle=False)
            self._count: int = dataset.get_dataset_size()
            first = next(dataset.create_tuple_iterator(num_epochs=1, output_numpy=True), None)
        except (RuntimeError, ValueError) as error:
            why = str(error).splitlines()[0]
            raise ValueError(f"MindRecord file '{file}' cannot be read: {why}") from None
        if first is None:
            raise ValueError(f"MindRecord file '{file}' holds no row: at least 1 image is needed")
        names = dataset.get_col_names()
        self._column: str = names[image_column(names, first)]

    def __len__(self) -> int:
        return self._count

    def name(self, place: int) -> str:
        return f"row {place} of {self._file}"

    def files(self) -> Iterator[tuple[str, str]]:
        yield Path(self._file).name, self._file

    def read(
        self, places: Sequence[int], draws: Sequence[Sequence[float]]
    ) -> Sequence[Pixels8 | str]:
        rows = sorted(set(places))  # the sampler takes each row once
        dataset = ds.MindDataset(
            self._file, [self._column], num_parallel_workers=1, sampler=ds.SubsetSampler(rows)
        )
        columns = dataset.create_tuple_iterator(num_epochs=1, output_numpy=True)
        values = dict(zip(rows, (column for (column,) in columns), strict=True))
        return parallel(self._decode, zip((values[p] for p in places), draws, strict=True))

    def _decode(self, item: tuple[Pixels, Sequence[float]]) -> Pixels8 | str:
        value, draw = item
        if value.dtype.kind == "S":
            [value] = encoded_files(value)
        channels, height, width = self.shape
        name = f"column '{self._column}'"
        try:
            return decode_value(name, value, (height, width), channels, self._crop, draw)
        except ValueError as error:
            return reason(error)


def open_mindrecord(file: Path, how: Reading) -> Images:
    """Open a MindRecord file of images: see :func:`.images.open_images`."""
    warnings.filterwarnings("ignore", module=r"PIL\.")
    rows = MindRecords(file, how.shape, how.crop)
    records: Records = cached(rows, how)
    faults: Iterable[tuple[int, str]] = ()
    in_memory = how.fits_in_memory(len(records))
    if in_memory:
        records = decoded = Decoded(records)
        faults = decoded.fill(progress=how.progress)
    elif isinstance(records, CachedRecords):
        faults = records.faults()
    # Rows have no names, so all keep their places: the order is the same whatever breaks.
    images = RecordImages(records, strict=how.strict)
    for place, why in faults:
        images.skip(place, why)
    images.checked = in_memory or how.cache is not None
    images.batch(np.arange(1))  # refuses a file without any image that can be decoded
    return images
