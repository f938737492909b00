"""What a judge is, who judges which data, and what is told of a set of pictures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from ...reference.evaluation.shares import Share
from ..data import Images
from ..data.pictures import PictureImages
from ..data.scenes import SceneImages

Pixels = NDArray[np.uint8]
Shares = dict[str, Share]
SEEN, HELD_OUT, ROTATED, EMPTY = "seen", "held_out", "other_captions", "no_caption"


class Judge(Protocol):
    """Who reads pictures of some data."""

    name: str
    side: int
    """Height and width of what it reads."""

    def never_shown(self, count: int) -> list[str]:
        """Captions of what training does not show, evenly spread over all of it."""

    def shares(self, images: Pixels, captions: Sequence[str]) -> Shares:
        """How much of what is said is seen, of (N, 3, side, side); by aspect.

        Raises:
            ValueError: a caption that says nothing of such a picture.
        """

    def of_real(self) -> dict[str, Shares]:
        """The same of real pictures in forms that it has not seen: the most to expect."""

    def by_chance(self, captions: Sequence[str]) -> dict[str, float]:
        """What is right of any picture, judged by any of these captions."""


def judge_of(images: Images) -> Judge | None:
    """Who can judge what is drawn of the captions of these images; None if nobody can.

    Colours have to be there, and sides a whole number of times those of the data as it is made.
    """
    from .pictures import Pictures
    from .scenes import Scenes

    judges: dict[type, type[Judge]] = {SceneImages: Scenes, PictureImages: Pictures}
    kind = judges.get(type(images))
    if kind is None:
        return None
    channels, *sides = images.shape
    fits = channels == 3 and sides[0] == sides[1] and sides[0] % kind.side == 0
    return kind() if fits else None


def judged(
    judge: Judge, images: Pixels, captions: Sequence[str], seen: int, held_out: int
) -> dict[str, Any]:
    """All that is to be told of pictures, as one document that JSON can hold.

    Args:
        images: (N, 3, H, W): ``seen`` of captions of the data, then ``held_out`` of what was never
            shown, then those that were drawn of the empty text.
        captions: (N,) of each.

    The controls: pictures of the data's captions judged by the caption of another one, and those of
    no caption judged by the data's. What is left of them is chance.
    """
    images = reduced(images, judge.side)
    first, there = list(captions[:seen]), slice(seen, seen + held_out)
    nothing = images[seen + held_out :]
    rows = {SEEN: judge.shares(images[:seen], first)}
    if held_out:
        rows[HELD_OUT] = judge.shares(images[there], captions[there])
    # Once around, in an order in which neighbours have nothing to do with each other.
    order = np.random.default_rng(0).permutation(seen)
    rows[ROTATED] = judge.shares(images[order], [first[i] for i in np.roll(order, 1)])
    if len(nothing):
        rows[EMPTY] = judge.shares(nothing, [first[i % seen] for i in order[: len(nothing)]])
    rows |= judge.of_real()
    return {
        "judge": judge.name,
        "rows": {name: told(shares) for name, shares in rows.items()},
        "chance": judge.by_chance(first),
    }


def told(shares: Mapping[str, Share]) -> dict[str, Any]:
    """Shares for JSON."""
    return {name: found._asdict() for name, found in shares.items()}


def reduced(images: Pixels, side: int) -> Pixels:
    """(N, C, k side, k side) -> (N, C, side, side), each pixel the mean of k x k."""
    times = images.shape[-1] // side
    if times == 1:
        return images
    parts = images.reshape(*images.shape[:2], side, times, side, times)
    found: Pixels = np.rint(parts.mean((3, 5))).astype(np.uint8)
    return found
