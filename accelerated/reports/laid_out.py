"""Where images are in a picture of several groups of them, so that they can be taken out again."""

from __future__ import annotations

import json
from contextlib import suppress

import numpy as np
from numpy.typing import NDArray
from PIL import Image

GAP = 4
"""White pixels between images and around them."""

LAYOUT = "Layout"
"""What the picture's file says of it: left, top, columns, scale, number, height and width of each
group, as JSON."""


def read_groups(picture: Image.Image) -> tuple[NDArray[np.uint8], ...]:
    """The images of a comparison's file, RGB (N, 3, H, W) of each group; () of another picture.

    Raises:
        OSError, SyntaxError: it cannot be read.
    """
    pixels = np.asarray(picture.convert("RGB"))
    told = getattr(picture, "text", {}).get(LAYOUT)
    groups = []
    with suppress(ValueError, TypeError):
        for left, top, columns, scale, number, height, width in json.loads(told or "[]"):
            least = min(left + 1, top + 1, columns, scale, number, height, width)
            if least < 1 or number * height * width > pixels.size:
                return ()
            i, down, across = np.arange(number), np.arange(height), np.arange(width)
            y = top + GAP + i // columns * (height * scale + GAP)
            x = left + GAP + i % columns * (width * scale + GAP)
            rows, places = y[:, None] + down * scale, x[:, None] + across * scale
            if rows.max() >= pixels.shape[0] or places.max() >= pixels.shape[1]:
                return ()
            groups.append(pixels[rows[:, :, None], places[:, None, :]].transpose(0, 3, 1, 2))
    return tuple(groups)
