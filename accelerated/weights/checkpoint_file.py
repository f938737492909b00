"""Read a MindSpore checkpoint (``.ckpt``) tensor by tensor.

``mindspore.load_checkpoint`` holds the whole file and then all its tensors; here only one is in
memory besides those that networks are made of. The file is a protocol buffer:

    Checkpoint   1: Value, repeated            Value   1: name   2: Tensor
    Tensor       1: dims, repeated   2: type, as "Float32"   3: content

A large tensor stands in it in pieces, one after another under the same name.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

DTYPES = {"Float64": "<f8", "Float32": "<f4", "Float16": "<f2", "Int64": "<i8", "Int32": "<i4"}
"""What is read, by the name that MindSpore writes."""

VARINT, BYTES = 0, 2
TRAILER = b"crc_num"
"""With ``crc_check`` a sum stands behind the protocol buffer."""


@dataclass
class Entry:
    """Where a tensor is in a file.

    Attributes:
        shape: as it is written; () is written as (0,).
        dtype: a key of DTYPES, or something else.
        pieces: offset and size in bytes.
    """

    shape: tuple[int, ...]
    dtype: str
    pieces: list[tuple[int, int]] = field(default_factory=list)


class CheckpointFile:
    """The tensors of a file, by name.

    Args:
        path: written by ``mindspore.save_checkpoint``.
        called: what messages call it.

    Raises:
        ValueError: there is no such file, or it is none of these, or it ends too soon.
    """

    def __init__(self, path: Path, called: str = "checkpoint") -> None:
        if not path.is_file():
            raise ValueError(f"{called} {str(path)!r} is not a file: name a .ckpt file")
        self.path, self._called = path, called
        self.entries: dict[str, Entry] = {}
        with path.open("rb") as file:
            for name, entry in self._values(file):
                self.entries.setdefault(name, entry)
                if self.entries[name] is not entry:
                    self.entries[name].pieces += entry.pieces
        if not self.entries:
            raise self._foreign("it is empty")

    def array(self, name: str) -> NDArray[Any]:
        """One tensor; raises KeyError for a name that is not there.

        Raises:
            ValueError: a dtype that is not read, or content that does not fill the shape.
        """
        entry = self.entries[name]
        if entry.dtype not in DTYPES:
            raise ValueError(
                f"tensor {name!r} of {str(self.path)!r} is {entry.dtype}: save it as one of "
                f"{', '.join(DTYPES)}"
            )
        dtype = np.dtype(DTYPES[entry.dtype])
        count = sum(size for _, size in entry.pieces) // dtype.itemsize
        flat = np.empty(count, dtype)
        view, start = flat.view(np.uint8), 0
        with self.path.open("rb") as file:
            for offset, size in entry.pieces:
                file.seek(offset)
                if file.readinto(view[start : start + size].data) != size:
                    raise self._foreign("it ends too soon")
                start += size
        shape = () if entry.shape == (0,) and count == 1 else entry.shape
        if count != np.prod(shape, dtype=np.int64):
            raise ValueError(
                f"tensor {name!r} of {str(self.path)!r} has {count} values for shape {shape}: the "
                "file is damaged"
            )
        return flat.reshape(shape)

    def _values(self, file: BinaryIO) -> Iterator[tuple[str, Entry]]:
        size = os.fstat(file.fileno()).st_size
        while file.tell() < size:
            start = file.tell()
            if file.read(len(TRAILER)) == TRAILER:
                return
            file.seek(start)
            number, end = self._field(file, size)
            if number != 1:
                raise self._foreign(f"field {number} at byte {start} is unknown")
            name, entry = "", None
            while file.tell() < end:
                inner, until = self._field(file, end)
                if inner == 1:
                    name = file.read(until - file.tell()).decode("utf-8", "replace")
                elif inner == 2:
                    entry = self._tensor(file, until)
                file.seek(until)
            if entry is not None:
                yield name, entry

    def _tensor(self, file: BinaryIO, end: int) -> Entry:
        dims: list[int] = []
        entry = Entry((), "")
        while file.tell() < end:
            start = file.tell()
            key = self._varint(file)
            if key == 1 << 3 | VARINT:
                dims.append(self._varint(file))
                continue
            file.seek(start)
            number, until = self._field(file, end)
            if number == 1:  # packed
                while file.tell() < until:
                    dims.append(self._varint(file))
            elif number == 2:
                entry.dtype = file.read(until - file.tell()).decode("utf-8", "replace")
            elif number == 3:
                entry.pieces.append((file.tell(), until - file.tell()))
            file.seek(until)
        entry.shape = tuple(dims)
        return entry

    def _field(self, file: BinaryIO, end: int) -> tuple[int, int]:
        """The number of the field that begins here, and where its content ends."""
        key = self._varint(file)
        if key & 7 != BYTES:
            raise self._foreign(f"byte {file.tell()} begins no field")
        size = self._varint(file)
        if file.tell() + size > end:
            raise self._foreign("it ends too soon")
        return key >> 3, file.tell() + size

    def _varint(self, file: BinaryIO) -> int:
        value = shift = 0
        while shift < 64:
            byte = file.read(1)
            if not byte:
                raise self._foreign("it ends too soon")
            value |= (byte[0] & 127) << shift
            if byte[0] < 128:
                return value
            shift += 7
        raise self._foreign(f"byte {file.tell()} is part of no number")

    def _foreign(self, reason: str) -> ValueError:
        return ValueError(
            f"{self._called} {str(self.path)!r} is no checkpoint of MindSpore's, or damaged or "
            f"encrypted ({reason}): copy it anew, or save it with mindspore.save_checkpoint"
        )
