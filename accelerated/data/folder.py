"""A folder of image files, decoded once into memory or streamed from the disk."""

from __future__ import annotations

import math
import os
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from tqdm import tqdm

from .arrays import Images
from .cache import cached
from .classes import select
from .crops import Crop
from .decode import Pixels8, reason, try_decode
from .records import CHUNK, RecordImages, in_chunks, load, parallel, unreadable

# Pillow recognises these and cannot decode them.
_NO_IMAGES = {"MPEG", "HDF5", "BUFR", "GRIB"}


class FolderRecords:
    """Image files, by the order of their names."""

    def __init__(
        self, folder: Path, names: Sequence[str], shape: tuple[int, int, int], crop: Crop
    ) -> None:
        self.names, self.shape, self.draws = names, shape, crop.draws
        self._folder, self._crop = str(folder), crop

    def __len__(self) -> int:
        return len(self.names)

    def name(self, place: int) -> str:
        return f"{self._folder}{os.sep}{self.names[place]}"

    def files(self) -> Iterator[tuple[str, str]]:
        return ((name, self.name(place)) for place, name in enumerate(self.names))

    def read(
        self, places: Sequence[int], draws: Sequence[Sequence[float]]
    ) -> Sequence[Pixels8 | str]:
        channels, height, width = self.shape

        def decode(item: tuple[int, Sequence[float]]) -> Pixels8 | str:
            place, draw = item
            return try_decode(self.name(place), (height, width), channels, self._crop, draw)

        return parallel(decode, zip(places, draws, strict=True))

    def header_fault(self, place: int) -> str | None:
        """Say what is wrong with a file as far as its first bytes tell: None if nothing."""
        try:
            with Image.open(self.name(place)):
                return None
        except Exception as error:  # decoders raise anything on broken bytes
            return reason(error)


def open_folder(
    folder: Path,
    shape: tuple[int, int, int],
    *,
    crop: Crop,
    only_class: Sequence[str],
    known: Sequence[str],
    cache: Path | None,
    strict: bool,
    memory_limit: int,
    progress: bool,
) -> Images:
    """Open a folder of images: see :func:`.images.open_images`."""
    # Notes about odd metadata and large photographs, which are read all the same.
    warnings.filterwarnings("ignore", module=r"PIL\.")
    skipped: dict[str, str] = {}
    names = _with_known(_find(folder, skipped, strict=strict), known)
    classes, labels = _classes(names)
    if not names:
        raise ValueError(_nothing_in(folder, skipped))
    if only_class:
        places, classes, labels = select(classes, labels, only_class)
        names = [names[place] for place in places]
    files = FolderRecords(folder, names, shape, crop)
    records = cached(files, cache, crop.kind, progress=progress) if cache else files
    streamed = RecordImages(records, strict=strict, skipped=skipped)
    images: Images = streamed
    if not crop.draws and len(names) * math.prod(shape) <= memory_limit:
        images = load(streamed, progress=progress)
    elif strict or not cache:
        _check(streamed, files, strict=strict, progress=progress)
    else:
        streamed.batch(np.arange(1))  # refuses a folder without any image that can be decoded
    images.names, images.classes, images.labels = names, classes, labels
    return images


def _check(images: RecordImages, records: FolderRecords, *, strict: bool, progress: bool) -> None:
    """Find the broken files: all of them if strict, else those whose first bytes tell."""
    if strict:
        for _ in in_chunks(images, "checking images", progress=progress):
            pass
        return
    with tqdm(None, "checking images", len(records), delay=2, disable=not progress) as bar:
        for start in range(0, len(records), CHUNK):
            places = range(start, min(start + CHUNK, len(records)))
            for place, fault in zip(places, parallel(records.header_fault, places), strict=True):
                if fault is not None:
                    images.skip(place, fault)
            bar.update(len(places))
    images.batch(np.arange(1))


def _find(folder: Path, skipped: dict[str, str], *, strict: bool) -> list[str]:
    """Return the image files below a folder, as paths relative to it.

    Hidden files and folders are left out. Links are followed; each real folder is read once, so
    that a link to a parent ends.
    """
    if not folder.exists():
        raise ValueError(
            f"data folder '{folder}' does not exist: give a folder of images, or \"digits\""
        )
    if not folder.is_dir():
        raise ValueError(f"data folder '{folder}' is a file: give the folder that holds the images")
    endings = _endings()
    found, seen = [], set()

    def skip(path: str, why: str) -> None:
        if strict:
            raise unreadable(path, why)
        skipped[path] = why

    for root, folders, names in os.walk(
        folder, onerror=lambda error: skip(error.filename, reason(error)), followlinks=True
    ):
        real = os.path.realpath(root)
        if real in seen:
            folders.clear()
            continue
        seen.add(real)
        folders[:] = sorted(_visible(folders))
        for path in (Path(root, name) for name in _visible(names)):
            if path.suffix.lower() not in endings:
                continue
            if path.is_file():
                found.append(path.relative_to(folder).as_posix())
            else:  # opening a pipe would wait for ever
                skip(str(path), "not a file, or a broken link")
    return found


def _with_known(found: list[str], known: Sequence[str]) -> list[str]:
    """Sort the names, with those that have gone; not if most have, as from another folder."""
    gone = set(known).difference(found)
    return sorted(found if 2 * len(gone) > len(known) else [*found, *gone])


def _visible(names: list[str]) -> list[str]:
    return [name for name in names if not name.startswith(".")]


def _endings() -> set[str]:
    Image.init()
    readable = set(Image.OPEN) - _NO_IMAGES
    return {ending for ending, name in Image.registered_extensions().items() if name in readable}


def _classes(names: Sequence[str]) -> tuple[tuple[str, ...], NDArray[np.int64] | None]:
    """Return the sub-folders, sorted, and which of them each file is in.

    None where a file lies in no sub-folder: these images have no classes.
    """
    parts = [name.partition("/") for name in names]
    if not all(slash for _, slash, _ in parts):
        return (), None
    classes, labels = np.unique([first for first, _, _ in parts], return_inverse=True)
    return tuple(classes.tolist()), labels.astype(np.int64)


def _nothing_in(folder: Path, skipped: dict[str, str]) -> str:
    tried = "".join(f"; '{path}': {why}" for path, why in list(skipped.items())[:1])
    return f"data folder '{folder}' holds no image{tried}: give a folder of images, or \"digits\""
