"""The file names of a folder, kept with a run so that its order of the data outlasts the files."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from ..system.files import write_json


def read_names(file: Path) -> list[str]:
    """Return the names that :func:`write_names` wrote, none if it never did.

    Raises:
        ValueError: the file is damaged.
    """
    try:
        names = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return []
    except ValueError as error:
        raise ValueError(f"{file} is damaged ({error}): restore it from a copy") from None
    if not isinstance(names, list):
        raise ValueError(f"{file} is damaged (no list): restore it from a copy")
    return names


def write_names(file: Path, names: Sequence[str]) -> None:
    """Write the names of a folder's images, unless they are there already.

    Raises:
        OSError: the file cannot be written.
        ValueError: the file is there, and damaged.
    """
    if list(names) != read_names(file):
        write_json(file, list(names))
