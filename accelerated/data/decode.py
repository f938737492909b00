"""From an image file of any kind to pixels of one size and one number of channels."""

from __future__ import annotations

import errno
import io
import os
from collections.abc import Sequence
from contextlib import nullcontext
from threading import Lock
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from .arrays import check_unit_range
from .color import to_srgb
from .crops import CENTER, Crop

Pixels8 = NDArray[np.uint8]

MODES = {1: "L", 2: "LA", 3: "RGB", 4: "RGBA"}
RULE = 2
"""Number of the rule that pixels follow; 2 converts colours to sRGB. Decoded files kept under an
older one are not used."""

# Images of more pixels are decoded one at a time. Pillow refuses those of more than 179 million, at
# which one takes 1.4 GB (RGB) to 3 GB (with alpha and a profile).
_LARGE = 2**24
_one_at_a_time = Lock()
_ROWS = 64  # converted at a time, in float64
# The process is short of something, which says nothing about the file.
_SHORTAGES = {errno.EMFILE, errno.ENFILE, errno.ENOMEM}


def decode(
    file: str | os.PathLike[str] | BinaryIO,
    image_size: tuple[int, int],
    channels: int,
    crop: Crop = CENTER,
    draw: Sequence[float] = (),
) -> Pixels8:
    """Decode the first frame of an image file, upright (EXIF), as :func:`to_pixels` does.

    Raises:
        Exception: what Pillow raises on a broken file, which may be anything.
    """
    with Image.open(file) as image:
        # A JPEG can be decoded at 1/2, 1/4 or 1/8 of its size, several times faster. Never below
        # twice the wanted size, so that the filter still has enough to work on.
        least = int(2 * max(image_size) / crop.least_share)
        image.draft(None, (least, least))
        with _one_at_a_time if image.width * image.height > _LARGE else nullcontext():
            ImageOps.exif_transpose(image, in_place=True)
            return to_pixels(image, image_size, channels, crop, draw)


def try_decode(
    file: str | os.PathLike[str] | BinaryIO,
    image_size: tuple[int, int],
    channels: int,
    crop: Crop = CENTER,
    draw: Sequence[float] = (),
) -> Pixels8 | str:
    """Return the pixels of a file, or why it has none, in a few words."""
    try:
        return decode(file, image_size, channels, crop, draw)
    except Exception as error:  # decoders raise anything on broken bytes
        return reason(error)


def reason(error: Exception) -> str:
    """Say in one short line why a file cannot be decoded (Pillow's own words repeat the path).

    Raises:
        OSError: the error, if it is not the file's fault.
    """
    if isinstance(error, OSError) and error.errno in _SHORTAGES:
        raise error
    if isinstance(error, UnidentifiedImageError):
        return "not an image that Pillow can read"
    if isinstance(error, Image.DecompressionBombError):
        most = 2 * (Image.MAX_IMAGE_PIXELS or 0) / 1e6
        return f"more than {most:.4g} megapixels, the most that is read"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    lines = str(error).splitlines()
    return lines[0] if lines else type(error).__name__


def to_pixels(
    image: Image.Image,
    image_size: tuple[int, int],
    channels: int,
    crop: Crop = CENTER,
    draw: Sequence[float] = (),
) -> Pixels8:
    """Return the image as uint8 (channels, H, W): cropped to its proportions, and resized.

    Channels are 1 grey, 2 grey and alpha, 3 RGB, 4 RGB and alpha. Where they leave no room for
    alpha, the image is laid over white. Colours of an embedded profile become sRGB. Resizing is
    bicubic and antialiased; an image that has the size already keeps its pixels.

    Raises:
        ValueError: pixel values that no 8-bit level stands for.
    """
    height, width = image_size
    profile: bytes | None = image.info.get("icc_profile")
    image = _to_mode(to_srgb(_to_8_bit(image), profile), MODES[channels])
    box = crop.box(image.size, image_size, draw)
    fitted = image.resize((width, height), Image.Resampling.BICUBIC, box)
    return np.ascontiguousarray(
        np.asarray(fitted).reshape(height, width, channels).transpose(2, 0, 1)
    )


def decode_value(
    name: str,
    value: NDArray[Any],
    image_size: tuple[int, int],
    channels: int,
    crop: Crop = CENTER,
    draw: Sequence[float] = (),
) -> Pixels8 | str:
    """Return an image that is an array as uint8 (channels, H, W), by way of :func:`to_pixels`.

    Args:
        name: what to call it in an error.
        value: (H, W), (H, W, C) or (C, H, W), C <= 4, uint8 or floats in [0, 1] (rounded to the
            8-bit levels), or the bytes of an image file (1-D uint8).

    Returns:
        The pixels, or why the image file has none, in a few words.

    Raises:
        ValueError: another form, type or range.
    """
    if is_encoded(value):
        return try_decode(io.BytesIO(value.tobytes()), image_size, channels, crop, draw)
    levels = _to_levels(name, value)
    if levels.shape == (channels, *image_size) and not crop.draws:
        return levels
    if levels.ndim == 3 and levels.shape[-1] > 4:
        levels = levels.transpose(1, 2, 0)
    if levels.ndim not in (2, 3) or levels.shape[2:] not in ((), (1,), (2,), (3,), (4,)):
        raise ValueError(
            f"{name} has images of shape {value.shape}: "
            "give (H, W), (H, W, C) or (C, H, W) with at most 4 channels"
        )
    if levels.shape[2:] == (1,):
        levels = levels[:, :, 0]
    image = Image.fromarray(np.ascontiguousarray(levels))
    return to_pixels(image, image_size, channels, crop, draw)


def is_encoded(value: NDArray[Any]) -> bool:
    """Say whether an array may be the bytes of an image file: a bytes string, or 1-D uint8."""
    return value.dtype.kind == "S" or (value.ndim == 1 and value.dtype == np.uint8)


def _to_levels(name: str, value: NDArray[Any]) -> Pixels8:
    if value.dtype == np.uint8:
        return value
    if not np.issubdtype(value.dtype, np.floating):
        raise ValueError(f"{name} has type {value.dtype}: give uint8, or floats in [0, 1]")
    check_unit_range(name, value)
    levels: Pixels8 = np.rint(value * 255).astype(np.uint8)
    return levels


def _to_8_bit(image: Image.Image) -> Image.Image:
    """Scale 16-bit levels (where Pillow's own conversion clips at 255) and floats in [0, 1]."""
    if image.mode.startswith("I"):
        return _scaled(image, 65535)
    if image.mode == "F":
        return _scaled(image, 1)
    return image


def _scaled(image: Image.Image, white: int) -> Image.Image:
    values: NDArray[Any] = np.asarray(image)
    low, high = values.min(), values.max()
    if not (low >= 0 and high <= white):
        raise ValueError(f"values from {low!s} to {high!s} where 0 to {white} is expected")
    levels = np.empty(values.shape, np.uint8)
    for start in range(0, len(values), _ROWS):
        rows = slice(start, start + _ROWS)
        levels[rows] = np.rint(values[rows].astype(np.float64) * (255 / white))
    return Image.fromarray(levels)


def _to_mode(image: Image.Image, mode: str) -> Image.Image:
    if image.has_transparency_data:
        image = image if image.mode == "RGBA" else image.convert("RGBA")
        if not mode.endswith("A"):
            white = Image.new("RGBA", image.size, "white")
            image = Image.alpha_composite(white, image)
    return image.convert(mode)
