"""One picture from one file, as a trained network takes it: nothing is guessed about it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from .crops import CENTER
from .decode import reason, to_pixels

Pixels = NDArray[np.uint8]

KINDS = {1: "grey", 3: "RGB (red, green and blue)"}
HALF = 128


def read_picture(path: Path, shape: tuple[int, ...], *, fit: bool = False) -> Pixels:
    """The pixels of a file, uint8 (C, H, W) = ``shape``.

    Transparent parts are laid over white, as in training. With ``fit`` it is cropped to the
    proportions and resized; else its size has to be right.

    Raises:
        ValueError: a file that cannot be read, or a picture of another size or other colours.
    """
    channels, height, width = shape
    image = _open(path)
    found = _colours(image)
    if channels in (1, 3) and found != channels:
        raise ValueError(
            f"image {str(path)!r} is {KINDS[found]}, the run's images are {KINDS[channels]}: "
            "convert it"
        )
    _check_size(path, image, (height, width), fit)
    return _pixels(path, image, (height, width), channels)


def size_of(path: Path) -> tuple[int, int]:
    """Height and width of a picture, upright. Raises ValueError for a file that cannot be read."""
    image = _open(path)
    return image.height, image.width


def read_mask(path: Path, size: tuple[int, int], *, fit: bool = False) -> Pixels:
    """What a mask shows, uint8 (H, W): 1 is known (black), 0 is to be painted (white).

    Raises:
        ValueError: as ``read_picture``, or a mask by which all or nothing is known.
    """
    image = _open(path)
    _check_size(path, image, size, fit, "mask")
    grey = _pixels(path, image, size, 1)[0]
    return _checked(f"mask {str(path)!r}", grey < HALF, "white", "black")


def read_alpha(path: Path, size: tuple[int, int], *, fit: bool = False) -> Pixels:
    """The same of a picture's own transparency: what is opaque is known.

    Raises:
        ValueError: as ``read_mask``, or a picture without transparency.
    """
    image = _open(path)
    if not image.has_transparency_data:
        raise ValueError(
            f"image {str(path)!r} has no alpha channel: name a mask (--mask FILE), white where it "
            "is to be painted"
        )
    _check_size(path, image, size, fit)
    alpha = _pixels(path, image.convert("RGBA").getchannel("A"), size, 1)[0]
    return _checked(f"alpha of {str(path)!r}", alpha >= HALF, "transparent", "opaque")


def _checked(name: str, known: NDArray[np.bool_], hidden: str, shown: str) -> Pixels:
    if known.all():
        raise ValueError(f"{name} is {shown} all over: what is to be painted has to be {hidden}")
    if not known.any():
        raise ValueError(f"{name} is {hidden} all over: nothing is known, use sample")
    return known.astype(np.uint8)


def _open(path: Path) -> Image.Image:
    try:
        with Image.open(path) as image:
            upright: Image.Image = ImageOps.exif_transpose(image)
            upright.load()
            return upright
    except Exception as error:  # decoders raise anything on broken bytes
        raise ValueError(f"image {str(path)!r} cannot be read: {reason(error)}") from None


def _colours(image: Image.Image) -> int:
    bands = image.getbands()
    return 1 if bands[0] in ("L", "1", "I", "F") else 3


def _check_size(
    path: Path, image: Image.Image, size: tuple[int, int], fit: bool, what: str = "image"
) -> None:
    if not fit and (image.height, image.width) != size:
        raise ValueError(
            f"{what} {str(path)!r} is {image.height} x {image.width} (height x width), and "
            f"{size[0]} x {size[1]} is needed: resize it, or add --fit"
        )


def _pixels(path: Path, image: Image.Image, size: tuple[int, int], channels: int) -> Pixels:
    try:
        return to_pixels(image, size, channels, CENTER)
    except ValueError as error:
        raise ValueError(f"image {str(path)!r} cannot be read: {error}") from None
