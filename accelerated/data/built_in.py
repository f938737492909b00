"""Training data that comes with the package, by name."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image

from .arrays import ArrayImages, Images
from .classes import select
from .decode import to_pixels
from .digits import digit_labels, load_digits
from .pictures import PictureImages
from .scenes import SceneImages

BUILT_IN = ("digits", "scenes", "pictures")
"""A folder of such a name is ``./digits``."""


def open_built_in(
    name: str, image_size: tuple[int, int], channels: int, only_class: Sequence[str]
) -> Images:
    """Open data that comes with the package.

    Raises:
        ValueError: classes that it has not.
    """
    if name == "digits":
        return _open_digits(image_size, channels, only_class)
    if name == "pictures":
        return PictureImages(image_size, channels, only_class)
    if only_class:
        select((), None, only_class)
    return SceneImages(image_size, channels)


def _open_digits(
    image_size: tuple[int, int], channels: int, only_class: Sequence[str]
) -> ArrayImages:
    digits, labels = load_digits()[:, 0], digit_labels()
    classes: tuple[str, ...] = tuple("0123456789")
    if only_class:
        places, classes, labels = select(classes, labels, only_class)
        digits = digits[places]
    pictures = (Image.fromarray(digit) for digit in digits)
    images = ArrayImages(np.stack([to_pixels(p, image_size, channels) for p in pictures]))
    images.classes, images.labels = classes, labels
    return images
