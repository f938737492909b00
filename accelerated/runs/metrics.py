"""metrics.jsonl of a run: what was measured at each step, one JSON object a line."""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

Row = dict[str, Any]

_STRETCHES = 256
_BLOCK = 2**16


class MetricsFile:
    """The file, which need not be there."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def append(self, rows: Iterable[Row]) -> None:
        """Add lines. A number that is not finite is written as null.

        Raises:
            OSError: the disk is full. The file is as it was.
        """
        finite = ({k: v if np.isfinite(v) else None for k, v in row.items()} for row in rows)
        data = "".join(json.dumps(row, allow_nan=False) + "\n" for row in finite).encode()
        with self.path.open("ab", buffering=0) as file:
            size = file.tell()
            try:
                if file.write(data) != len(data):
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            except OSError:
                file.truncate(size)  # half a line would hide those that follow
                raise

    def read(self, most: int | None = None) -> list[Row]:
        """The lines; a last one that a killed process left unfinished is not.

        Args:
            most: bytes to read. Of a larger file only stretches that are spread over it evenly, the
                first and the last lines among them.
        """
        if not self.path.exists():
            return []
        size = self.path.stat().st_size
        with self.path.open("rb") as file:
            if most is None or size <= most:
                return list(_rows(file))
            rows: list[Row] = []
            for start in np.linspace(0, size - most // _STRETCHES, _STRETCHES).astype(int):
                file.seek(start)
                if start:
                    file.readline()  # the end of a line
                rows += _rows(file.readlines(most // _STRETCHES))
            return rows

    def last(self, count: int) -> list[Row]:
        """The last ``count`` lines, or all where there are fewer; only the file's end is read."""
        if not self.path.exists():
            return []
        size, most = self.path.stat().st_size, _BLOCK
        with self.path.open("rb") as file:
            while True:
                file.seek(max(0, size - most))
                if most < size:
                    file.readline()  # the end of a line
                rows = list(_rows(file))
                if len(rows) >= count or most >= size:
                    return rows[-count:]
                most *= 2

    def rewind(self, step: int) -> None:
        """Drop the lines after ``step``."""
        if self.path.exists():
            with self.path.open("r+b") as file:
                start = _before(file, step, self.path.stat().st_size)
                file.seek(start)
                kept = sum(len(line) for line, row in _lines(file) if row["step"] <= step)
                file.truncate(start + kept)


def _before(file: BinaryIO, step: int, size: int) -> int:
    """Where a line begins up to which all are of ``step`` or before it, looking from the end."""
    for position in range(size - _BLOCK, 0, -_BLOCK):
        file.seek(position)
        file.readline()  # the end of a line
        start = file.tell()
        row = next(_rows(file), None)
        if row is not None and row["step"] <= step:
            return start
    return 0


def _lines(file: Iterable[bytes]) -> Iterator[tuple[bytes, Row]]:
    """Lines and their values, up to the first that is not whole."""
    for line in file:
        try:
            yield line, json.loads(line if line.endswith(b"\n") else b"")
        except ValueError:
            return


def _rows(file: Iterable[bytes]) -> Iterator[Row]:
    return (row for _, row in _lines(file))
