"""Reads digit scenes: what stands where, and in which colour, by who knows single digits alone.

The reader is told where the places are (:mod:`..data.scenes`), which colours there are, and what
single grey digits look like; it has seen no scene. Of a picture it reads

* the layout: more ink left and right of the middle square's columns, or above and below its rows;
* each place's colour: the one that explains most of its ink;
* each place's digit: by the ink that this colour stands for
  (:mod:`...reference.evaluation.kernel_classifier`).

A digit is right when the one that was asked for stands where it was asked for, whatever its colour,
and the other way round; a scene when all is. Places are read where the caption says that they are.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...reference.evaluation.kernel_classifier import KernelClassifier
from ...reference.evaluation.shares import share
from ..data.digits import digit_labels, load_digits
from ..data.sayings import LAYOUTS, SAYINGS, Facts, facts_of, saying
from ..data.scenes import HELD_OUT, RGB, SHOWN, SIDE, compose, place_of
from .judge import Pixels, Shares

PAIRS = (*SHOWN, *sorted(HELD_OUT))
FOLDS, EACH = 5, 200
"""In which real digits are read by a reader that has not seen them, and scenes of each."""


class Reader:
    """Reads scenes, after having seen the real digits with these numbers (default: all).

    Args:
        known: int (n,), which of the 1,797 digits it is shown.
        colours: which there are, by name.
    """

    def __init__(
        self,
        known: NDArray[np.int64] | None = None,
        colours: Mapping[str, tuple[int, int, int]] = RGB,
    ) -> None:
        known = np.arange(len(digit_labels())) if known is None else known
        self._names = tuple(colours)
        self._directions = np.array([*colours.values()]) / 255.0
        real, labels = load_digits()[known, 0], digit_labels()[known]
        self._digits = KernelClassifier(_levels(real), labels, gamma=0.001)

    def layouts(self, images: Pixels) -> list[tuple[str, str]]:
        """Which layout each picture has."""
        ink = images.astype(np.float64).sum(1)
        outside = [0, 1, 2, 3, 12, 13, 14, 15]
        aside, over = ink[:, 4:12, outside].sum((1, 2)), ink[:, outside, 4:12].sum((1, 2))
        return [LAYOUTS[int(up > beside)] for up, beside in zip(over, aside, strict=True)]

    def places(self, blocks: Pixels) -> tuple[list[int], list[str]]:
        """The digit and the colour of each of (N, 3, 8, 8)."""
        ink, best = _ink(blocks, self._directions)
        return self._digits(_levels(ink)).tolist(), [self._names[number] for number in best]

    def inks(self, images: Pixels, told: Sequence[Facts]) -> Pixels:
        """The ink at all places that were asked for, (2N, 8, 8): both of a picture in turn."""
        pairs = zip(images, told, strict=True)
        blocks = [place_of(image, place) for image, facts in pairs for place in facts.places]
        ink, _ = _ink(np.stack(blocks), self._directions)
        return np.rint(ink).astype(np.uint8).reshape(-1, 8, 8)

    def read(self, images: Pixels, told: Sequence[Facts]) -> list[Facts]:
        """What stands at the places that were asked for, and where things do stand."""
        blocks = [place_of(images, place) for place in ("left", "right", "above", "below")]
        kinds = np.array([2 * LAYOUTS.index(facts.places) for facts in told])
        rows = np.arange(len(images))
        first, second = (self.places(np.stack(blocks)[kinds + k, rows]) for k in (0, 1))
        digits = zip(first[0], second[0], strict=True)
        colours = zip(first[1], second[1], strict=True)
        return [Facts(*each) for each in zip(self.layouts(images), digits, colours, strict=True)]


class Scenes:
    """The judge of scenes."""

    name, side = "scenes", SIDE

    def __init__(self, reader: Reader | None = None) -> None:
        self._reader = Reader() if reader is None else reader

    def never_shown(self, count: int) -> list[str]:
        """Sentences of pairs that are held out."""
        return sentences(count, seed=1, pairs=sorted(HELD_OUT))

    def shares(self, images: Pixels, captions: Sequence[str]) -> Shares:
        """Of digits, colours, layouts and whole scenes."""
        facts = [told_of(caption) for caption in captions]
        return agreement(self._reader.read(images, facts), facts)

    def of_real(self) -> dict[str, Shares]:
        """Real scenes of digits that the reader was not shown, each fold's in turn."""
        order = np.random.default_rng(0).permutation(len(digit_labels()))
        seen: list[Facts] = []
        told: list[Facts] = []
        for fold in range(FOLDS):
            others = order[fold::FOLDS]
            images, facts = real_scenes(EACH, others, seed=fold)
            seen += Reader(np.setdiff1d(order, others)).read(images, facts)
            told += facts
        return {"real": agreement(seen, told)}

    def by_chance(self, captions: Sequence[str]) -> dict[str, float]:
        """Ten digits, four colours, two layouts."""
        each = {"digits": 1 / 10, "colours": 1 / 4, "layouts": 1 / 2}
        return each | {"scenes": (each["digits"] * each["colours"]) ** 2 * each["layouts"]}


