"""Do pictures of digit scenes show what was asked for? A reader that knows real digits alone says.

    python tests/benchmarks/obedience.py --ask 400 > CAPTIONS.txt
    ddpm-mindspore paint --texts CAPTIONS.txt --num-samples 1 --run RUN --output DRAWN
    python tests/benchmarks/obedience.py DRAWN/samples.npy CAPTIONS.txt

writes sentences, of all 100 pairs equally many, has them painted, and reads the pictures, uint8
(N, 3, 16, 16), beside what was asked for, a sentence a line; without arguments it judges the reader
itself, on scenes made of digits that it was not shown. It prints JSON.

The reader is told where the places are (``data/scenes.py``), which four colours there are, and what
single grey digits look like; it has seen no scene. Of a picture it reads

* the layout: more ink left and right of the middle square's columns, or above and below its rows;
* each place's colour: the one of the four that explains most of its ink;
* each place's digit: a support vector machine with radial basis functions (C = 10, gamma = 0.001
  for levels from 0 to 16) on the ink that this colour stands for.

A digit is right when the one that was asked for stands where it was asked for, whatever its colour,
and the other way round; a scene when all is. Places are read where the caption says that they are.

Controls: each picture is judged by the caption of another one too (all rotated by one, and drawn at
random): what is left is chance, 1/10 of the digits, 1/4 of the colours and 1/2 of the layouts.
Wilson's interval (95 %) stands beside each share.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from sklearn.svm import SVC

from ddpm_mindspore.accelerated.data.digits import digit_labels, load_digits
from ddpm_mindspore.accelerated.data.sayings import LAYOUTS, SAYINGS, Facts, facts_of, saying
from ddpm_mindspore.accelerated.data.scenes import HELD_OUT, RGB, SHOWN, compose, place_of

Pixels = NDArray[np.uint8]
NAMES = tuple(RGB)


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
        self._digits = SVC(C=10.0, gamma=0.001)
        self._digits.fit(_levels(load_digits()[known, 0]), digit_labels()[known])

    def layouts(self, images: Pixels) -> list[tuple[str, str]]:
        """Which layout each picture has."""
        ink = images.astype(np.float64).sum(1)
        aside = ink[:, 4:12, [0, 1, 2, 3, 12, 13, 14, 15]].sum((1, 2))
        over = ink[:, [0, 1, 2, 3, 12, 13, 14, 15], 4:12].sum((1, 2))
        return [LAYOUTS[int(up > beside)] for up, beside in zip(over, aside, strict=True)]

    def places(self, blocks: Pixels) -> tuple[list[int], list[str]]:
        """The digit and the colour of each of (N, 3, 8, 8)."""
        ink, best = _ink(blocks, self._directions)
        digits = self._digits.predict(_levels(ink))
        return digits.tolist(), [self._names[number] for number in best]

    def inks(self, images: Pixels, told: Sequence[Facts]) -> Pixels:
        """The ink at all places that were asked for, (2N, 8, 8): both of a picture in turn."""
        pairs = zip(images, told, strict=True)
        blocks = [place_of(image, place) for image, facts in pairs for place in facts.places]
        return (
            np.rint(_ink(np.stack(blocks), self._directions)[0]).astype(np.uint8).reshape(-1, 8, 8)
        )

    def read(self, images: Pixels, told: Sequence[Facts]) -> list[Facts]:
        """What stands at the places that were asked for, and where things do stand."""
        blocks = [place_of(images, place) for place in ("left", "right", "above", "below")]
        kinds = np.array([2 * LAYOUTS.index(facts.places) for facts in told])
        rows = np.arange(len(images))
        first, second = (self.places(np.stack(blocks)[kinds + k, rows]) for k in (0, 1))
        return [
            Facts(places, digits, colours)
            for places, digits, colours in zip(
                self.layouts(images),
                zip(first[0], second[0], strict=True),
                zip(first[1], second[1], strict=True),
                strict=True,
            )
        ]


class Share(NamedTuple):
    """How many of how many, with Wilson's interval."""

    share: float
    low: float
    high: float
    of: int


def share(right: Sequence[bool]) -> Share:
    """The share of what is right."""
    n, p, z = len(right), float(np.mean(right)), 1.96
    middle, half = p + z * z / (2 * n), z * np.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    low, high = ((middle + sign * half) / (1 + z * z / n) for sign in (-1, 1))
    return Share(p, float(low), float(high), n)


