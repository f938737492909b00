"""One door for all training data: a folder, "digits", an array, or a MindSpore dataset."""

from __future__ import annotations

import os
from typing import Any

import numpy as np

from .arrays import Images, from_array
from .digits import load_digits


def open_images(
    source: str | os.PathLike[str] | Any,
    image_size: tuple[int, int],
    channels: int,
    *,
    strict: bool = False,
    memory_limit: int = 2**31,
) -> Images:
    if isinstance(source, str) and source == "digits":
        return from_array(load_digits(), image_size, channels)
    if isinstance(source, np.ndarray):
        return from_array(source, image_size, channels)
    raise ValueError(f"data of type {type(source).__name__} is not understood")
