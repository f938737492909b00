"""The names that a run takes in its folder, and what of others stands in their way.

Only what has such a name, in its place, is ever written over or removed; and in a folder that is no
run's it is someone else's.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

FILES = (
    *("config.json", "metrics.jsonl", "progress.json", "images.json", "nonfinite.jsonl"),
    *("skipped.jsonl", "loss.png", "weights.safetensors"),
)
FOLDERS = ("checkpoints", "samples", "tensorboard", "drawn")

# What the trainer writes in one go (see files.replace_file), in the folder and in samples/.
_REPLACED = r"(config|progress|images)\.json|skipped\.jsonl|loss\.png"
_SAMPLES = r"step-\d{8,}\.png"


def taken(folder: Path) -> list[str]:
    """The names of a run that there are in a folder."""
    return [name for name in (*FILES, *FOLDERS) if os.path.lexists(folder / name)]


def remove_half_written(folder: Path) -> None:
    """Remove the files that a killed trainer had not yet given their name."""
    for place, names in ((folder, _REPLACED), (folder / "samples", _SAMPLES)):
        unfinished = re.compile(rf"\.({names})\.\d+\.tmp")
        for path in place.glob(".*.tmp"):
            if unfinished.fullmatch(path.name) and path.is_file():
                path.unlink()
