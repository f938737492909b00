"""A folder of image files, decoded once into memory or streamed from the disk."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..system.say import bar
from .arrays import Images
from .cache import CachedRecords, cached
from .captions import tell
from .classes import select
from .contents import seems_whole
from .crops import Crop
from .decode import Pixels8, reason, try_decode
from .left_out import LeftOut, left_out_text, unreadable
from .listing import find
from .reading import Reading
from .records import (
    CHUNK,
    Decoded,
    RecordImages,
    Records,
    Selected,
    none_readable,
    parallel,
    read_all,
)


class FolderRecords:
    """Image files, in the order of their names."""

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
        return parallel(self._decode, zip(places, draws, strict=True))

    def _decode(self, item: tuple[int, Sequence[float]]) -> Pixels8 | str:
        place, draw = item
        channels, height, width = self.shape
        found = try_decode(self.name(place), (height, width), channels, self._crop, draw)
        return "an empty file" if isinstance(found, str) and self._is_empty(place) else found

    def fault(self, place: int, *, closely: bool) -> str | None:
        """Say what is wrong with a file: None if nothing.

        Without ``closely`` it is decoded only where its beginning and its end are suspicious.
        """
        try:
            if not closely and not self._is_empty(place) and seems_whole(self.name(place)):
                return None
        except Exception as error:  # decoders raise anything on broken bytes
            return reason(error)
        found = self._decode((place, ()))
        return found if isinstance(found, str) else None

    def _is_empty(self, place: int) -> bool:
        try:
            return os.path.getsize(self.name(place)) == 0  # noqa: PTH202
        except OSError:
            return False


def open_folder(
    folder: Path, how: Reading, *, only_class: Sequence[str], known: Sequence[str]
) -> Images:
    """Open a folder of images: see :func:`.images.open_images`."""
    # Notes about odd metadata and large photographs, which are read all the same.
    warnings.filterwarnings("ignore", module=r"PIL\.")
    found, left_out = find(folder, strict=how.strict)
    captions: dict[str, list[str]] = {}
    if how.caption_encoding is not None:
        captions, left_out = tell(folder, found, left_out, how.caption_encoding, strict=how.strict)
        found = [name for name in found if name in captions]
    kept = _still_known(found, known)
    names = sorted(kept.union(found))
    if not names:
        told = left_out_text(left_out)
        raise ValueError(
            f"data folder '{folder}' holds no image{f' ({told})' * bool(told)}: give a folder of "
            'images, or "digits"'
        )
    if only_class:
        names = [names[place] for place in select(*classes_of(names), only_class)[0]]
    files = FolderRecords(folder, names, how.shape, how.crop)
    records: Records = cached(files, how)
    in_memory = how.fits_in_memory(len(names))
    if in_memory:
        records = decoded = Decoded(records)
        faults = decoded.fill(progress=how.progress)
    elif how.strict:
        faults = _faults(records, progress=how.progress)
    elif isinstance(records, CachedRecords):
        faults = records.faults()
    else:
        faults = _faults_at_a_glance(files, kept, progress=how.progress)
    broken = _gather(files, faults, strict=how.strict)
    # What is broken keeps its place in a run that has it, so that the order of the others stays.
    places = [place for place, name in enumerate(names) if place not in broken or name in kept]
    left_out += [LeftOut(files.name(p), why) for p, why in broken.items() if names[p] not in kept]
    images = RecordImages(Selected(records, places), strict=how.strict, left_out=left_out)
    for number, place in enumerate(places):
        if place in broken:
            images.skip(number, broken[place])
    images.checked = in_memory or how.strict or how.cache is not None
    images.names = [names[place] for place in places]
    images.gone = sorted(set(images.names).difference(found))
    images.classes, images.labels = classes_of(images.names)
    if captions:
        images.tell(images.names, [captions.get(name, []) for name in images.names])
    images.batch(np.arange(1))  # refuses a folder without any image that can be decoded
    return images


def _gather(
    files: FolderRecords, faults: Iterable[tuple[int, str]], *, strict: bool
) -> dict[int, str]:
    """Collect what is broken.

    Raises:
        ValueError: everything is, or with ``strict`` something.
    """
    broken: dict[int, str] = {}
    for place, why in faults:
        if strict:
            raise unreadable(files.name(place), why)
        broken[place] = why
    if len(broken) == len(files):
        place, why = next(iter(broken.items()))
        raise none_readable(len(files), files.name(place), why)
    return broken


def _still_known(found: Sequence[str], known: Sequence[str]) -> set[str]:
    """Return the names that are known; none if most have gone, as from another folder."""
    gone = set(known).difference(found)
    return set() if 2 * len(gone) > len(known) else set(known)


def _faults(records: Records, *, progress: bool) -> Iterator[tuple[int, str]]:
    """Decode all, and yield where one cannot be, and why."""
    for place, found in read_all(records, "checking images", progress=progress):
        if isinstance(found, str):
            yield place, found


def _faults_at_a_glance(
    files: FolderRecords, known: set[str], *, progress: bool
) -> Iterator[tuple[int, str]]:
    """Yield what is broken as far as each file's beginning and end tell.

    What joins the files of a run is decoded: should it turn out broken later, it would have moved
    the order of the others for nothing.
    """

    def fault(place: int) -> str | None:
        return files.fault(place, closely=bool(known) and files.names[place] not in known)

    with bar(None, "checking images", len(files), delay=2, disable=not progress) as shown:
        for start in range(0, len(files), CHUNK):
            places = range(start, min(start + CHUNK, len(files)))
            for place, why in zip(places, parallel(fault, places), strict=True):
                if why is not None:
                    yield place, why
            shown.update(len(places))


def classes_of(names: Sequence[str]) -> tuple[tuple[str, ...], NDArray[np.int64] | None]:
    """Return the sub-folders, sorted, and which of them each file is in.

    None where a file lies in no sub-folder: these images have no classes.
    """
    parts = [name.partition("/") for name in names]
    if not all(slash for _, slash, _ in parts):
        return (), None
    classes, labels = np.unique([first for first, _, _ in parts], return_inverse=True)
    return tuple(classes.tolist()), labels.astype(np.int64)
