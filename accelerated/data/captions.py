"""Which captions a folder's pictures have, which have none, and which captions have no picture."""

from __future__ import annotations

import hashlib
import json
import os
import posixpath
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path, PurePath
from typing import NamedTuple
from urllib.parse import unquote, urlsplit

from .caption_files import ENDINGS, CaptionList, read_list
from .left_out import Kind, LeftOut

SHARD = 10_000
"""Pictures in a folder of img2dataset, by default."""


class Told(NamedTuple):
    """What is said of a folder's pictures, by their names, and what is left out."""

    captions: dict[str, list[str]]
    left_out: list[LeftOut]


def tell(
    folder: Path,
    names: Sequence[str],
    left_out: Sequence[LeftOut],
    encoding: str,
    *,
    strict: bool = False,
) -> Told:
    """Find what is said of a folder's pictures.

    All lists in the folder and below are read, in the order of their names. A list of URLs names
    pictures that were fetched into its folder; row n of all of them, from 0, is there under the
    last part of its URL, or as img2dataset has it: nnnnn/nnnnnmmmm.jpg (or .png, .webp) with
    nnnnn = n // 10000 and mmmm = n % 10000.

    Args:
        names: the pictures that are there, relative to the folder.
        left_out: what else is there.
        encoding: of the lists' text.
        strict: refuse captions whose picture is missing.

    Returns:
        The captions of each picture that has any. Left out are now also pictures without captions,
        captions without pictures, and rows that are broken, empty or said twice.

    Raises:
        ValueError: no list, one that cannot be read, or no picture that has a caption.
    """
    lists, others = _lists(left_out, encoding)
    if not lists:
        why = "".join(f"; {Path(path).name} is none: {told}" for path, told in others[:3])
        raise ValueError(
            f"data folder '{folder}' has no captions: put a CSV file into it with the columns "
            f"dir,text (or file_name,text, or url,caption), or the same as JSON lines (.jsonl){why}"
        )
    rest = [item for item in left_out if item.path not in lists]
    pictures = _Pictures(folder, names)
    captions: dict[str, list[str]] = {}
    fetched = 0
    for path, found in lists.items():
        base = pictures.base(path)
        urls = Counter(row.picture for row in found.rows)
        files = Counter(_file_of(url) for url in urls)
        rest += found.left_out
        for row in found.rows:
            if found.by_url:
                once = files[_file_of(row.picture)] == 1
                name = pictures.fetched(base, row.picture if once else "", fetched)
                fetched += 1
            else:
                name = pictures.named(base, row.picture)
            where = f"{path}:{row.line}"
            if name is None:
                if strict:
                    raise ValueError(
                        f"'{where}' names the picture {row.picture!r}, which is not there: remove "
                        "the line, or leave out strict"
                    )
                rest.append(LeftOut(where, f"no picture {row.picture!r}", Kind.UNSHOWN))
            elif row.caption in captions.setdefault(name, []):
                rest.append(LeftOut(where, "said before of the same picture", Kind.ROW))
            else:
                captions[name].append(row.caption)
    if not captions:
        first = next((item.why for item in rest if item.kind is Kind.UNSHOWN), "they are all empty")
        raise ValueError(
            f"none of the captions in '{folder}' is of a picture there ({first}): give paths seen "
            "from the folder of the list"
        )
    untold = (name for name in names if name not in captions)
    rest += [LeftOut(f"{folder}{os.sep}{name}", "no caption", Kind.UNTOLD) for name in untold]
    return Told(captions, rest)


def digest(names: Iterable[str], captions: Iterable[Sequence[str]]) -> str:
    """16 hexadecimal digits by which what is said of pictures differs."""
    told = hashlib.sha256()
    for row in zip(names, captions, strict=True):
        told.update(json.dumps(row).encode() + b"\n")
    return told.hexdigest()[:16]


class _Pictures:
    """The pictures of a folder, by whatever a list may call them."""

    def __init__(self, folder: Path, names: Sequence[str]) -> None:
        self._folder, self._names = folder, set(names)
        # Some systems write é as e with an accent of its own.
        self._composed = {unicodedata.normalize("NFC", name): name for name in names}
        self._stems = {posixpath.splitext(name)[0]: name for name in names}

    def base(self, path: str) -> str:
        """The folder of a list, relative to the whole."""
        return PurePath(path).relative_to(self._folder).parent.as_posix()

    def named(self, base: str, picture: str) -> str | None:
        """The picture that a list in ``base`` calls so."""
        for text in (picture, picture.replace("\\", "/")):
            path = text.removeprefix(f"{self._folder.absolute().as_posix()}/")
            whole = posixpath.join("" if path != text else base, path)
            name = posixpath.normpath(whole)
            if name in self._names:
                return name
            if (composed := unicodedata.normalize("NFC", name)) in self._composed:
                return self._composed[composed]
        return None

    def fetched(self, base: str, url: str, number: int) -> str | None:
        """The picture that was fetched from ``url`` ("": it tells nothing), as the number-th."""
        file = _file_of(url)
        if file and (name := self.named(base, file)):
            return name
        shard = number // SHARD
        key = posixpath.join(base, f"{shard:05}", f"{number:09}")
        return self._stems.get(posixpath.normpath(key))


def _lists(
    left_out: Sequence[LeftOut], encoding: str
) -> tuple[dict[str, CaptionList], list[tuple[str, str]]]:
    """The lists of captions among what is no picture; the other tables, and why they are none."""
    lists: dict[str, CaptionList] = {}
    others = []
    for item in sorted(left_out):
        if item.kind is Kind.COMPANION and item.path.lower().endswith(ENDINGS):
            found = read_list(item.path, encoding)
            if isinstance(found, str):
                others.append((item.path, found))
            else:
                lists[item.path] = found
    return lists, others


def _file_of(url: str) -> str:
    """The last part of the path of a URL."""
    return posixpath.basename(unquote(urlsplit(url).path))
