"""Numeric columns of a CSV file; what cannot be learned from is refused by column and line."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

_SEPARATORS = (",", ";", "\t")
_MOST_DECIMALS = 6  # more than float32 can tell


class Table(NamedTuple):
    """Columns of numbers.

    Attributes:
        columns: their names.
        values: (N, C) float64.
        decimals: after how many decimals each column ends; None where it does not.
    """

    columns: tuple[str, ...]
    values: NDArray[np.float64]
    decimals: tuple[int | None, ...]


def read_header(path: Path, leave_out: Sequence[str] = ()) -> tuple[str, ...]:
    """The names of the columns of a CSV file, without those that are left out.

    Raises:
        ValueError: it cannot be read, has no header, or no column of a name that is left out.
    """
    lines = _lines(path)
    header = next(csv.reader(lines[:1], delimiter=_separator(lines[0])))
    return tuple(name for name in _names(path, header) if name not in _known(header, leave_out))


def read_table(path: Path, leave_out: Sequence[str] = ()) -> Table:
    """Read a CSV file whose first line names the columns (separated by comma, semicolon or tab).

    Args:
        path: the file.
        leave_out: names of columns that are not read, such as texts or dates.

    Raises:
        ValueError: it cannot be read, has no header or no line of numbers; a line of another
            length; a value that is missing, no number or not finite. The message has the line and
            the column's name.
    """
    lines = _lines(path)
    rows = csv.reader(lines, delimiter=_separator(lines[0]))
    header = next(rows)
    names, out = _names(path, header), _known(header, leave_out)
    kept = [place for place, name in enumerate(names) if name not in out]
    if not kept:
        raise ValueError(f"data '{path}' has no column left: name fewer in --leave-out")
    found, decimals = [], [0] * len(kept)
    for row in rows:
        if not row:
            continue  # an empty line, as many files have at their end
        line = rows.line_num
        if len(row) != len(names):
            raise ValueError(
                f"data '{path}', line {line}: {len(row)} values, where the header names "
                f"{len(names)} columns: make the lines equally long"
            )
        texts = [row[place].strip() for place in kept]
        try:
            numbers = [float(text) for text in texts]
        except ValueError:
            numbers = []
        if not numbers or not np.isfinite(numbers).all():
            raise _refused(path, line, [names[place] for place in kept], texts)
        found.append(numbers)
        decimals = [max(d, _decimals(text)) for d, text in zip(decimals, texts, strict=True)]
    if not found:
        raise ValueError(f"data '{path}' has a header and no line of numbers: give some")
    ends = tuple(d if d <= _MOST_DECIMALS else None for d in decimals)
    return Table(tuple(names[place] for place in kept), np.array(found), ends)


def _refused(path: Path, line: int, names: Sequence[str], texts: Sequence[str]) -> ValueError:
    for name, text in zip(names, texts, strict=True):
        try:
            fits = np.isfinite(float(text))
        except ValueError:
            fits = False
        if not fits:
            what = f"is {text!r}, no finite number" if text else "is missing"
            remedy = "remove the line" if not text else "correct it"
            return ValueError(
                f"data '{path}', line {line}: {name!r} {what}: {remedy}, or leave the column out "
                f"(--leave-out {name!r})"
            )
    raise AssertionError("a line was refused that has nothing wrong")


def _lines(path: Path) -> list[str]:
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or "it is no UTF-8 text"
        raise ValueError(f"data '{path}' cannot be read as a CSV file ({why})") from None
    if not lines:
        raise ValueError(f"data '{path}' is empty: give a CSV file with a header")
    return lines


def _separator(header: str) -> str:
    return max(_SEPARATORS, key=header.count)


def _names(path: Path, header: Sequence[str]) -> list[str]:
    names = [name.strip() for name in header]
    if all(map(_is_number, names)):
        raise ValueError(
            f"data '{path}' has no header: its first line has numbers: put names of the columns "
            "there"
        )
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice or "" in names:
        what = f"names {twice[0]!r} twice" if twice and twice[0] else "has a column without a name"
        raise ValueError(f"data '{path}' {what} in its header: give each column a name of its own")
    return names


def _known(header: Sequence[str], leave_out: Sequence[str]) -> Sequence[str]:
    names = [name.strip() for name in header]
    for name in leave_out:
        if name not in names:
            shown = ", ".join(names[:20]) + ", ..." * (len(names) > 20)
            raise ValueError(f"leave_out {name!r} is no column of data: choose from {shown}")
    return leave_out


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _decimals(text: str) -> int:
    """How many digits stand after the point; many where it is written with an exponent."""
    if "e" in text.lower():
        return _MOST_DECIMALS + 1
    return len(text.partition(".")[2].rstrip("0"))
