"""One door for all training data: by name, a folder, a file, an array, or a MindSpore dataset."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...reference.plain import as_plain, check_encoding
from ..randomness import Purpose, batch_indices, stream, uniform
from .arrays import Images, Items, Pixels, from_array
from .built_in import BUILT_IN, open_built_in
from .classes import select
from .crops import CENTER, Crop
from .decode import MODES
from .folder import classes_of, open_folder
from .listing import find
from .numeric import open_numbers
from .reading import Reading
from .scaling import Scaling


def open_images(
    source: str | os.PathLike[str] | NDArray[Any] | Any,
    image_size: tuple[int, ...],
    channels: int,
    *,
    crop: Crop = CENTER,
    only_class: Sequence[str] = (),
    known: Sequence[str] = (),
    cache: str | os.PathLike[str] | None = None,
    strict: bool = False,
    memory_limit: int = 2**31,
    progress: bool = False,
    leave_out: Sequence[str] = (),
    bounded: bool = True,
    scaling: Scaling | None = None,
    caption_encoding: str | None = None,
) -> Images:
    """Open training data as images of one size.

    Args:
        source: one of

            * ``"digits"``: the handwritten digits of the package; ``"scenes"``: two of them in
              colours, with captions; ``"pictures"``: small ones of many things, with captions
              (see :mod:`.scenes` and :mod:`.pictures`). A folder of such a name is ``"./digits"``;
            * a folder: every image in it, at any depth, in any format that Pillow reads, in the
              order of their paths (for what is left out see :mod:`.listing`). Sub-folders are
              classes where every image lies in one;
            * a MindRecord file (any of them, where there are several);
            * a NumPy array (N, channels, *image_size): uint8, or floats in [0, 1];
            * a MindSpore dataset (see :mod:`.mindspore_datasets`);
            * for sequences and vectors: a CSV file, or a folder of WAV files (see :mod:`.numeric`).
        image_size: (H, W). Images from files and datasets are cropped and resized to it. For an
            array it may be of any length: (L,) for sequences (N, C, L), () for vectors (N, C).
        channels: 1 grey, 2 grey and alpha, 3 RGB, 4 RGB and alpha (an array may have any
            number). Transparent images are laid over white where there is no alpha channel.
        crop: which part of an image is shown; what is random needs a folder or a MindRecord file,
            which are then read again in every epoch.
        only_class: open the images of these classes only (sub-folders, or digits).
        known: ``names`` of the images when the folder was opened before. Those that have gone, or
            cannot be decoded any more, keep their place (not if most have gone: that is another
            folder); another image is shown there. Without it they are left out.
        cache: a folder for the decoded images of a folder or a MindRecord file, which are then
            decoded once, and not at every start or in every epoch (see :mod:`.cache`).
        strict: refuse data with something that cannot be decoded, or a folder with a file that is
            neither an image nor text, instead of leaving it out.
        memory_limit: bytes of pixels up to which a folder, a file or a dataset is decoded once
            into memory; a larger one is read again in every epoch. Of a folder's files only the
            beginning and the end are then looked at when it is opened.
        progress: show a bar when opening takes more than two seconds.
        leave_out: columns of a CSV file that are not read.
        bounded: items are in [0, 1], as images are; else they are standardised, and an array of
            floats is taken as it is.
        scaling: how numbers of a file are brought there, where that is known already.
        caption_encoding: read what is said of a folder's pictures, too, from lists in this
            encoding; pictures of which nothing is said are then left out (see :mod:`.captions`).

    Returns:
        The images; what was left out is in ``.left_out``.

    Raises:
        ValueError: data that does not exist, holds no image, or does not fit the other arguments.
    """
    if min(*image_size, channels, 1) < 1:
        raise ValueError(f"image_size {image_size} and channels {channels} must be at least 1")
    is_path = isinstance(source, (str, os.PathLike)) and source not in BUILT_IN
    if len(image_size) != 2 and is_path:
        _check_no_classes(only_class)
        file: Path = as_plain("data", source, Path)
        return open_numbers(
            file, image_size, channels, leave_out=leave_out, bounded=bounded, scaling=scaling
        )
    if leave_out:
        raise ValueError(f"leave_out {leave_out[0]!r} is for the columns of a CSV file")
    if not bounded and not isinstance(source, np.ndarray):
        raise ValueError("images lie in [0, 1]: leave auto_normalize on")
    if len(image_size) != 2 and not isinstance(source, np.ndarray):
        raise ValueError(
            f"image_size {image_size} is not the height and width of images: give data of this "
            "shape as a NumPy array"
        )
    height, width = (*image_size, 1, 1)[:2]
    folder: Path | None = as_plain("data_cache", cache, Path | None)
    if caption_encoding is not None:
        check_encoding(caption_encoding)
        if not is_path:
            raise ValueError(
                f"caption_encoding {caption_encoding!r} is for a folder of pictures with lists of "
                "captions: leave it out"
            )
    shape = (channels, height, width)
    how = Reading(shape, crop, folder, strict, memory_limit, progress, caption_encoding)
    if is_path:
        _check_channels(channels)
        path: Path = as_plain("data", source, Path)
        if folder and crop.draws:
            raise ValueError(
                f"data_cache holds images of one crop, and crop {crop.kind!r} cuts them anew each "
                "time: leave one of the two out"
            )
        if ".mindrecord" in path.name and path.is_file():
            from .mindrecord import open_mindrecord

            if caption_encoding is not None:
                raise ValueError(
                    f"caption_encoding {caption_encoding!r} is for a folder of pictures, and "
                    f"'{path}' is a MindRecord file: leave it out"
                )
            _check_no_classes(only_class)
            return open_mindrecord(path, how)
        return open_folder(path, how, only_class=only_class, known=known)
    if cache is not None:
        raise ValueError(
            f"data_cache '{cache}' needs a folder of images or a MindRecord file: leave it out"
        )
    if crop.kind != "center":
        raise ValueError(
            f"crop {crop.kind!r} needs a folder of images or a MindRecord file: give data of "
            "another kind the size and the augmentation it should have, and choose 'center'"
        )
    if isinstance(source, str):
        _check_channels(channels)
        return open_built_in(source, (height, width), channels, only_class)
    _check_no_classes(only_class)
    if isinstance(source, np.ndarray):
        return from_array(source, image_size, channels, bounded=bounded)
    _check_channels(channels)
    if any(base.__module__.startswith("mindspore.dataset") for base in type(source).__mro__):
        # Here, not above: everything else works without MindSpore.
        from .mindspore_datasets import open_dataset

        return open_dataset(source, how)
    raise ValueError(
        f'data is of type {type(source).__name__}: give a folder, "digits", a MindRecord file, a '
        "NumPy array (N, C, H, W) or a MindSpore dataset"
    )


def class_names(
    source: str | os.PathLike[str] | Any, only_class: Sequence[str] = ()
) -> tuple[str, ...]:
    """The classes that :func:`open_images` would find; of a folder, without opening an image.

    Raises:
        ValueError: data without classes; or as ``open_images``.
    """
    names: tuple[str, ...] = ()
    if isinstance(source, str) and source in BUILT_IN:
        names = tuple(open_built_in(source, (8, 8), 1, only_class).classes)
    elif isinstance(source, (str, os.PathLike)):
        path: Path = as_plain("data", source, Path)
        if not path.is_file():
            names, labels = classes_of(find(path, strict=False)[0])
            names = select(names, labels, only_class)[1] if only_class else names
    if not names:
        raise ValueError(
            "data has no classes: conditional needs a folder with a sub-folder for each class, or "
            "the digits"
        )
    return names


def read_batch(images: Images, seed: int, start: int, count: int) -> Pixels:
    """The images alone of :func:`read_items`: (count, C, H, W)."""
    return read_items(images, seed, start, count).x


def read_items(images: Images, seed: int, start: int, count: int) -> Items:
    """Return positions start .. start + count - 1 of the endless training stream.

    Images that have no order of their own are shuffled anew in each epoch (see
    :func:`..randomness.batch_indices`). They are cropped at random, and replaced where they cannot
    be decoded, and one of an image's captions is said, by numbers that belong to the position: so
    the same (seed, start, count) gives the same batch.
    """
    positions = np.arange(start, start + count)
    indices = positions if images.sequential else batch_indices(seed, images.places, start, count)
    draws = uniform(seed, Purpose.CROP, 0, positions, images.draws) if images.draws else None

    def chance(j: int) -> np.random.Generator:
        return stream(seed, Purpose.REPLACE, index=int(positions[j]))

    choice = None
    if images.captioned:
        choice = uniform(seed, Purpose.CAPTION, 0, positions, 1)[:, 0]
    return images.items(indices, draws, chance, choice)


def read_spread(images: Images, count: int) -> Items:
    """Return at most ``count`` images to look at, spread evenly over all: the same at every call.

    Those of a stream, which is read in its own order, are its first.
    """
    count = min(count, len(images))
    if images.sequential:
        return images.items(np.arange(count))
    # Captions of each by the golden ratio: consecutive numbers are far apart, and all are met.
    choice = np.arange(count) * 0.6180339887498949 % 1.0 if images.captioned else None
    spread = (2 * np.arange(count) + 1) * images.places // (2 * count)
    return images.items(spread, choice=choice)


def skipped_text(skipped: list[tuple[str, str]], *, most: int = 5) -> str:
    """Say in one line which files were skipped and why, naming at most ``most`` of them."""
    named = [f"{path} ({why})" for path, why in skipped[:most]]
    named += [f"and {len(skipped) - most} more"] * (len(skipped) > most)
    files = "1 file" if len(skipped) == 1 else f"{len(skipped)} files"
    return f"skipped {files} that cannot be decoded: " + ", ".join(named)


def _check_channels(channels: int) -> None:
    if channels not in MODES:
        raise ValueError(f"channels is {channels}: 1 to 4 can be read, more only from an array")


def _check_no_classes(only_class: Sequence[str]) -> None:
    if only_class:
        select((), None, only_class)
