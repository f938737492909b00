"""What neighbours in feature space say: quality, variety, and copies of training images.

Kynkäänniemi et al. 2019, arXiv 1904.06991: the real items' manifold is the union of balls around
each, as wide as to its k-th nearest other. Precision is the share of drawn items inside it; recall
that of real items inside the drawn ones'. Naeem et al. 2020, arXiv 2002.09797: density counts the
real balls that a drawn item is in, divided by k; coverage is the share of real balls that hold a
drawn item. Both have their ``prdc`` package's strict inequality.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.distance import cdist

from ..schedule import Array, Table
from .resampling import Figure, figure, weights

ROWS = 1024
"""Rows of a distance matrix that are held at a time."""


class Manifolds(NamedTuple):
    """Shares between 0 and 1, but density, which may be more."""

    precision: Figure
    recall: Figure
    density: Figure
    coverage: Figure


class Nearest(NamedTuple):
    """For each item: how far its nearest one is, and which that is."""

    distance: Table
    which: NDArray[np.int64]


def manifolds(
    drawn: Array, real: Array, *, k: int = 5, seed: int = 0, replicates: int = 50
) -> Manifolds:
    """Precision, recall, density and coverage of rows of features (n, D) and (m, D).

    Each is a mean over the items of one side; its error is that of this mean, the other side being
    as it is.

    Raises ValueError unless both sides have more than k rows, of equal length.
    """
    if k < 1 or min(len(drawn), len(real)) <= k or drawn.shape[1:] != real.shape[1:]:
        raise ValueError(
            f"drawn {drawn.shape} and real {real.shape} do not fit k {k}: more than k rows each, "
            "of equal length"
        )
    of_drawn, of_real = radii(drawn, k), radii(real, k)
    balls, inside, covered = np.zeros(len(drawn)), np.zeros(len(real)), np.zeros(len(real))
    for part, distances in _distances(real, drawn):
        own = distances < of_real[part, None]
        balls += own.sum(0)
        covered[part] = own.any(1)
        inside[part] = (distances < of_drawn).any(1)
    rng = np.random.default_rng(seed)
    w, v = weights(rng, len(drawn), replicates), weights(rng, len(real), replicates)
    found = (w @ (balls > 0.0), v @ inside, w @ balls / k, v @ covered)
    return Manifolds(*map(figure, found))


def radii(x: Array, k: int) -> Table:
    """(N,) the distance of each row to its k-th nearest other."""
    parts = [np.partition(d, k, axis=1)[:, k] for _, d in _distances(x, x)]
    return np.concatenate(parts)


def nearest(x: Array, y: Array, *, others: bool = False) -> Nearest:
    """The nearest row of y for each row of x; with ``others`` x is y, and none is its own."""
    found = []
    for part, distances in _distances(x, y):
        if others:
            distances[np.arange(len(distances)), np.arange(part.start, part.stop)] = np.inf
        index = distances.argmin(1)
        found.append(Nearest(distances[np.arange(len(index)), index], index))
    return Nearest(*map(np.concatenate, zip(*found, strict=True)))


def _distances(x: Array, y: Array) -> Iterator[tuple[slice, Array]]:
    """Which rows of x, and how far each is from all of y."""
    for start in range(0, len(x), ROWS):
        part = slice(start, min(start + ROWS, len(x)))
        yield part, cdist(x[part], y)
