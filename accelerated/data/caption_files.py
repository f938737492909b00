"""Lists of captions: CSV files and JSON lines, in whatever encoding is named.

A list has a column (in JSON lines a key) for the picture and one for what is said of it:

    dir, file_name, file, path or image    the picture's path, seen from the list's folder
    url                                    where it was fetched from (see :mod:`.captions`)
    text or caption                        what is said of it; in JSON lines, several in a list too

as ``dir,text`` and ``url,caption`` are common in Chinese data sets and ``file_name``, ``text`` in
folders of Hugging Face. A picture has as many captions as there are rows that name it.
"""

from __future__ import annotations

import codecs
import csv
import io
import json
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from .decode import reason
from .left_out import Kind, LeftOut

ENDINGS = (".csv", ".tsv", ".jsonl")
PATHS = ("dir", "file_name", "file", "path", "image")
URL = "url"
CAPTIONS = ("text", "caption")

_END = "\x1e\x1e"
_Fields = tuple[int, Any, Any]  # line, picture, caption


class Row(NamedTuple):
    """What a line says of a picture, which is named by its path or where it is from."""

    line: int
    picture: str
    caption: str


class CaptionList(NamedTuple):
    """A file of captions: whether its pictures are named by URL; rows; what says nothing."""

    by_url: bool
    rows: list[Row]
    left_out: list[LeftOut]


def read_list(file: str, encoding: str) -> CaptionList | str:
    """Read a file of captions, or say in a few words why it is none.

    Args:
        file: its path.
        encoding: of its text, where it has no mark of UTF-8.

    Raises:
        ValueError: a file of captions in another encoding, or that breaks off.
    """
    try:
        content = Path(file).read_bytes()
    except OSError as error:
        return reason(error)
    lines = file.lower().endswith(".jsonl")
    # What the columns are called is ASCII, in whatever encoding the captions are.
    named = _names(content, file)
    picture = next((name for name in (*PATHS, URL) if name in named), None)
    caption = next((name for name in CAPTIONS if name in named), None)
    if picture is None or caption is None:
        what = "keys" if lines else "columns"
        return f"its {what} are {', '.join(named)[:60]!r}"
    text = _text(file, content, encoding)
    read = _of_lines(text, picture, caption) if lines else _of_table(file, text, picture, caption)
    rows: list[Row] = []
    left_out: list[LeftOut] = []
    for line, where, said in read:
        texts = said if isinstance(said, list) else [said]
        if not isinstance(where, str) or not where.strip():
            left_out.append(LeftOut(f"{file}:{line}", "names no picture", Kind.ROW))
            continue
        for one in texts or [None]:
            if isinstance(one, str) and one.strip():
                rows.append(Row(line, where.strip(), one.strip()))
            else:
                left_out.append(LeftOut(f"{file}:{line}", "an empty caption", Kind.ROW))
    return CaptionList(picture == URL, rows, left_out)


def _names(content: bytes, file: str) -> list[str]:
    """The columns of a table, or the keys of the first line, as far as they are ASCII."""
    start = content.removeprefix(codecs.BOM_UTF8).lstrip()[:65536]
    if start.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        start = start.decode("utf-16", "replace").encode("ascii", "replace")
    head = re.split(rb"[\r\n]", start, maxsplit=1)[0].decode("latin-1").strip()
    if file.lower().endswith(".jsonl"):
        return re.findall(r'"(\w+)"\s*:', head, re.ASCII)
    row = next(csv.reader([head], delimiter=_delimiter(file)), [])
    return [name.strip().lower() for name in row]


def _text(file: str, content: bytes, encoding: str) -> str:
    known = codecs.lookup(encoding).name
    if content.startswith(codecs.BOM_UTF8):
        encoding = "utf-8-sig"
    elif not known.startswith("utf") and _is_utf_8(content):
        raise ValueError(
            f"captions '{file}' are not in {encoding} but in UTF-8: give --caption-encoding utf-8, "
            "or mark the file with a BOM if others are in that encoding"
        )
    try:
        return content.decode(encoding)
    except UnicodeDecodeError as error:
        other = "gb18030" if known == "gbk" else "gbk"
        if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
            other = "utf-16"
        raise ValueError(
            f"captions '{file}' are not in {encoding} (byte 0x{content[error.start]:02x} at "
            f"{error.start:,}): say in which encoding they are, as --caption-encoding {other}"
        ) from None


def _is_utf_8(content: bytes) -> bool:
    """Whether bytes are surely UTF-8; a few of another encoding may look like it, 24 do not."""
    try:
        text = content.decode()
    except UnicodeDecodeError:
        return False
    return len(content) - len(text) > 24


def _of_lines(text: str, picture: str, caption: str) -> Iterator[_Fields]:
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        try:
            found = json.loads(line)
        except ValueError:
            found = None
        known = found if isinstance(found, dict) else {}
        yield number, known.get(picture), known.get(caption)


def _of_table(file: str, text: str, picture: str, caption: str) -> Iterator[_Fields]:
    # A last row by which one sees that the quotation marks before it are closed.
    lines = io.StringIO(f"{text}\n{_END}", newline="")
    reader = csv.reader(lines, delimiter=_delimiter(file))
    places: list[int] | None = None
    line = 1
    try:
        for row in reader:
            if row and row[-1].endswith(_END):
                if row != [_END]:
                    raise csv.Error("the text ends within a quotation")
            elif places is None and any(row):
                names = [name.strip().lower() for name in row]
                places = [names.index(picture), names.index(caption)]
            elif places is not None and any(row):
                where, said = (_at(row, place) for place in places)
                yield line, where, said
            line = reader.line_num + 1
    except csv.Error as error:
        raise ValueError(
            f"captions '{file}' cannot be read on from line {line}: {error}; is a quotation mark "
            "not closed?"
        ) from None


def _at(row: Sequence[str], place: int) -> str | None:
    return row[place] if place < len(row) else None


def _delimiter(file: str) -> str:
    return "\t" if file.lower().endswith(".tsv") else ","