def agreement(seen: Sequence[Facts], told: Sequence[Facts]) -> dict[str, Share]:
    """How much of what was told is seen."""
    pairs = list(zip(seen, told, strict=True))
    return {
        "digits": share([a.digits[k] == b.digits[k] for a, b in pairs for k in (0, 1)]),
        "colours": share([a.colours[k] == b.colours[k] for a, b in pairs for k in (0, 1)]),
        "layouts": share([a.places == b.places for a, b in pairs]),
        "scenes": share([a == b for a, b in pairs]),
    }


def obedience(images: Pixels, captions: Sequence[str], reader: Reader) -> dict[str, Any]:
    """How far pictures show what was asked for, of seen and held-out pairs, and the controls.

    Raises:
        ValueError: a caption that says nothing of a scene.
    """
    told = []
    for caption in captions:
        facts = facts_of(caption)
        if facts is None:
            raise ValueError(f"caption {caption!r} says nothing of two coloured digits")
        told.append(facts)
    seen = reader.read(images, told)
    parts = {"all": range(len(told))}
    parts["seen pairs"] = [i for i, facts in enumerate(told) if facts.digits not in HELD_OUT]
    parts["held-out pairs"] = [i for i, facts in enumerate(told) if facts.digits in HELD_OUT]
    result = {
        name: agreement([seen[i] for i in part], [told[i] for i in part])
        for name, part in parts.items()
        if len(part)
    }
    order = np.random.default_rng(0).permutation(len(told))
    for name, places in (("rotated", np.roll(np.arange(len(told)), 1)), ("shuffled", order)):
        others = [told[i] for i in places]
        result[f"{name} captions"] = agreement(reader.read(images, others), others)
    return result


def real_scenes(count: int, digits: NDArray[np.int64], seed: int = 0) -> tuple[Pixels, list[Facts]]:
    """Scenes of all 100 pairs, made of the digits with these numbers."""
    rng = np.random.default_rng(seed)
    labels = digit_labels()[digits]
    told, inks = [], np.zeros((count, 2, 8, 8), np.uint8)
    pairs = [*SHOWN, *sorted(HELD_OUT)]
    for number in range(count):
        pair = pairs[number % len(pairs)]
        colours = rng.choice(NAMES, 2).tolist()
        told.append(Facts(LAYOUTS[rng.integers(2)], pair, (colours[0], colours[1])))
        for place, digit in enumerate(pair):
            inks[number, place] = load_digits()[rng.choice(digits[labels == digit]), 0]
    return compose(told, inks), told


def sentences(count: int, seed: int = 0) -> list[str]:
    """What to ask for: all pairs in turn, the rest of each sentence at random."""
    rng = np.random.default_rng(seed)
    pairs, asked = [*SHOWN, *sorted(HELD_OUT)], []
    for number in range(count):
        colours = rng.choice(NAMES, 2).tolist()
        layout = LAYOUTS[rng.integers(2)]
        facts = Facts(layout, pairs[number % len(pairs)], (colours[0], colours[1]))
        asked.append(saying(facts, int(rng.integers(SAYINGS))))
    return asked


def of_the_reader(folds: int = 5, count: int = 400) -> dict[str, Share]:
    """How well it reads real scenes of digits that it was not shown, each fold's in turn."""
    order = np.random.default_rng(0).permutation(len(digit_labels()))
    seen: list[Facts] = []
    told: list[Facts] = []
    for fold in range(folds):
        others = order[fold::folds]
        reader = Reader(np.setdiff1d(order, others))
        images, facts = real_scenes(count, others, seed=fold)
        seen += reader.read(images, facts)
        told += facts
    return agreement(seen, told)


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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("samples", nargs="?", type=Path)
    parser.add_argument("captions", nargs="?", type=Path)
    parser.add_argument("--ask", type=int, help="print so many sentences to paint")
    asked = parser.parse_args()
    if asked.ask is not None:
        print(*sentences(asked.ask), sep="\n")
        return
    if asked.samples is None:
        result: dict[str, Any] = {"reader": of_the_reader()}
    else:
        lines = asked.captions.read_text(encoding="utf-8").splitlines()
        result = obedience(np.load(asked.samples), lines, Reader())
    named = {k: {n: s._asdict() for n, s in part.items()} for k, part in result.items()}
    json.dump(named, sys.stdout, indent=2, ensure_ascii=False)


if __name__ == "__main__":
    main()
