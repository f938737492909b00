"""Small pictures of 451 things, each in two drawing styles, with Chinese names.

Animals and plants, food, and faces with all that they feel; 32x32 with alpha, made by
``tests/data/make_pictures.py`` (licences: pictures-LICENSE.md). Laid over a background of one of
six colours they are training data with captions, which name style, thing and background.
"""

from __future__ import annotations

import io
import json
import lzma
from collections import Counter
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from .arrays import Chance, Draws, Images, Indices, Items, chosen
from .classes import select
from .decode import to_pixels

_FILE = Path(__file__).with_name("pictures.npz.xz")

SIDE = 32
GROUPS = ("animals", "food", "smileys")
STYLES = {"flat": "扁平", "solid": "立体"}
"""Noto Emoji and Fluent Emoji, and what their style is called."""

BACKGROUNDS = {
    "white": ("白", (255, 255, 255)),
    "black": ("黑", (40, 40, 48)),
    "yellow": ("黄", (255, 214, 64)),
    "blue": ("蓝", (110, 180, 255)),
    "pink": ("粉", (255, 170, 200)),
    "green": ("绿", (120, 210, 120)),
}
"""Chinese without 色, and RGB: far enough from each other to be told apart."""

WAYS = (
    "{style}风格的{thing}，{background}色背景",
    "{background}色背景上的{thing}，{style}风格",
    "{thing}，{style}画风，{background}色背景",
    "一张{style}风格的图：{thing}，背景是{background}色",
    "画一个{style}风格的{thing}，{background}色的背景",
    "{background}色背景，{style}风格，{thing}",
)

TELLING = 4
"""A keyword that more things than these have in common, as "food", tells too little of one."""


class Concept(NamedTuple):
    """A thing: its code points in hexadecimal, group, Chinese name, and the keywords that tell."""

    code: str
    group: str
    name: str
    keywords: tuple[str, ...]


class Shown(NamedTuple):
    """Which picture: number of the thing, style, background."""

    concept: int
    style: str
    background: str


@lru_cache(maxsize=1)
def concepts() -> tuple[Concept, ...]:
    """All things, in the order of Unicode."""
    rows = json.loads(_read()["concepts"].tobytes())
    names = {name for _, _, name, _ in rows}
    common = Counter(word for *_, words in rows for word in set(words))

    def tells(word: str) -> bool:
        return common[word] <= TELLING and word not in names

    return tuple(
        Concept(code, group, name, tuple(filter(tells, words))) for code, group, name, words in rows
    )


@lru_cache(maxsize=1)
def held_out() -> frozenset[tuple[int, str]]:
    """The (thing, style) pairs that training never shows, a tenth of all in each group and style.

    Each of these things is shown in its other style: whoever draws it in this one when asked has
    understood what a style is. Of every ten things of a group the fourth is held out in the first
    style and the ninth in the second.
    """
    found, met = set(), Counter[str]()
    for number, concept in enumerate(concepts()):
        place = met[concept.group] % 10
        met[concept.group] += 1
        found |= {
            (number, style) for style, held in zip(STYLES, (3, 8), strict=True) if place == held
        }
    return frozenset(found)


def picture(concept: int, style: str, background: str) -> NDArray[np.uint8]:
    """A thing in a style on a background: uint8 (3, 32, 32)."""
    (pixels,) = pictures([Shown(concept, style, background)])
    return np.ascontiguousarray(pixels)


def captions(shown: Shown) -> list[str]:
    """All that may be said of a picture: half of it by the thing's name, half by its keywords."""
    concept = concepts()[shown.concept]
    words = [concept.name] * max(1, len(concept.keywords)) + list(concept.keywords)
    style, (background, _) = STYLES[shown.style], BACKGROUNDS[shown.background]
    return [
        way.format(style=style, thing=word, background=background) for word in words for way in WAYS
    ]


class PictureImages(Images):
    """All pictures that are shown, on all backgrounds, as training images with captions.

    Args:
        image_size, channels: what they are brought to, as any picture is (see ``to_pixels``).
        only_class: some of ``GROUPS``.
    """

    captioned = True

    def __init__(
        self,
        image_size: tuple[int, int] = (SIDE, SIDE),
        channels: int = 3,
        only_class: Sequence[str] = (),
    ) -> None:
        self.shape = (channels, *image_size)
        self._shown = [
            Shown(number, style, background)
            for number in range(len(concepts()))
            for style in STYLES
            if (number, style) not in held_out()
            for background in BACKGROUNDS
        ]
        groups = [concept.group for concept in concepts()]
        self.classes: tuple[str, ...] = GROUPS
        self.labels = np.array([GROUPS.index(groups[shown.concept]) for shown in self._shown])
        if only_class:
            places, self.classes, self.labels = select(GROUPS, self.labels, only_class)
            self._shown = [self._shown[place] for place in places]

    def __len__(self) -> int:
        return len(self._shown)

    def items(
        self,
        indices: Indices,
        draws: Draws | None = None,
        chance: Chance | None = None,
        choice: Draws | None = None,
    ) -> Items:
        shown = [self._shown[place] for place in indices]
        picked = np.zeros(len(shown)) if choice is None else choice
        said = [chosen(captions(one), u) for one, u in zip(shown, picked, strict=True)]
        pixels = pictures(shown)
        if self.shape != pixels.shape[1:]:
            pixels = np.stack([self._fitted(one) for one in pixels])
        labels = None if self.labels is None else self.labels[indices]
        return Items(pixels, labels, said)

    def captions(self, place: int) -> list[str]:
        return captions(self._shown[place])

    def _fitted(self, pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
        image = Image.fromarray(np.ascontiguousarray(pixels.transpose(1, 2, 0)))
        channels, height, width = self.shape
        return to_pixels(image, (height, width), channels)


def pictures(shown: Sequence[Shown]) -> NDArray[np.uint8]:
    """Lay pictures over their backgrounds: uint8 (B, 3, 32, 32).

    The colours of the file are multiplied with alpha, so that what is seen of the background only
    has to be added.
    """
    styles = [list(STYLES).index(one.style) for one in shown]
    pixels = _read()["pixels"][styles, [one.concept for one in shown]].astype(np.uint32)
    behind = np.array([BACKGROUNDS[one.background][1] for one in shown], np.uint32)
    seen = ((255 - pixels[..., 3:]) * behind[:, None, None] + 127) // 255
    laid = (pixels[..., :3] + seen).astype(np.uint8)
    return np.ascontiguousarray(laid.transpose(0, 3, 1, 2))


@lru_cache(maxsize=1)
def _read() -> dict[str, NDArray[np.uint8]]:
    with lzma.open(_FILE) as file, np.load(io.BytesIO(file.read())) as archive:
        return {name: archive[name] for name in archive.files}
