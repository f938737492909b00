"""Finds the thing that a picture shows among all 451, its style and its background.

It knows the 902 real pictures alone. Of a picture it reads

* the background: the one of six colours that the corners are nearest to;
* the thing: that of the nearest real picture, of both styles, laid over that background, by edges
  and coarse colours (:mod:`...reference.evaluation.shapes`): the first choice, and the first five;
* the style: by a classifier on the same features, of real pictures as they are and moved a little.

A keyword that several things share asks for any of them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from ...reference.evaluation.kernel_classifier import KernelClassifier
from ...reference.evaluation.retrieval import nearest_of_things, ranks
from ...reference.evaluation.shapes import shapes
from ...reference.evaluation.shares import share
from ..data.arrays import chosen
from ..data.pictures import (
    BACKGROUNDS,
    SIDE,
    STYLES,
    WAYS,
    Shown,
    captions,
    concepts,
    held_out,
    pictures,
)
from .judge import Pixels, Shares

FIRST = 5
GAMMA, FOLDS = 0.02, 5
_CORNER = 3  # pixels
_STYLES, _BACKGROUNDS = tuple(STYLES), tuple(BACKGROUNDS)


class Asked(NamedTuple):
    """What a caption asks for: any of these things, in a style, on a background."""

    things: frozenset[int]
    style: str
    background: str


class Pictures:
    """The judge of pictures."""

    name, side = "pictures", SIDE

    def never_shown(self, count: int) -> list[str]:
        """Captions of things in the style in which they are held out, on all backgrounds."""
        shown = [
            Shown(thing, style, background)
            for thing, style in sorted(held_out())
            for background in BACKGROUNDS
        ]
        places = (2 * np.arange(count) + 1) * len(shown) // (2 * count)
        choice = np.arange(count) * 0.6180339887498949 % 1.0
        return [chosen(captions(shown[i]), u) for i, u in zip(places, choice, strict=True)]

    def shares(self, images: Pixels, captions: Sequence[str]) -> Shares:
        """Of things found first, and among the first five; of styles and backgrounds."""
        return self.agreement(images, [asked_of(caption) for caption in captions])

    def agreement(self, images: Pixels, asked: Sequence[Asked]) -> Shares:
        """The same, of what is asked for."""
        behind, found = backgrounds(images), np.zeros(len(images), np.int64)
        styles, features = np.zeros_like(found), shapes(images / 255.0)
        wanted = [each.things for each in asked]
        for background in np.unique(behind):
            rows = np.flatnonzero(behind == background)
            known = _known(_BACKGROUNDS[background])
            distances = nearest_of_things(features[rows], known)
            found[rows] = ranks(distances, [wanted[i] for i in rows])
            styles[rows] = _style_reader(_BACKGROUNDS[background])(features[rows])
        return {
            "thing": share(found < 1),
            f"first_{FIRST}": share(found < FIRST),
            "style": share([_STYLES[k] == a.style for k, a in zip(styles, asked, strict=True)]),
            "background": share(
                [_BACKGROUNDS[k] == a.background for k, a in zip(behind, asked, strict=True)]
            ),
        }

    def of_real(self) -> dict[str, Shares]:
        """Real pictures that were moved, blurred and have noise on them; and by the other style.

        The latter is the most that can be expected where a thing is drawn in another way than any
        picture of it: its own picture is taken away, and that of the other style has to be found
        among all of that style. There styles are read by a classifier that knows other things.
        """
        shown = _all(lambda thing, style: (thing + 3 * style) % len(_BACKGROUNDS))
        moved = _moved(pictures(shown), 0)
        asked = [Asked(frozenset([s.concept]), s.style, s.background) for s in shown]
        return {"real": self.agreement(moved, asked), "other_style": _other_style()}

    def by_chance(self, captions: Sequence[str]) -> dict[str, float]:
        """Of 451 things, two styles and six backgrounds."""
        asked = [asked_of(caption) for caption in captions]
        things = float(np.mean([len(each.things) for each in asked])) / len(concepts())
        return {
            "thing": things,
            f"first_{FIRST}": FIRST * things,
            "style": 1 / len(STYLES),
            "background": 1 / len(BACKGROUNDS),
        }


def asked_of(caption: str) -> Asked:
    """What a caption asks for.

    Raises:
        ValueError: it is none of those that pictures have.
    """
    styles = {sign: name for name, sign in STYLES.items()}
    behind = {sign: name for name, (sign, _) in BACKGROUNDS.items()}
    for way in _ways():
        found = way.fullmatch(caption)
        if found is not None and (things := _things().get(found["thing"])):
            return Asked(frozenset(things), styles[found["style"]], behind[found["background"]])
    raise ValueError(f"caption {caption!r} says nothing of a thing, its style and background")


def backgrounds(images: Pixels) -> NDArray[np.int64]:
    """(N,) which of the backgrounds the corners of (N, 3, H, W) are nearest to."""
    ends = np.r_[:_CORNER, -_CORNER:0]
    corners = images[:, :, ends][..., ends].reshape(len(images), 3, -1)
    colours = np.array([rgb for _, rgb in BACKGROUNDS.values()], np.float64)
    away = np.median(corners, axis=2)[:, None] - colours
    nearest: NDArray[np.int64] = (away**2).sum(2).argmin(1)
    return nearest


@lru_cache(maxsize=1)
def _ways() -> tuple[re.Pattern[str], ...]:
    groups = {
        "style": f"(?P<style>{'|'.join(STYLES.values())})",
        "background": f"(?P<background>{'|'.join(sign for sign, _ in BACKGROUNDS.values())})",
        "thing": "(?P<thing>.+)",
    }
    return tuple(re.compile(way.format(**groups)) for way in WAYS)


@lru_cache(maxsize=1)
def _things() -> dict[str, set[int]]:
    """The things that a word may mean: that of this name, or all with this keyword."""
    found: dict[str, set[int]] = {}
    for number, concept in enumerate(concepts()):
        for word in (concept.name, *concept.keywords):
            found.setdefault(word, set()).add(number)
    return found


@lru_cache(maxsize=len(_BACKGROUNDS))
def _known(background: str) -> NDArray[np.float64]:
    """Features of all real pictures on a background: (styles, things, D)."""
    return _of_each(_on(background))


@lru_cache(maxsize=len(_BACKGROUNDS))
def _style_reader(background: str) -> KernelClassifier:
    return _reads_styles(_known(background), _of_each(_moved(_on(background), 1)))


def _reads_styles(*known: NDArray[np.float64]) -> KernelClassifier:
    """Of features (styles, things, D), each of them in some forms."""
    rows = np.concatenate(known, axis=1)
    labels = np.repeat(np.arange(len(rows)), rows.shape[1])
    return KernelClassifier(rows.reshape(len(labels), -1), labels, gamma=GAMMA)


def _on(background: str) -> Pixels:
    at = _BACKGROUNDS.index(background)
    return pictures(_all(lambda *_: at))


def _of_each(images: Pixels) -> NDArray[np.float64]:
    return shapes(images / 255.0).reshape(len(STYLES), len(concepts()), -1)


def _all(background: Callable[[int, int], int]) -> list[Shown]:
    """Every picture once, style by style, on the background that a function of it says."""
    return [
        Shown(thing, name, _BACKGROUNDS[background(thing, style)])
        for style, name in enumerate(STYLES)
        for thing in range(len(concepts()))
    ]


def _moved(images: Pixels, seed: int) -> Pixels:
    """Each up to two pixels away, a little blurred, brighter or darker, and with noise on it."""
    rng, found = np.random.default_rng(seed), []
    for image in images:
        down, right = rng.integers(0, 5, 2)
        padded = np.pad(image, ((0, 0), (2, 2), (2, 2)), "edge")
        part = padded[:, down : down + SIDE, right : right + SIDE].astype(np.float64)
        changed = gaussian_filter(part, (0, 0.5, 0.5)) * rng.uniform(0.9, 1.1)
        found.append(changed + 12.0 * rng.normal(size=part.shape))
    return np.clip(np.rint(found), 0, 255).astype(np.uint8)


def _other_style() -> Shares:
    background = _BACKGROUNDS[0]
    known, moved = _known(background), _of_each(_moved(_on(background), 1))
    asked: list[Collection[int]] = [[thing] for thing in range(known.shape[1])]
    pairs = ((known[0], known[1:]), (known[1], known[:1]))
    found = np.concatenate([ranks(nearest_of_things(*pair), asked) for pair in pairs])
    order, right = np.random.default_rng(0).permutation(known.shape[1]), []
    for fold in range(FOLDS):
        others = order[fold::FOLDS]
        rest = np.setdiff1d(order, others)
        reader = _reads_styles(known[:, rest], moved[:, rest])
        for style, each in enumerate(known):
            right += (reader(each[others]) == style).tolist()
    return {
        "thing": share(found < 1),
        f"first_{FIRST}": share(found < FIRST),
        "style": share(right),
    }
