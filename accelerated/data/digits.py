"""The handwritten digits that come with the package (licence: digits-LICENSE.md)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

_FILE = Path(__file__).with_name("digits.npz")


def load_digits() -> NDArray[np.uint8]:
    """Return the 1,797 images of the UCI optical digits: uint8 (1797, 1, 8, 8).

    The ink of a pixel has 17 levels, 0 (none) to 16. Level k is stored as k and returned as
    round(k * 255 / 16), so that ``round(pixel * 16 / 255)`` gives it back exactly.
    """
    levels = _read("levels").astype(np.float64)
    pixels: NDArray[np.uint8] = np.rint(levels * 255 / 16).astype(np.uint8)
    return pixels[:, None]


def digit_labels() -> NDArray[np.int64]:
    """Return which digit each image of :func:`load_digits` shows: int64 (1797,), 0..9."""
    return _read("labels").astype(np.int64)


def _read(name: str) -> NDArray[Any]:
    with np.load(_FILE) as archive:
        array: NDArray[Any] = archive[name]
    return array
