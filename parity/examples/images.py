"""The images that a run is given, and what of them each micro-batch has to show."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from math import floor
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from ...accelerated.config import TrainerConfig
from ..sides.device import Array

CLASSES = ("cat", "dog", "eel")


@dataclass(frozen=True, eq=False)
class Given:
    """Images twice.

    Attributes:
        source: what ``Trainer`` is given: an array, or a folder.
        count: how many of them are trained on.
        read: the pixels of image number i, float64 (C, H, W) in [0, 1], with its three random
            numbers if it is cropped at random (none: the middle).
        files: of a folder, by number.
        labels: of a folder, the class of each image among those that are trained on.
        broken: numbers of images that cannot be decoded.
    """

    source: Any
    count: int
    read: Callable[[int, Sequence[float]], Array]
    files: Sequence[Path] = ()
    labels: Array | None = None
    broken: Collection[int] = ()

    def break_files(self, numbers: Collection[int]) -> Given:
        """These images cannot be decoded from now on."""
        for number in numbers:
            self.files[number].write_bytes(b"no image")
        return replace(self, broken=numbers)


def give(
    kind: str,
    count: int,
    shape: tuple[int, int, int],
    seed: int,
    folder: Path,
    config: TrainerConfig,
) -> Given:
    """Images made of a seed; ``kind``: "uint8" or "float" for an array, or "folder"."""
    rng = np.random.default_rng(seed)
    if kind == "float":
        floats = rng.uniform(0.0, 1.0, (count, *shape)).astype(np.float32)
        return Given(floats, count, lambda i, draw: floats[i].astype(np.float64))
    if kind == "uint8":
        levels = rng.integers(0, 256, (count, *shape), np.uint8)
        return Given(levels, count, lambda i, draw: levels[i] / 255.0)
    pictures = _write(rng, count, shape, folder)
    names = [
        name
        for name in sorted(pictures)
        if not config.only_class or name.partition("/")[0] in config.only_class
    ]
    chosen = [pictures[name] for name in names]

    def read(i: int, draw: Sequence[float]) -> Array:
        return cut(chosen[i], shape, config.crop, config.crop_min_share, draw)

    kinds = [name.partition("/")[0] for name in names]
    labels = np.array([sorted(set(kinds)).index(kind) for kind in kinds])
    return Given(str(folder), len(chosen), read, [folder / name for name in names], labels)


def _write(
    rng: np.random.Generator, count: int, shape: tuple[int, int, int], folder: Path
) -> dict[str, Image.Image]:
    """Files of several sizes and proportions, each in the sub-folder of its class."""
    channels, height, width = shape
    pictures = {}
    for i in range(count):
        size = (height + (0, 3, 1)[i % 3], width + (2, 0, 5)[i % 3], channels)
        levels = rng.integers(0, 256, size, np.uint8)
        picture = Image.fromarray(levels[..., 0] if channels == 1 else levels)
        name = f"{CLASSES[i % len(CLASSES)]}/{i:03d}.png"
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        picture.save(folder / name)
        pictures[name] = picture
    return pictures


def cut(
    picture: Image.Image,
    shape: tuple[int, int, int],
    crop: str,
    min_share: float,
    draw: Sequence[float],
) -> Array:
    """A part of a picture in the size that is wanted, by Pillow's bicubic filter.

    "none" takes the whole. The others take a box of the proportions wanted: the largest there is
    ("center", "random"), or one that is smaller by a factor between ``min_share`` and 1
    ("random_resized"); in the middle, or at a whole pixel that two of the random numbers choose.
    """
    channels, height, width = shape
    box: tuple[Any, ...] = (0, 0, *picture.size)
    if crop != "none":
        largest = min(Fraction(picture.width, width), Fraction(picture.height, height))
        random = crop != "center" and len(draw)
        least = Fraction(min_share) if crop == "random_resized" else Fraction(1)
        scale = largest * (least + (1 - least) * Fraction(draw[0]) if random else 1)
        w, h = scale * width, scale * height
        spare = picture.width - w, picture.height - h
        left, top = (s / 2 for s in spare)
        if random:
            left, top = (
                Fraction(floor(d * (floor(s) + 1))) for d, s in zip(draw[1:], spare, strict=True)
            )
        box = tuple(float(x) for x in (left, top, left + w, top + h))
    fitted = picture.resize((width, height), Image.Resampling.BICUBIC, box)
    levels = np.asarray(fitted, np.float64).reshape(height, width, channels)
    return levels.transpose(2, 0, 1) / 255.0
