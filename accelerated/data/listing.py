"""Which files of a folder may be training images, and which are left out."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path, PurePath

from PIL import Image

from ..runs.names import FOLDERS
from ..runs.own import is_drawing, is_run
from .contents import content
from .decode import reason
from .left_out import REFUSED, Kind, LeftOut, unreadable

# Pillow recognises these and cannot decode them.
_NO_IMAGES = {"MPEG", "HDF5", "BUFR", "GRIB"}
# Folders that systems put beside images, with thumbnails or with what was deleted.
_SYSTEM = {
    "__MACOSX",
    "@eaDir",
    "#recycle",
    "$RECYCLE.BIN",
    "System Volume Information",
    "lost+found",
    "__pycache__",
}
# Files that go with images; they are known by their names, so that captions need not be opened.
_COMPANIONS = {
    *(".txt", ".md", ".rst", ".html", ".htm", ".log", ".csv", ".tsv", ".json", ".jsonl", ".xml"),
    *(".yaml", ".yml", ".toml", ".ini", ".cfg", ".py", ".sh", ".ipynb", ".sha256", ".md5"),
}
_SYSTEM_FILES = {"thumbs.db", "ehthumbs.db", "desktop.ini"}
# Of a run whose folder is the data folder itself.
_RUN_PARTS = frozenset({*FOLDERS, "loss.png"})


def find(folder: Path, *, strict: bool) -> tuple[list[str], list[LeftOut]]:
    """Return the files below a folder that may be images, as sorted relative paths, and the rest.

    A file with the ending of an image is taken for one; of any other the content decides. Links
    are followed; each real folder is read once, so that a loop ends. Left out are hidden files and
    folders, what systems put beside images, and what this package has written: runs and drawings.

    Raises:
        ValueError: no such folder, one of drawn pictures, or with ``strict`` a file that is no
            image, text apart.
    """
    _check(folder)
    found: list[str] = []
    left_out: list[LeftOut] = []
    for entry in _entries(folder):
        if isinstance(entry, str):
            found.append(entry)
        elif strict and entry.kind in REFUSED:
            raise unreadable(entry.path, entry.why)
        else:
            left_out.append(entry)
    return sorted(found), left_out


def _check(folder: Path) -> None:
    try:
        exists, is_folder = folder.exists(), folder.is_dir()
    except OSError as error:  # a folder above may not be entered, or the name is too long
        raise ValueError(f"data folder '{folder}' cannot be read: {reason(error)}") from None
    if not exists and _is_type(str(folder)):
        raise ValueError(
            f"data {str(folder)!r} is no folder, but what the run was given in Python, which is "
            "not kept: go on there with the same, Trainer(diffusion, data, resume=True, ...)"
        )
    if not exists:
        raise ValueError(
            f"data folder '{folder}' does not exist: give a folder of images, or \"digits\""
        )
    if not is_folder:
        raise ValueError(f"data folder '{folder}' is a file: give the folder that holds the images")
    home = folder.absolute()
    if is_drawing(folder) or (home.name in _RUN_PARTS and is_run(home.parent)):
        raise ValueError(
            f"data folder '{folder}' holds pictures that this program drew: give a folder of real "
            "images, or a copy of these without drawn.json"
        )


def _is_type(text: str) -> bool:
    """Whether a text is the name of a type that a run may have written down as its data."""
    return text in ("ndarray", "memmap") or (text.isidentifier() and text.endswith("Dataset"))


def _entries(folder: Path) -> Iterator[str | LeftOut]:
    """Yield each file that may be an image as a path relative to ``folder``, and what is not."""
    endings, home = _endings(), os.path.realpath(folder)
    own = _RUN_PARTS if is_run(folder) else frozenset()
    locked: list[OSError] = []
    seen: set[str] = set()
    for root, folders, files in os.walk(folder, onerror=locked.append, followlinks=True):
        real = os.path.realpath(root)
        if real in seen or home.startswith(f"{real.rstrip(os.sep)}{os.sep}"):
            folders.clear()
            yield LeftOut(root, "a link to a folder that is read already", Kind.LINK)
            continue
        seen.add(real)
        below = PurePath(root).relative_to(folder)
        if below.parts:
            own = frozenset()
        prefix = "".join(f"{part}/" for part in below.parts)
        entered = []
        for name in sorted(folders):
            path = f"{root}{os.sep}{name}"
            if left_out := _by_name(path, name, own) or _own_folder(path):
                yield left_out
            else:
                entered.append(name)
        folders[:] = entered
        for name in sorted(files):
            path = f"{root}{os.sep}{name}"
            yield _by_name(path, name, own) or _by_content(path, name, endings) or prefix + name
    yield from (LeftOut(error.filename, reason(error)) for error in locked)


def _by_name(path: str, name: str, own: frozenset[str]) -> LeftOut | None:
    if name in own:
        return LeftOut(path, "a part of a run of this program", Kind.OWN)
    if name in _SYSTEM:
        return LeftOut(path, "a system's folder", Kind.HIDDEN)
    return LeftOut(path, "hidden", Kind.HIDDEN) if name.startswith(".") else None


def _own_folder(path: str) -> LeftOut | None:
    if is_run(Path(path)):
        return LeftOut(path, "a run of this program", Kind.OWN)
    if is_drawing(Path(path)):
        return LeftOut(path, "pictures that this program drew", Kind.OWN)
    return None


def _by_content(path: str, name: str, endings: set[str]) -> LeftOut | None:
    """What is to be said against a file, which is opened unless its name tells enough."""
    ending = os.path.splitext(name)[1].lower()  # noqa: PTH122  (a Path for each of a million files)
    if not os.path.isfile(path):  # noqa: PTH113  (opening a pipe would wait for ever)
        kind = Kind.BROKEN if ending in endings else Kind.FOREIGN
        return LeftOut(path, "not a file, or a broken link", kind)
    if ending in endings:
        return None
    if ending in _COMPANIONS or name.lower() in _SYSTEM_FILES:
        return LeftOut(path, "no image by its name", Kind.COMPANION)
    try:
        found = content(path)
    except OSError as error:
        return LeftOut(path, reason(error), Kind.FOREIGN)
    why = {
        "image": None,
        "text": LeftOut(path, "text", Kind.COMPANION),
        "TIFF": LeftOut(path, "a TIFF or a raw photograph: .tif has it read", Kind.FOREIGN),
        "other": LeftOut(path, "not an image that Pillow can read", Kind.FOREIGN),
    }
    return why[found]


def _endings() -> set[str]:
    Image.init()
    readable = set(Image.OPEN) - _NO_IMAGES
    return {ending for ending, name in Image.registered_extensions().items() if name in readable}
