"""Whose the files are that a report would be written over."""

from __future__ import annotations

import json
import os
from pathlib import Path

FILES = ("report.json", "report.html", "junit.xml")


def files_of_others(folder: Path) -> list[str]:
    """The names of a report that something else has in this folder.

    Known by report.json, which is the first to be written and says which versions it is of.
    """
    try:
        report = json.loads((folder / "report.json").read_text(encoding="utf-8"))
        if "ddpm-mindspore" in report["environment"]:
            return []
    except (OSError, ValueError, TypeError, KeyError):
        pass
    return [name for name in FILES if os.path.lexists(folder / name)]
