"""Which folders this package has written: a run, or pictures that ``sample`` drew.

Known by a file of their own, read without MindSpore: what is inside them is never data to train on,
and what is in other folders is never written over.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

RUN = "config.json"
"""In the folder of a run: its configuration, with the versions of what ran it."""

DRAWN = "drawn.json"
"""In a folder of drawn pictures: what drew them."""

_LONGEST = 2**20  # bytes: a larger file is someone else's


def is_run(folder: Path) -> bool:
    """Whether ``train`` or ``import`` has written this folder."""
    return _names_us(folder / RUN)


def is_drawing(folder: Path) -> bool:
    """Whether ``sample`` has written this folder."""
    return _names_us(folder / DRAWN)


def _names_us(path: Path) -> bool:
    try:
        if path.stat().st_size > _LONGEST:
            return False
        value: Any = json.loads(path.read_text(encoding="utf-8"))
        return "version" in value and "ddpm-mindspore" in value["versions"]
    except (OSError, ValueError, TypeError, KeyError):
        return False