def told_of(caption: str) -> Facts:
    """What a sentence asks for.

    Raises:
        ValueError: it says nothing of a scene.
    """
    facts = facts_of(caption)
    if facts is None:
        raise ValueError(f"caption {caption!r} says nothing of two coloured digits")
    return facts


def agreement(seen: Sequence[Facts], told: Sequence[Facts]) -> Shares:
    """How much of what was told is seen."""
    pairs = list(zip(seen, told, strict=True))
    return {
        "digits": share([a.digits[k] == b.digits[k] for a, b in pairs for k in (0, 1)]),
        "colours": share([a.colours[k] == b.colours[k] for a, b in pairs for k in (0, 1)]),
        "layouts": share([a.places == b.places for a, b in pairs]),
        "scenes": share([a == b for a, b in pairs]),
    }


def real_scenes(count: int, digits: NDArray[np.int64], seed: int = 0) -> tuple[Pixels, list[Facts]]:
    """Scenes of all 100 pairs in turn, made of the digits with these numbers."""
    rng = np.random.default_rng(seed)
    real, labels = load_digits()[:, 0], digit_labels()[digits]
    told, inks = [], np.zeros((count, 2, 8, 8), np.uint8)
    for number in range(count):
        told.append(_facts(rng, PAIRS[number % len(PAIRS)]))
        for place, digit in enumerate(told[-1].digits):
            inks[number, place] = real[rng.choice(digits[labels == digit])]
    return compose(told, inks), told


def sentences(count: int, seed: int = 0, pairs: Sequence[tuple[int, int]] = PAIRS) -> list[str]:
    """What to ask for: all pairs in turn, the rest of each sentence at random."""
    rng = np.random.default_rng(seed)
    facts = (_facts(rng, pairs[number % len(pairs)]) for number in range(count))
    return [saying(each, int(rng.integers(SAYINGS))) for each in facts]


def _facts(rng: np.random.Generator, pair: tuple[int, int]) -> Facts:
    first, second = rng.choice(tuple(RGB), 2).tolist()
    return Facts(LAYOUTS[rng.integers(2)], pair, (first, second))


def _ink(
    blocks: Pixels, directions: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """How much there is of the colour that explains (N, 3, 8, 8) best, 0 to 255, and which it is.

    Returns (N, 64) and (N,).
    """
    pixels = blocks.transpose(0, 2, 3, 1).reshape(len(blocks), 64, 3) / 255.0
    # How much of each colour explains a pixel best, and what it leaves of all pixels.
    ink = np.clip(pixels @ directions.T / (directions**2).sum(1), 0.0, 1.0)
    left = ((pixels[:, :, None] - ink[..., None] * directions) ** 2).sum((1, 3))
    best = left.argmin(1)
    return 255 * ink[np.arange(len(ink)), :, best], best


def _levels(ink: Any) -> NDArray[np.float64]:
    """Ink from 0 to 255 as the digits' own levels, 0 to 16, flat."""
    levels: NDArray[np.float64] = np.asarray(ink, np.float64).reshape(len(ink), -1) * 16 / 255
    return levels
