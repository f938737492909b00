"""An array in a ``.npy`` file that grows item by item, and is whole whenever the process ends."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

HEADER = 128
"""Bytes before the items."""


class GrowingArray:
    """The file, open for writing.

    Args:
        path: a new file; with ``length`` one that is there.
        shape: of an item.
        dtype: as NumPy writes it, "|u1" or "<f4".
        length: items that the file has, behind which the next ones go.

    Raises:
        OSError: it cannot be opened.
    """

    def __init__(self, path: Path, shape: tuple[int, ...], dtype: str, length: int = 0) -> None:
        self._file: BinaryIO = path.open("r+b" if length else "xb", buffering=0)
        self._shape, self._dtype, self.length = shape, dtype, length
        self.write_header()

    def append(self, item: NDArray[Any]) -> None:
        """Write an item behind the others. The header is not yet told of it.

        Raises:
            OSError: the disk is full.
        """
        data = item.tobytes()
        self._file.seek(HEADER + self.length * len(data))
        while data:
            data = data[self._file.write(data) :]
        self.length += 1

    def write_header(self) -> None:
        """Say how many items there are: NumPy's format, version 1.0."""
        shape = (self.length, *self._shape)
        fields = {"descr": self._dtype, "fortran_order": False, "shape": shape}
        text = repr(fields).ljust(HEADER - 11) + "\n"
        start = b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little")
        os.pwrite(self._file.fileno(), start + text.encode("ascii"), 0)

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def length_of(path: Path, shape: tuple[int, ...], dtype: str) -> int:
    """How many such items a file has; 0 where it is not there, or is of others."""
    try:
        found = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError):
        return 0
    same = found.shape[1:] == shape and found.dtype == np.dtype(dtype)
    return len(found) if same else 0
