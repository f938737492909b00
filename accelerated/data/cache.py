"""Decoded images in one file on the disk, so that they are decoded once and not at every start."""

from __future__ import annotations

import hashlib
import math
import os
import weakref
import zlib
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Protocol

import numpy as np

from ..system.files import make_folder
from ..system.say import bar
from .decode import RULE, Pixels8
from .reading import Reading
from .records import CHUNK, Records

_CHECKSUM = 4  # bytes


class FileRecords(Records, Protocol):
    """Records that come from files."""

    def files(self) -> Iterable[tuple[str, str]]:
        """The (name, path) of each file."""
        ...


class CachedRecords:
    """Records whose pixels lie in a file, each followed by its CRC-32.

    A row whose checksum is wrong is read from the records themselves: so are those that could not
    be decoded when the file was written, as they may be readable now.
    """

    def __init__(self, records: Records, file: Path) -> None:
        self.shape, self.draws = records.shape, 0
        self._records, self._row = records, _row_size(records)
        self._file = os.open(file, os.O_RDONLY)
        weakref.finalize(self, os.close, self._file)

    def __len__(self) -> int:
        return len(self._records)

    def name(self, place: int) -> str:
        return self._records.name(place)

    def faults(self) -> Iterator[tuple[int, str]]:
        """Yield what could not be decoded when the file was written, and still cannot be."""
        broken = _broken_row(self.shape)[-_CHECKSUM:]
        ends = (self._row * (place + 1) for place in range(len(self)))
        for place, end in enumerate(ends):
            if os.pread(self._file, _CHECKSUM, end - _CHECKSUM) == broken:
                [found] = self.read([place], [()])
                if isinstance(found, str):
                    yield place, found

    def read(
        self, places: Sequence[int], draws: Sequence[Sequence[float]]
    ) -> Sequence[Pixels8 | str]:
        rows = {place: self._cached(place) for place in places}
        lost = [place for place, row in rows.items() if row is None]
        again = self._records.read(lost, [()] * len(lost)) if lost else ()
        found = {**rows, **dict(zip(lost, again, strict=True))}
        return [found[place] for place in places]  # type: ignore[misc]

    def _cached(self, place: int) -> Pixels8 | None:
        row = os.pread(self._file, self._row, place * self._row)
        pixels, checksum = row[:-_CHECKSUM], row[-_CHECKSUM:]
        if len(row) != self._row or _checksum(pixels) != checksum:
            return None
        return np.frombuffer(pixels, np.uint8).reshape(self.shape)


def cached(records: FileRecords, how: Reading) -> Records:
    """Return the records, read from a file in the cache, which is written if it is not there.

    Without a cache they are what they were.

    Its name tells the shape, the kind of crop, the rule that pixels follow, and the names, sizes
    and times of the files that the images come from: after a change there is a new one. What is not
    needed may be deleted.

    Raises:
        ValueError: the file cannot be written.
    """
    folder = how.cache
    if folder is None:
        return records
    shape = "x".join(map(str, records.shape))
    file = folder / f"{shape}-{how.crop.kind}-rule{RULE}-{fingerprint(records.files())}.pixels"
    try:
        if not file.exists() or file.stat().st_size != len(records) * _row_size(records):
            make_folder(folder)
            _write(records, file, progress=how.progress)
        return CachedRecords(records, file)
    except OSError as error:
        raise ValueError(
            f"data_cache '{folder}' cannot be used ({error.strerror}): choose another folder, with "
            f"{len(records) * _row_size(records) / 1e9:.3g} GB free"
        ) from None


def _write(records: Records, file: Path, *, progress: bool) -> None:
    temporary = file.with_name(f".{file.name}.{os.getpid()}.tmp")
    shown = bar(None, "decoding images", len(records), delay=2, disable=not progress)
    try:
        with temporary.open("wb") as out, shown:
            for start in range(0, len(records), CHUNK):
                places = range(start, min(start + CHUNK, len(records)))
                for found in records.read(places, [()] * len(places)):
                    out.write(_row(found, records.shape))
                shown.update(len(places))
            out.flush()
            os.fsync(out.fileno())
        temporary.replace(file)
    finally:
        temporary.unlink(missing_ok=True)


def _row(found: Pixels8 | str, shape: Sequence[int]) -> bytes:
    if isinstance(found, str):
        return _broken_row(shape)
    pixels = found.tobytes()
    return pixels + _checksum(pixels)


def _broken_row(shape: Sequence[int]) -> bytes:
    """No pixels, with a checksum that is wrong."""
    pixels = bytes(math.prod(shape))
    return pixels + bytes(byte ^ 255 for byte in _checksum(pixels))


def _row_size(records: Records) -> int:
    return math.prod(records.shape) + _CHECKSUM


def _checksum(pixels: bytes) -> bytes:
    return zlib.crc32(pixels).to_bytes(_CHECKSUM, "little")


def fingerprint(files: Iterable[tuple[str, str]]) -> str:
    """16 hexadecimal digits by which files (name, path) differ: names, sizes and times."""
    digest = hashlib.blake2b(digest_size=8)
    for name, path in files:
        try:
            status = os.stat(path)  # noqa: PTH116  (a Path for each of a million files)
            what = f"{name}\0{status.st_size}\0{status.st_mtime_ns}\n"
        except OSError:
            what = f"{name}\0gone\n"
        digest.update(what.encode(errors="surrogateescape"))
    return digest.hexdigest()
