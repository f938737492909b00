"""In which form what was drawn is written: pictures, sequences, or the lines of a table.

A form says what samples are (in the units of the data), and which files an item and all of them
become. ``drawing.py`` decides when they are written.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Protocol

import numpy as np
from numpy.typing import NDArray

from ..data.recordings import write_wav
from ..data.scaling import Scaling
from ..process import to_uint8
from ..reports import pictures, plots
from ..system.files import replace_file

GRID, PLOT, TABLE = "grid.png", "plot.png", "samples.csv"


class Form(Protocol):
    """What is written.

    Attributes:
        noun: what the items are called, in the plural.
        dtype: of samples.npy.
        first: the file to look at first.
        others: what else there is, for people, after a comma.
    """

    @property
    def noun(self) -> str: ...

    @property
    def dtype(self) -> str: ...

    @property
    def first(self) -> str: ...

    @property
    def others(self) -> str: ...

    def units(self, drawn: NDArray[np.float32]) -> NDArray[Any]:
        """What the diffusion has drawn, in the units of the data."""
        ...

    def write(self, folder: Path, item: NDArray[Any], number: int, text: Mapping[str, str]) -> None:
        """Write a file of one item, where it has one."""
        ...

    def close(self, folder: Path, shown: NDArray[Any], text: Mapping[str, str]) -> None:
        """Write what shows several; ``shown``: the first of them."""
        ...


@dataclass(frozen=True)
class Pictures:
    """Each as a PNG file, and a grid of them.

    Attributes:
        labels: what the classes of pictures 0, 1, ... are called, over and over: each has a row.
        columns: of the grid (default: as many as it has rows, or one more).
    """

    labels: Sequence[str] = ()
    columns: int | None = None

    noun: ClassVar[str] = "images"
    dtype: ClassVar[str] = "|u1"
    first: ClassVar[str] = GRID
    others: ClassVar[str] = ", and each image as PNG"

    def units(self, drawn: NDArray[np.float32]) -> NDArray[np.uint8]:
        return to_uint8(drawn)

    def write(self, folder: Path, item: NDArray[Any], number: int, text: Mapping[str, str]) -> None:
        shown = item if len(item) in (1, 3, 4) else item[:1]
        pictures.save_singles(shown[None], folder, text, first=number)

    def close(self, folder: Path, shown: NDArray[Any], text: Mapping[str, str]) -> None:
        shown = shown if shown.shape[1] in (1, 3, 4) else shown[:, :1]
        rows = 1 < len(self.labels) <= len(shown) // 2
        page = (
            pictures.rows_of_classes(shown, self.labels)
            if rows
            else pictures.grid(shown, self.columns)
        )
        pictures.save_png(page, folder / GRID, text)


@dataclass(frozen=True)
class Numbers:
    """In the units of the data, and a plot of them."""

    scaling: Scaling | None = None

    dtype: ClassVar[str] = "<f4"

    def units(self, drawn: NDArray[np.float32]) -> NDArray[np.float32]:
        return drawn if self.scaling is None else self.scaling.undo(drawn)

    @property
    def names(self) -> Sequence[str]:
        return () if self.scaling is None else self.scaling.columns


class Sequences(Numbers):
    """Those of recordings as WAV files each."""

    noun: ClassVar[str] = "sequences"
    first: ClassVar[str] = PLOT

    @property
    def rate(self) -> int | None:
        """Samples a second, of recordings."""
        return None if self.scaling is None else self.scaling.rate

    @property
    def others(self) -> str:
        return ", and each sequence as WAV" if self.rate else ""

    def write(self, folder: Path, item: NDArray[Any], number: int, text: Mapping[str, str]) -> None:
        if self.rate is not None:
            data = io.BytesIO()
            write_wav(data, item, self.rate)
            replace_file(folder / f"{number:05d}.wav", data.getvalue(), flush=False)

    def plot(self, drawn: NDArray[Any], real: NDArray[Any] | None = None) -> bytes:
        """A PNG file of drawn sequences, beside real ones."""
        return plots.sequences(drawn, real, names=self.names, rate=self.rate)

    def close(self, folder: Path, shown: NDArray[Any], text: Mapping[str, str]) -> None:
        replace_file(folder / PLOT, self.plot(shown), flush=False)


class Vectors(Numbers):
    """Those of tables as lines of a CSV file, with the header that the data had."""

    noun: ClassVar[str] = "vectors"

    @property
    def first(self) -> str:
        return TABLE if self.names else PLOT

    @property
    def others(self) -> str:
        return f", and {PLOT}" if self.names else ""

    def write(self, folder: Path, item: NDArray[Any], number: int, text: Mapping[str, str]) -> None:
        if not self.names or self.scaling is None:
            return
        line = io.StringIO()
        writer = csv.writer(line, lineterminator="\n")
        if number == 0:
            writer.writerow(self.names)
        ends = self.scaling.decimals or (None,) * len(item)
        writer.writerow([_number(x, places) for x, places in zip(item, ends, strict=True)])
        with (folder / TABLE).open("a", encoding="utf-8") as file:
            file.write(line.getvalue())

    def plot(self, drawn: NDArray[Any], real: NDArray[Any] | None = None) -> bytes:
        """A PNG file of drawn vectors, and of real ones."""
        return plots.vectors(drawn, real, names=self.names)

    def close(self, folder: Path, shown: NDArray[Any], text: Mapping[str, str]) -> None:
        replace_file(folder / PLOT, self.plot(shown), flush=False)


def form_of(rank: int, scaling: Scaling | None = None, labels: Sequence[str] = ()) -> Form:
    """The form of items with so many sides: 2 images, 1 sequences, 0 vectors."""
    if rank == 2:
        return Pictures(labels)
    return Sequences(scaling) if rank == 1 else Vectors(scaling)


def _number(x: Any, places: int | None) -> str:
    return str(np.float32(x)) if places is None else f"{float(x):.{places}f}"
