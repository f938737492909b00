"""A folder of drawn pictures, or of other items, which is written while they are drawn.

FOLDER/drawn.json     what drew them, how many there are, and that they are ours
       samples.npy    (N, C, H, W) uint8; what is no picture float32, in the units of the data
       00000.png ...  each of them (00000.wav of a recording)
       grid.png       the first of them side by side (plot.png)
       samples.csv    all of them, where the data were a table

Whenever the process ends, what was finished is there and whole. A folder that holds a drawing is
given to the next one: the files of the old one, which it knows by their names, make room when the
first pictures of the new one are there. A folder that holds anything else is refused.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..system.files import replace_file, write_json
from ..system.say import say
from .forms import GRID, PLOT, TABLE, Form, Pictures
from .growing import GrowingArray
from .lock import lock_output
from .own import DRAWN, is_drawing

VERSION = 1

IN_GRID = 1024
"""Items that grid.png shows at most: more would be larger than a screen, and than memory."""

_FILES = (DRAWN, "samples.npy", GRID, PLOT, TABLE)


class Drawing:
    """Within it, no other process draws into the folder.

    Args:
        folder: where they are written.
        number: how many.
        labels: what the classes of pictures 0, 1, ... are called, over and over.
        first: the number of the first.

    Attributes:
        number: items that are to be drawn.
        form: in which they are written (default: pictures).
        finished: how many of them are in the folder.

    Raises:
        ValueError: the folder cannot be written, or another process draws into it, or it holds what
            is not of a drawing. Nothing is changed then.
    """

    def __init__(
        self,
        folder: Path,
        number: int,
        labels: Sequence[str] = (),
        form: Form | None = None,
        first: int = 0,
    ) -> None:
        self.folder, self.number, self.finished = folder, number, 0
        self.form: Form = Pictures(labels) if form is None else form
        self._labels, self._first = labels, first
        self._facts: dict[str, Any] = {}
        self._text: dict[str, str] = {}
        self._shown: list[NDArray[Any]] = []
        self._samples: GrowingArray | None = None
        self._lock: int | None = None

    def __enter__(self) -> Drawing:
        try:
            self._lock = lock_output(self.folder)
            self._check()
            replace_file(self.folder / ".writable", b"", flush=False)
            (self.folder / ".writable").unlink()
        except OSError as error:
            self._release()
            raise ValueError(
                f"output {str(self.folder)!r} cannot be written ({error.strerror}): choose another "
                "folder (--output)"
            ) from None
        except ValueError:
            self._release()
            raise
        if _begun(self.folder):  # while there is time yet to choose another one
            say(f"the drawing in {self.folder} will make room (--output FOLDER would keep it)")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._samples is not None:
            self._samples.close()
        self._release()

    def add(
        self,
        images: NDArray[Any],
        facts: Mapping[str, Any],
        text: Mapping[str, str] | None = None,
    ) -> None:
        """Write the next items (N, C, *spatial), as ``form.units`` gives them.

        Args:
            facts: what drew them, as values for drawn.json.
            text: the same for each picture's file, by keyword.

        Raises:
            OSError: the disk is full. ``finished`` says how many are there.
        """
        if self._samples is None:
            self._samples = self._begin(images.shape[1:], facts)
            self._text = dict(text or {})
        # Before they are there: whatever happens now, the folder says that they are ours.
        self._describe(self._numbers(self.finished + len(images)))
        try:
            for i in range(len(images)):
                number = self._first + self.finished
                self.form.write(self.folder, images[i], number, self._text_of(number))
                self._samples.append(images[i])
                self.finished += 1
        finally:
            if room := IN_GRID - sum(map(len, self._shown)):
                self._shown.append(images[:room].copy())  # else it would keep all of them
            self._samples.write_header()
        self._describe(self._numbers(self.finished))

    def close(self) -> None:
        """Write the grid, and how many there are.

        Raises:
            OSError: the disk is full.
        """
        if self.finished:
            first = np.concatenate(self._shown)[: self.finished]
            shown = self._numbers(self.finished)
            text = {**self._text, "Images": f"{shown[0]}-{shown[-1]}"}
            if self._labels:
                text["Labels"] = json.dumps(list(self._labels), ensure_ascii=False)
            self.form.close(self.folder, first, text)
            self._describe(self._numbers(self.finished))

    def _text_of(self, number: int) -> dict[str, str]:
        if not self._labels:
            return self._text
        return {**self._text, "Label": self._labels[number % len(self._labels)]}

    def _check(self) -> None:
        """See that nothing here is anyone else's, or at least that it stays where it is."""
        names = sorted(path.name for path in self.folder.iterdir())
        if not is_drawing(self.folder):
            others = [name for name in names if not name.startswith(".")]
            if others:
                raise ValueError(
                    f"output {str(self.folder)!r} holds what is no drawing ({others[0]!r}"
                    f"{' and more' if len(others) > 1 else ''}): choose a folder that is new or "
                    "empty (--output)"
                )
            return
        begun = _begun(self.folder)
        for name in names:
            ours = _is_of_drawing(name, begun) and (self.folder / name).is_file()
            if not ours and _is_of_drawing(name, self._numbers(self.number)):
                raise ValueError(
                    f"output {str(self.folder)!r} holds {name!r}, which its drawing has not made "
                    "and this one would write over: choose another folder (--output)"
                )

    def _begin(self, shape: tuple[int, ...], facts: Mapping[str, Any]) -> GrowingArray:
        """Put this drawing in the place of the one that is here; its samples.npy."""
        self._facts = {"version": VERSION, **facts, "number": self.number}
        before = _begun(self.folder) if is_drawing(self.folder) else range(0)
        self._describe(before)
        for path in list(self.folder.iterdir()):
            written = re.fullmatch(r"\.(.+)\.\d+\.tmp", path.name)  # and killed while it was
            name = written[1] if written else path.name
            if _is_of_drawing(name, before) and path.name != DRAWN:
                path.unlink()
        return GrowingArray(self.folder / "samples.npy", shape, self.form.dtype)

    def _numbers(self, count: int) -> range:
        """The numbers of so many pictures."""
        return range(self._first, self._first + count)

    def _describe(self, begun: range) -> None:
        found = self._facts | {"finished": self.finished, "begun": begun.stop}
        found |= {"first": begun.start} if begun.start else {}
        write_json(self.folder / DRAWN, found)

    def _release(self) -> None:
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None


def _begun(folder: Path) -> range:
    """Which pictures the drawing in a folder may have written, by their numbers."""
    with suppress(OSError, ValueError, KeyError, TypeError):
        found = json.loads((folder / DRAWN).read_text(encoding="utf-8"))
        return range(int(found.get("first", 0)), int(found["begun"]))
    return range(0)


def _is_of_drawing(name: str, numbers: range) -> bool:
    """Whether a drawing of these pictures has a file of this name."""
    item = re.fullmatch(r"(\d{5,})\.(png|wav)", name)
    return name in _FILES or bool(
        item and int(item[1]) in numbers and name == f"{int(item[1]):05d}.{item[2]}"
    )
