"""What a failed comparison of a whole computation comes down to: its first part that is wrong.

A property that compares a network or training says only that the ends differ. ``explained`` gives
its failure a search for the cause, which is made once, for the failure that is reported.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from ... import accelerated

_FOLDER = Path(accelerated.__file__).parent


@dataclass(frozen=True)
class Finding:
    """The first part that is wrong.

    Attributes:
        what: its name, and how wrong it is when it is given what the reference gives it.
        source: the file that holds it, and the line where it begins.
        line: Python that compares this part alone, or "".
    """

    what: str
    source: str
    line: str = ""

    def text(self) -> str:
        """For a message."""
        lines = [f"first divergence: {self.what}"] + [f"in {self.source}"] * bool(self.source)
        return "\n".join(lines + ([f"alone: {self.line}"] if self.line else []))


@contextlib.contextmanager
def explained(search: Callable[[], Finding | None]) -> Iterator[None]:
    """A comparison that fails within it can be explained by ``search``."""
    try:
        yield
    except AssertionError as error:
        error.search = search  # type: ignore[attr-defined]
        raise


@contextlib.contextmanager
def explained_by_message(search: Callable[[str], Finding | None]) -> Iterator[None]:
    """The same where the search is given the error's message."""
    try:
        yield
    except AssertionError as error:
        error.search = partial(search, str(error))  # type: ignore[attr-defined]
        raise


def explain(error: BaseException) -> Finding | None:
    """What the search finds, None where there is none; it is made once."""
    search = getattr(error, "search", None)
    if search is None:
        return None
    if not hasattr(error, "finding"):
        error.finding = _safely(search)  # type: ignore[attr-defined]
    return error.finding  # type: ignore[attr-defined, no-any-return]


def _safely(search: Callable[[], Finding | None]) -> Finding | None:
    """A search that breaks hides no failure."""
    try:
        return search()
    except Exception as broken:
        return Finding(f"the search for it failed: {type(broken).__name__}: {broken}", "")


def source(file: str, pattern: str) -> str:
    """``/path/of/file.py:12``: the first line in which the pattern is found, else the file.

    ``file`` is relative to the accelerated side, as "networks/layers.py".
    """
    path = _FOLDER / file
    lines = path.read_text(encoding="utf-8").splitlines()
    numbers = (n for n, line in enumerate(lines, 1) if re.search(pattern, line))
    return ":".join([str(path), *(str(n) for n in list(numbers)[:1])])
