"""Pictures inside a page: laid out with nothing between them, and as data URIs."""

from __future__ import annotations

import base64
import io
import math

import numpy as np
from numpy.typing import NDArray
from PIL import Image, features

VISIBLE = 48  # pixels that the longer side of a small image is enlarged to, at least
LARGEST = 128  # pixels of the longer side of an image; larger ones are made smaller
LOSSLESS = 150_000  # bytes of a PNG that a page has room for


def enlarged(images: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Images (N, C, H, W) whose pixels are enlarged to be seen, or which are made smaller."""
    longer = max(images.shape[2:])
    if longer > LARGEST:
        return _reduced(images, LARGEST / longer)
    scale = math.ceil(VISIBLE / longer)
    return images.repeat(scale, axis=2).repeat(scale, axis=3)


def gap_of(images: NDArray[np.uint8]) -> int:
    """Pixels between images of this size."""
    return max(3, max(images.shape[2:]) // 16)


def montage(images: NDArray[np.uint8], columns: int) -> Image.Image:
    """Images (N, C, H, W) in rows, and nothing (no colour) between them.

    C: 1, 3 or 4; of other numbers of channels the first is shown.
    """
    images = images if images.shape[1] in (1, 3, 4) else images[:, :1]
    count, channels, height, width = images.shape
    columns, gap = min(columns, count), gap_of(images)
    rows = math.ceil(count / columns)
    own = channels if channels == 4 else channels + 1
    page = np.zeros((rows * (height + gap) - gap, columns * (width + gap) - gap, own), np.uint8)
    for i, image in enumerate(images.transpose(0, 2, 3, 1)):
        y, x = i // columns * (height + gap), i % columns * (width + gap)
        page[y : y + height, x : x + width, :channels] = image
        if channels < 4:
            page[y : y + height, x : x + width, -1] = 255
    return Image.fromarray(page)


def data_uri(image: Image.Image) -> str:
    """A picture as the value of ``src``: exact where it is small, else WebP that looks the same."""
    data, kind = _encoded(image, "PNG", optimize=True), "png"
    if len(data) > LOSSLESS and features.check("webp"):
        data, kind = _encoded(image, "WEBP", quality=88), "webp"
    return f"data:image/{kind};base64,{base64.b64encode(data).decode()}"


def _encoded(image: Image.Image, form: str, **options: object) -> bytes:
    encoded = io.BytesIO()
    image.save(encoded, format=form, **options)
    return encoded.getvalue()


def _reduced(images: NDArray[np.uint8], share: float) -> NDArray[np.uint8]:
    height, width = (max(1, round(side * share)) for side in images.shape[2:])
    found = [
        [
            np.asarray(Image.fromarray(channel).resize((width, height), Image.Resampling.BOX))
            for channel in image
        ]
        for image in images
    ]
    return np.array(found, np.uint8)
