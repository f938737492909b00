"""Digit scenes: two coloured digits, beside or above each other, and a sentence that says so.

Nothing is stored: a scene is a function of (seed, index), made of the digits of the package when it
is asked for.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ..randomness import Purpose, uniform
from .arrays import Chance, Draws, Images, Indices, Items, chosen
from .decode import to_pixels
from .digits import digit_labels, load_digits
from .sayings import LAYOUTS, SAYINGS, Facts, saying, sayings

SIDE = 16
COUNT = 100_000
"""Scenes of an epoch, by which training counts; there are as many as one asks for."""

RGB = {
    "red": (255, 64, 64),
    "green": (48, 255, 80),
    "blue": (72, 128, 255),
    "yellow": (255, 224, 0),
}
"""On black, where all four can be read; yellow cannot on a light background."""

HELD_OUT = frozenset((digit, (digit + step) % 10) for digit in range(10) for step in (3, 7))
"""The 20 of 100 pairs (left, right) or (above, below) that are never shown.

Whoever draws them when asked has understood what stands where, and recites nothing. The digits of
such a pair never meet, in neither order; each digit is left out twice as the first and twice as
the second, so that in what is shown all are seen equally often in both places.
"""

SHOWN = tuple((a, b) for a in range(10) for b in range(10) if (a, b) not in HELD_OUT)

# Where the two digits stand: the first row and the first column.
_CORNERS = {"left": (4, 0), "right": (4, 8), "above": (0, 4), "below": (8, 4)}


class Scene(NamedTuple):
    """A picture, uint8 (3, 16, 16), with a sentence about it and what there is to be seen."""

    image: NDArray[np.uint8]
    caption: str
    facts: Facts


def scene(index: int, seed: int = 0) -> Scene:
    """Scene number ``index``, with the one of its sentences that its numbers choose."""
    numbers = _numbers(seed, np.array([index]))
    (facts,) = _facts(numbers)
    return Scene(_pictures([facts], numbers)[0], chosen(sayings(facts), numbers[0, 6]), facts)


def compose(scenes: Sequence[Facts], inks: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Draw scenes with given digits.

    Args:
        scenes: where digits stand, and in which colours; which they are is not looked at.
        inks: (B, 2, 8, 8), as ``load_digits`` returns them.

    Returns:
        uint8 (B, 3, 16, 16).
    """
    levels = np.array([[RGB[colour] for colour in facts.colours] for facts in scenes]) / 255.0
    blocks = np.rint(levels[..., None, None] * inks[:, :, None]).astype(np.uint8)
    images = np.zeros((len(scenes), 3, SIDE, SIDE), np.uint8)
    for image, facts, pair in zip(images, scenes, blocks, strict=True):
        for place, block in zip(facts.places, pair, strict=True):
            place_of(image, place)[...] = block
    return images


def place_of(image: NDArray[np.uint8], place: str) -> NDArray[np.uint8]:
    """What stands at a place of a scene: (..., 3, 16, 16) to (..., 3, 8, 8)."""
    row, column = _CORNERS[place]
    return image[..., row : row + 8, column : column + 8]


class SceneImages(Images):
    """Scenes 0 .. ``count`` - 1 of one seed as training images with captions.

    Args:
        image_size, channels: what they are brought to, as any picture is (see ``to_pixels``).
    """

    captioned = True

    def __init__(
        self,
        image_size: tuple[int, int] = (SIDE, SIDE),
        channels: int = 3,
        *,
        count: int = COUNT,
        seed: int = 0,
    ) -> None:
        self.shape = (channels, *image_size)
        self._count, self._seed = count, seed

    def __len__(self) -> int:
        return self._count

    def items(
        self,
        indices: Indices,
        draws: Draws | None = None,
        chance: Chance | None = None,
        choice: Draws | None = None,
    ) -> Items:
        numbers = _numbers(self._seed, indices)
        told = _facts(numbers)
        picked = np.zeros(len(told)) if choice is None else choice
        said = [saying(f, int(u * SAYINGS)) for f, u in zip(told, picked, strict=True)]
        pictures = _pictures(told, numbers)
        if self.shape != pictures.shape[1:]:
            pictures = np.stack([self._fitted(picture) for picture in pictures])
        return Items(pictures, captions=said)

    def captions(self, place: int) -> list[str]:
        return sayings(_facts(_numbers(self._seed, np.array([place])))[0])

    def _fitted(self, picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
        image = Image.fromarray(np.ascontiguousarray(picture.transpose(1, 2, 0)))
        channels, height, width = self.shape
        return to_pixels(image, (height, width), channels)


def _numbers(seed: int, indices: Indices) -> Draws:
    """Seven numbers in [0, 1) for each scene: see ``_facts``, ``_pictures`` and ``scene``."""
    return uniform(seed, Purpose.SCENE, 0, indices, 7)


def _facts(numbers: Draws) -> list[Facts]:
    names = list(RGB)
    return [
        Facts(chosen(LAYOUTS, where), chosen(SHOWN, what), (chosen(names, c), chosen(names, d)))
        for where, what, c, d in numbers[:, :4].tolist()
    ]


def _pictures(scenes: Sequence[Facts], numbers: Draws) -> NDArray[np.uint8]:
    inks = np.zeros((len(scenes), 2, 8, 8), np.uint8)
    for shown, facts, row in zip(inks, scenes, numbers[:, 4:6].tolist(), strict=True):
        for place, (digit, number) in enumerate(zip(facts.digits, row, strict=True)):
            examples = _examples()[digit]
            shown[place] = examples[int(number * len(examples))]
    return compose(scenes, inks)


@lru_cache(maxsize=1)
def _examples() -> list[NDArray[np.uint8]]:
    """The images of each digit, (N, 8, 8)."""
    images, labels = load_digits()[:, 0], digit_labels()
    return [images[labels == digit] for digit in range(10)]
