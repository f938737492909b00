"""Arrays of one shape in a file, each with its checksum, so that they are computed once."""

from __future__ import annotations

import math
import os
import weakref
import zlib
from contextlib import AbstractContextManager
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..system.alone import alone
from ..system.files import make_folder
from ..system.say import bar

_CHECKSUM = 4  # bytes


class Rows:
    """``count`` arrays, float32, each followed by its CRC-32.

    A row is missing that was never written, or not to its end, or has another checksum. So whoever
    is killed while he writes them goes on where he was.

    Args:
        file: is made where it is not there. Its name says what its rows are a function of.
        count: how many.
        shape: of each.

    Raises:
        ValueError: it cannot be made or written.
    """

    def __init__(self, file: Path, count: int, shape: tuple[int, ...]) -> None:
        self.file, self.shape, self._count = file, shape, count
        self._size = 4 * math.prod(shape)
        try:
            make_folder(file.parent)
            self._file = os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        except OSError as error:
            raise self._unwritable(error) from None
        weakref.finalize(self, os.close, self._file)

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, place: int) -> NDArray[np.float32]:
        """One row.

        Raises:
            ValueError: it is missing.
        """
        found = self._read(place)
        if found is None:
            raise ValueError(
                f"row {place} of '{self.file}' is damaged: it is computed anew by train --resume"
            )
        return found

    def __setitem__(self, place: int, row: NDArray[np.float32]) -> None:
        data = np.ascontiguousarray(row, np.float32).tobytes()
        assert len(data) == self._size
        left, at = data + _checksum(data), place * (self._size + _CHECKSUM)
        try:
            while left:
                done = os.pwrite(self._file, left, at)
                left, at = left[done:], at + done
        except OSError as error:
            raise self._unwritable(error) from None

    def missing(self, *, progress: bool = False) -> list[int]:
        """The places of rows that are to be written."""
        places = range(self._count)
        task = f"reading {self.file.name}"
        shown = bar(places, task, delay=2, leave=False, disable=not progress)
        return [place for place in shown if self._read(place) is None]

    def alone(self) -> AbstractContextManager[None]:
        """Within it no other process of this machine is; where a file system has no locks, all."""
        return alone(self._file)

    def _read(self, place: int) -> NDArray[np.float32] | None:
        row = os.pread(self._file, self._size + _CHECKSUM, place * (self._size + _CHECKSUM))
        data, checksum = row[: self._size], row[self._size :]
        if _checksum(data) != checksum:
            return None
        return np.frombuffer(data, np.float32).reshape(self.shape)

    def _unwritable(self, error: OSError) -> ValueError:
        return ValueError(
            f"data_cache '{self.file.parent}' cannot be written ({error.strerror}): choose another "
            f"folder, with {self._count * (self._size + _CHECKSUM) / 1e9:.3g} GB free"
        )


def _checksum(data: bytes) -> bytes:
    return zlib.crc32(data).to_bytes(_CHECKSUM, "little")
