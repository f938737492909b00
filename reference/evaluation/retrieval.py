"""Which of many things does a picture show? The rank of the one that was asked for says."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np
from numpy.typing import NDArray

from ..schedule import Array


def nearest_of_things(x: Array, known: Array) -> Array:
    """How far each row of x (N, D) is from each thing, (N, M): from the nearest of its pictures.

    ``known``: (K, M, D), K pictures of each of M things.
    """
    found: Array = np.min([squares(x, pictures) for pictures in known], axis=0)
    return np.sqrt(found)


def squares(x: Array, y: Array) -> Array:
    """|x_i - y_j|^2 of rows (N, D) and (M, D), as |x|^2 + |y|^2 - 2 x . y: with one product."""
    found: Array = (x**2).sum(1)[:, None] + (y**2).sum(1) - 2.0 * x @ y.T
    return np.maximum(found, 0.0)


def ranks(distances: Array, asked: Sequence[Collection[int]]) -> NDArray[np.int64]:
    """(N,) how many things are nearer than what was asked for, of (N, M); 0: none.

    ``asked``: numbers of the things that would do, of each row; the nearest of them counts, and
    those beside it count neither way.
    """
    found = []
    for row, wanted in zip(distances, asked, strict=True):
        found.append(int((row < min(row[number] for number in wanted)).sum()))
    return np.array(found, np.int64)
