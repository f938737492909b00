"""progress.json of a run: where it is now, and where its time went; see trainer/log.py."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..system.files import json_bytes, replace_file


class ProgressFile:
    """What the trainer says of itself about once a second."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def write(self, progress: Mapping[str, Any]) -> None:
        """Replace it.

        Raises:
            OSError: the disk is full. What was there is unharmed.
        """
        replace_file(self.path, json_bytes(self.path.name, progress), flush=False)

    def read(self) -> dict[str, Any]:
        """What it says; nothing where it is not there or damaged."""
        try:
            return dict(json.loads(self.path.read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError):
            return {}
