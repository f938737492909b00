"""Data that are no images: vectors and sequences from arrays, tables, series and recordings."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from .arrays import Chance, Draws, Images, Indices, Items
from .recordings import open_recordings
from .scaling import Scaling, fit
from .table import read_table


class Rows(Images):
    """The lines of a table as vectors (C,), or windows of them as sequences (C, L)."""

    def __init__(self, values: NDArray[np.float64], length: int | None, scaling: Scaling) -> None:
        x = scaling.apply(values)
        self.scaling = scaling
        if length is None:
            self._x = x
        else:  # every place is the beginning of a window; nothing is copied
            self._x = np.lib.stride_tricks.sliding_window_view(x, length, axis=0)
        self.shape = self._x.shape[1:]

    def __len__(self) -> int:
        return len(self._x)

    def items(
        self,
        indices: Indices,
        draws: Draws | None = None,
        chance: Chance | None = None,
        choice: Draws | None = None,
    ) -> Items:
        return Items(self._x[indices])


def open_numbers(
    path: Path,
    size: tuple[int, ...],
    channels: int,
    *,
    leave_out: Sequence[str] = (),
    bounded: bool = True,
    scaling: Scaling | None = None,
) -> Images:
    """Open a table, a series or recordings as items (channels, *size).

    Args:
        path: a CSV file: its lines are vectors where ``size`` is (), and the places of one series
            where it is (L,). Else a folder of WAV files, or one.
        leave_out: columns that are not learned.
        bounded: brought to [0, 1]; else standardised.
        scaling: one that is known already.

    Raises:
        ValueError: there is nothing, or what does not fit; the message names it.
    """
    if not path.exists():
        raise ValueError(f"data '{path}' does not exist: give a CSV file or a folder of WAV files")
    if path.is_dir() or path.suffix.lower() == ".wav":
        if not size:
            raise ValueError(
                f"data '{path}' is no table: say how long its sequences are to be "
                "(--sequence-length), or give a CSV file"
            )
        if leave_out:
            raise ValueError(f"leave_out {leave_out[0]!r} is for the columns of a CSV file")
        return open_recordings(path, size[0], channels, bounded=bounded, scaling=scaling)
    table = read_table(path, leave_out)
    if len(table.columns) != channels:
        raise ValueError(
            f"data '{path}' has {len(table.columns)} columns ({', '.join(table.columns[:5])}"
            f"{', ...' * (len(table.columns) > 5)}), where {channels} are asked for: choose "
            f"--channels {len(table.columns)}, or leave some out (--leave-out)"
        )
    if scaling is not None and scaling.columns != table.columns:
        raise ValueError(
            f"data '{path}' has columns {', '.join(table.columns)}, where the run has "
            f"{', '.join(scaling.columns)}: name them as they were"
        )
    if size and len(table.values) < math.prod(size):
        raise ValueError(
            f"data '{path}' has {len(table.values)} lines, fewer than the sequence length "
            f"{size[0]}: choose shorter sequences (--sequence-length)"
        )
    known = scaling or fit(table.values, table.columns, table.decimals, bounded=bounded)
    return Rows(table.values, size[0] if size else None, known)
