"""One door for all training data: "digits", a folder, an array, or a MindSpore dataset."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ..randomness import batch_indices
from .arrays import ArrayImages, Images, Pixels, from_array
from .decode import MODES, to_pixels
from .digits import load_digits
from .folder import open_folder


def open_images(
    source: str | os.PathLike[str] | NDArray[Any] | Any,
    image_size: tuple[int, int],
    channels: int,
    *,
    strict: bool = False,
    memory_limit: int = 2**31,
    progress: bool = False,
) -> Images:
    """Open training data as images of one size.

    Args:
        source: one of

            * ``"digits"``: the handwritten digits of the package (a folder of that name is
              ``"./digits"``);
            * a folder: every image in it, at any depth, in any format that Pillow reads, in the
              order of their paths; hidden files are left out;
            * a NumPy array (N, channels, *image_size): uint8, or floats in [0, 1];
            * a MindSpore dataset (see :mod:`.mindspore_datasets`).
        image_size: (H, W). Images from files and datasets are resized and centre cropped to it.
        channels: 1 grey, 2 grey and alpha, 3 RGB, 4 RGB and alpha (an array may have any
            number). Transparent images are laid over white where there is no alpha channel.
        strict: refuse a folder with a file that cannot be decoded, instead of skipping the file.
        memory_limit: bytes of pixels up to which a folder or a dataset is decoded once into
            memory; a larger one is read again in every epoch.
        progress: show a bar when opening takes more than two seconds.

    Returns:
        The images; what was skipped is in ``.skipped``.

    Raises:
        ValueError: data that does not exist, holds no image, or does not fit the other arguments.
    """
    height, width = image_size
    if min(height, width, channels) < 1:
        raise ValueError(f"image_size {image_size} and channels {channels} must be at least 1")
    if isinstance(source, np.ndarray):
        return from_array(source, image_size, channels)
    if channels not in MODES:
        raise ValueError(f"channels is {channels}: 1 to 4 can be read, more only from an array")
    if isinstance(source, str) and source == "digits":
        return _open_digits(image_size, channels)
    if isinstance(source, (str, os.PathLike)):
        folder = Path(source).expanduser()
        return open_folder(
            folder,
            image_size,
            channels,
            strict=strict,
            memory_limit=memory_limit,
            progress=progress,
        )
    if any(base.__module__.startswith("mindspore.dataset") for base in type(source).__mro__):
        # Here, not above: everything else works without MindSpore.
        from .mindspore_datasets import open_dataset

        return open_dataset(
            source, image_size, channels, memory_limit=memory_limit, progress=progress
        )
    raise ValueError(
        f'data is of type {type(source).__name__}: give a folder, "digits", a NumPy array '
        "(N, C, H, W) or a MindSpore dataset"
    )


def read_batch(images: Images, seed: int, start: int, count: int) -> Pixels:
    """Return positions start .. start + count - 1 of the endless training stream: (count, C, H, W).

    Images that have no order of their own are shuffled anew in each epoch (see
    :func:`..randomness.batch_indices`), so the same (seed, start, count) gives the same batch.
    """
    if images.sequential:
        return images.batch(np.arange(start, start + count))
    return images.batch(batch_indices(seed, len(images), start, count))


def skipped_text(skipped: list[tuple[str, str]], *, most: int = 5) -> str:
    """Say in one line which files were skipped and why, naming at most ``most`` of them."""
    named = [f"{path} ({why})" for path, why in skipped[:most]]
    named += [f"and {len(skipped) - most} more"] * (len(skipped) > most)
    files = "1 file" if len(skipped) == 1 else f"{len(skipped)} files"
    return f"skipped {files} that cannot be decoded: " + ", ".join(named)


def _open_digits(image_size: tuple[int, int], channels: int) -> ArrayImages:
    digits = (Image.fromarray(image) for image in load_digits()[:, 0])
    return ArrayImages(np.stack([to_pixels(digit, image_size, channels) for digit in digits]))
