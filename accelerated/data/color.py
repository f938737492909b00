"""Colours that an embedded ICC profile describes (Display P3, Adobe RGB, CMYK), turned into sRGB.

A network sees levels alone, so they have to mean the same in all images; those without a profile
are in sRGB by convention.
"""

from __future__ import annotations

import io
from functools import lru_cache

import numpy as np
from PIL import Image, ImageCms

# The colour space of a profile, as an image's mode without alpha; others are not converted.
_MODES = {"RGB ": "RGB", "GRAY": "L", "CMYK": "CMYK"}
_PLAIN = {"L": "L", "LA": "L", "RGB": "RGB", "RGBA": "RGB", "RGBX": "RGB", "P": "RGB", "PA": "RGB"}
_PLAIN["CMYK"] = "CMYK"


def to_srgb(image: Image.Image, profile: bytes | None) -> Image.Image:
    """Return an image whose levels mean sRGB; alpha stays as it is.

    The conversion is that of LittleCMS, with the perceptual intent. The image is returned as it is
    where the profile is broken, is one of another colour space than the image's, or describes sRGB
    itself, to within a level.
    """
    transform = _transform(profile) if profile else None
    if transform is None or _PLAIN.get(image.mode) != transform.input_mode:
        return image
    plain = image.convert(transform.input_mode)
    # Of greys every level is converted by itself: LittleCMS would interpolate between a few.
    converted = plain.point(_levels(transform)) if plain.mode == "L" else transform.apply(plain)
    if image.has_transparency_data:
        converted.putalpha(image.convert("RGBA").getchannel("A"))
    return converted


@lru_cache(maxsize=16)  # those of printers take megabytes
def _transform(profile: bytes) -> ImageCms.ImageCmsTransform | None:
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        mode = _MODES[source.profile.xcolor_space]
        srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB"))
        exact = ImageCms.Flags.NOOPTIMIZE if mode == "L" else ImageCms.Flags.NONE
        transform = ImageCms.ImageCmsTransform(source, srgb, mode, "RGB", flags=exact)
    except (OSError, KeyError, ValueError, ImageCms.PyCMSError):  # a broken profile
        return None
    return None if mode == "RGB" and _changes_nothing(transform) else transform


def _levels(transform: ImageCms.ImageCmsTransform) -> list[int]:
    """What each of the 256 greys becomes."""
    ramp = Image.fromarray(np.arange(256, dtype=np.uint8)[None])
    return list(transform.apply(ramp).getchannel("R").tobytes())


def _changes_nothing(transform: ImageCms.ImageCmsTransform) -> bool:
    """Whether it leaves every colour of a grid as it is, to within a level."""
    axis = np.linspace(0, 255, 18).astype(np.uint8)
    grid = np.stack(np.meshgrid(axis, axis, axis), axis=-1).reshape(18, -1, 3)
    converted = np.asarray(transform.apply(Image.fromarray(grid))).astype(int)
    return int(abs(converted - grid).max()) <= 1
