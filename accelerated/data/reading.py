"""How images are to be read, whatever they are read from."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

from .crops import Crop


@dataclass(frozen=True)
class Reading:
    """What :func:`.images.open_images` was told, apart from what to read.

    Attributes:
        shape: (C, H, W) of what is shown.
        crop: which part of an image that is.
        cache: a folder for decoded images, or None.
        strict: refuse what cannot be decoded, instead of leaving it out.
        memory_limit: bytes of pixels up to which all is decoded once into memory.
        progress: show bars.
        caption_encoding: read captions, too, from files in this encoding; None: there are none.
    """

    shape: tuple[int, int, int]
    crop: Crop
    cache: Path | None
    strict: bool
    memory_limit: int
    progress: bool
    caption_encoding: str | None = None

    def fits_in_memory(self, count: int) -> bool:
        """Whether so many images are decoded once: few enough, and always the same part of each."""
        return not self.crop.draws and count * math.prod(self.shape) <= self.memory_limit
