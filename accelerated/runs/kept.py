"""Samples that are kept, so that what takes them goes on where it was stopped.

FOLDER/drawn.json     what draws them, and that they are ours
       samples.npy    (N, C, *spatial): uint8 of images, else float32 as the diffusion draws them

Sample number i is a function of what draws them and of i: more of them go behind those that are
there, and those that something else has drawn make room.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..process import to_uint8
from ..system.files import write_json
from .growing import GrowingArray, length_of
from .lock import lock_output
from .own import DRAWN, is_drawing

SAMPLES = "samples.npy"


class Raw(NamedTuple):
    """How they are kept.

    Attributes:
        noun: what they are called, in the plural.
        dtype: of samples.npy.
    """

    noun: str
    dtype: str

    def units(self, drawn: NDArray[np.float32]) -> NDArray[Any]:
        """What the diffusion has drawn, as it is kept."""
        return to_uint8(drawn) if self.dtype == "|u1" else drawn


def raw_of(rank: int) -> Raw:
    """For items with so many sides: 2 images, 1 sequences, 0 vectors."""
    return (Raw("vectors", "<f4"), Raw("sequences", "<f4"), Raw("images", "|u1"))[rank]


class Kept:
    """Within it, no other process draws into the folder.

    Args:
        folder: where they are kept.
        number: how many there are to be.
        shape: of each.
        by: all that the samples are a function of, as values for JSON.
        form: how they are kept (default: as items of this rank are).

    Attributes:
        finished: how many there are, ``number`` at most.

    Raises:
        ValueError: the folder cannot be written, another process draws into it, or it holds what
            is none of this.
    """

    def __init__(
        self,
        folder: Path,
        number: int,
        shape: tuple[int, ...],
        by: Mapping[str, Any],
        form: Raw | None = None,
    ) -> None:
        self.folder, self.number, self._shape = folder, number, shape
        self.form = raw_of(len(shape) - 1) if form is None else form
        self.finished = 0
        self._by = json.loads(json.dumps(by))
        self._lock: int | None = None
        self._samples: GrowingArray | None = None

    def __enter__(self) -> Kept:
        where = f"output {str(self.folder)!r}"
        try:
            self._lock = lock_output(self.folder)
            self._open(where)
        except OSError as error:
            self._release()
            raise ValueError(
                f"{where} cannot be written ({error.strerror}): choose another folder (--output)"
            ) from None
        except ValueError:
            self._release()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._release()

    def add(
        self,
        items: NDArray[Any],
        facts: Mapping[str, Any] | None = None,
        text: Mapping[str, str] | None = None,
    ) -> None:
        """Keep the next items, as ``form.units`` gives them.

        Raises:
            OSError: the disk is full. ``finished`` says how many are there.
        """
        assert self._samples is not None
        try:
            for item in items:
                self._samples.append(item)
                self.finished += 1
        finally:
            self._samples.write_header()

    def close(self) -> None:
        """Nothing is left to be done."""

    def items(self) -> NDArray[Any]:
        """Those that are finished, ``number`` at most."""
        found: NDArray[Any] = np.load(self.folder / SAMPLES, allow_pickle=False)
        return found[: self.number]

    def _open(self, where: str) -> None:
        path = self.folder / SAMPLES
        before = _read(self.folder / DRAWN) if is_drawing(self.folder) else None
        names = [p.name for p in self.folder.iterdir() if not p.name.startswith(".")]
        if names and (before is None or "kept" not in before):
            raise ValueError(
                f"{where} holds {names[0]!r}, and no samples that an evaluation kept: choose a "
                "folder that is new or empty (--output)"
            )
        there = 0
        if before is not None and before["kept"] == self._by:
            there = length_of(path, self._shape, self.form.dtype)
        else:
            path.unlink(missing_ok=True)
        if not there:
            path.unlink(missing_ok=True)
            versions = self._by["versions"]
            write_json(self.folder / DRAWN, {"version": 1, "versions": versions, "kept": self._by})
        self._samples = GrowingArray(path, self._shape, self.form.dtype, there)
        self.finished = min(there, self.number)

    def _release(self) -> None:
        if self._samples is not None:
            self._samples.close()
            self._samples = None
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None


def digest(arrays: Mapping[str, NDArray[Any]]) -> str:
    """16 hexadecimal digits by which weights differ."""
    found = hashlib.sha256()
    for name in sorted(arrays):
        found.update(name.encode() + np.ascontiguousarray(arrays[name]).tobytes())
    return found.hexdigest()[:16]


def _read(path: Path) -> dict[str, Any]:
    return dict(json.loads(path.read_text(encoding="utf-8")))
