"""Does a model recite what it was trained on?

A model that has learned the distribution draws items that are as far from training images as
unseen real ones are. With m images that it was not trained on beside n that it was, the nearest of
all is a training image in n / (n + m) of cases: they are interchangeable to it.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..schedule import Array, Table
from .neighbours import nearest
from .resampling import Figure

QUANTILE = 0.01


class Copies(NamedTuple):
    """How near drawn items are to what was trained on.

    Attributes:
        distance: (N,) of each to its nearest training item.
        which: (N,) which that is.
        median: of the distances.
        median_real: the same of each training item to its nearest other.
        close: share of drawn items closer than all but 1 % of training items are to each other:
            0.01 where nothing is recited.
        ratio: (N,) of each distance to that of the nearest held-out item; None without those.
        nearer: share of items whose nearest is a training one.
        expected: what that is where nothing is recited, n / (n + m).
    """

    distance: Table
    which: NDArray[np.int64]
    median: float
    median_real: float
    close: Figure
    ratio: Table | None = None
    nearer: Figure | None = None
    expected: float | None = None

    def closest(self, count: int) -> NDArray[np.int64]:
        """The items that are nearest to what was trained on, the nearest first."""
        return np.argsort(self.distance, kind="stable")[:count]


def copies(drawn: Array, trained_on: Array, held_out: Array | None = None) -> Copies:
    """Look for copies among rows of features, (N, D) and (n, D), with (m, D) held-out ones."""
    distance, index = nearest(drawn, trained_on)
    among = nearest(trained_on, trained_on, others=True).distance
    medians = float(np.median(distance)), float(np.median(among))
    close = _share(distance < np.quantile(among, QUANTILE))
    if held_out is None:
        return Copies(distance, index, *medians, close)
    unseen = nearest(drawn, held_out).distance
    # Of two that are equal the smaller ratio is told: 0 / 0 is a copy.
    ratio = np.divide(distance, unseen, out=np.zeros_like(distance), where=distance > 0.0)
    expected = len(trained_on) / (len(trained_on) + len(held_out))
    return Copies(distance, index, *medians, close, ratio, _share(distance < unseen), expected)


def _share(of: NDArray[np.bool_]) -> Figure:
    share = float(of.mean())
    return Figure(share, math.sqrt(share * (1.0 - share) / len(of)))
