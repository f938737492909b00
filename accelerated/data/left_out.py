"""What of the data is no image, or cannot be read as one: counted in a line, named in a file."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from ..system.files import replace_file

if TYPE_CHECKING:
    from .arrays import Images

FILE = "skipped.jsonl"
"""In the folder of a run: a JSON object for each file or folder that is left out."""

_ENDINGS = 5  # that are named in a line


class Kind(str, Enum):
    """Why something is left out; ``strict`` refuses the first two."""

    BROKEN = "cannot be decoded"
    FOREIGN = "no image"
    COMPANION = "text, or a system's"
    OWN = "written by this program"
    HIDDEN = "hidden"
    LINK = "link to a folder that is read already"
    UNSHOWN = "caption without its picture"
    UNTOLD = "picture without a caption"
    ROW = "row that says nothing"


REFUSED = (Kind.BROKEN, Kind.FOREIGN)


class LeftOut(NamedTuple):
    """A file or a folder that is left out, and why in a few words."""

    path: str
    why: str
    kind: Kind = Kind.BROKEN


def unreadable(path: str, why: str) -> ValueError:
    """The error that ``strict`` asks for."""
    return ValueError(f"'{path}' cannot be decoded: {why}; remove it, or leave out strict")


def left_out_text(items: Sequence[LeftOut]) -> str:
    """Count in one line what is left out, by kind, with the first that cannot be decoded."""
    of_kind: dict[Kind, list[LeftOut]] = {kind: [] for kind in Kind}
    for item in items:
        of_kind[item.kind].append(item)
    broken, own = of_kind[Kind.BROKEN], of_kind[Kind.OWN]
    foreign = of_kind[Kind.FOREIGN] + of_kind[Kind.COMPANION]
    hidden, links = of_kind[Kind.HIDDEN], of_kind[Kind.LINK]
    parts = []
    if broken:
        first = f"{'such as ' * (len(broken) > 1)}{broken[0].path}: {broken[0].why}"
        parts.append(f"{len(broken):,} that cannot be decoded ({first})")
    if foreign:
        are = "is no image" if len(foreign) == 1 else "are no images"
        parts.append(f"{len(foreign):,} that {are} ({_endings(foreign)})")
    if own:
        parts.append(f"{len(own):,} that this program wrote")
    if hidden:
        parts.append(f"{len(hidden):,} hidden or made by a system")
    if links:
        again = "a link" if len(links) == 1 else "links"
        parts.append(f"{len(links):,} {again} to what is read already")
    if unshown := of_kind[Kind.UNSHOWN]:
        first = f"{'such as ' * (len(unshown) > 1)}{unshown[0].path}: {unshown[0].why}"
        are = "caption" if len(unshown) == 1 else "captions"
        parts.append(f"{len(unshown):,} {are} of no picture ({first})")
    if untold := of_kind[Kind.UNTOLD]:
        are = "picture" if len(untold) == 1 else "pictures"
        parts.append(f"{len(untold):,} {are} without a caption")
    if rows := of_kind[Kind.ROW]:
        first = f"{'such as ' * (len(rows) > 1)}{rows[0].path}: {rows[0].why}"
        are = "row" if len(rows) == 1 else "rows"
        parts.append(f"{len(rows):,} {are} of captions ({first})")
    return f"left out: {', '.join(parts)}" if parts else ""


def report(images: Images, folder: Path | None) -> str:
    """Write what is left out to skipped.jsonl in ``folder`` (None: nowhere); what to say of it.

    That it cannot be written is said, and is no error.
    """
    items = images.left_out
    told = left_out_text(items)
    if folder is not None:
        try:
            if items:
                replace_file(folder / FILE, _lines(items), flush=False)
            else:
                (folder / FILE).unlink(missing_ok=True)
        except OSError as error:
            told += f" ({FILE} cannot be written: {error.strerror})" * bool(items)
        else:
            told += f"; all are named in {folder / FILE}" * bool(items)
    if not images.checked:
        told += "\n" * bool(told) + (
            "of each image only the beginning and the end were looked at, as they are read anew in "
            "every epoch: what cannot be decoded in between is named when it is met"
        )
    return told


def note_broken(folder: Path, broken: Iterable[tuple[str, str]]) -> None:
    """Add to skipped.jsonl what broke since. Where that fails, nothing happens."""
    try:
        with (folder / FILE).open("ab") as file:
            file.write(_lines([LeftOut(path, why) for path, why in broken]))
    except OSError:
        pass  # it is told in the terminal as well


def _lines(items: Iterable[LeftOut]) -> bytes:
    """A name that is not UTF-8 has its bytes escaped, as Python does: \\udcff for 0xff."""
    rows = ({"path": path, "why": why, "kind": kind.value} for path, why, kind in items)
    return "".join(json.dumps(row) + "\n" for row in rows).encode()


def _endings(items: Iterable[LeftOut]) -> str:
    """How many there are of each ending: ``.heic 2, .txt 1``."""
    counts = Counter(Path(path).suffix.lower() or "no ending" for path, _, _ in items).most_common()
    rest = sum(count for _, count in counts[_ENDINGS:])
    shown = [*counts[:_ENDINGS], *[("others", rest)] * bool(rest)]
    return ", ".join(f"{ending} {count:,}" for ending, count in shown)
