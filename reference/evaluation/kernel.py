"""The kernel distance (KID): squared maximum mean discrepancy, without bias.

Binkowski et al. 2018, arXiv 1801.01401: with k(x, y) = (x . y / D + 1)^3,

    mean of k(x, x') over pairs + mean of k(y, y') over pairs - 2 mean of k(x, y),

no item being paired with itself. Of two sets from one distribution it is 0 on average, at any size.
"""

from __future__ import annotations

import numpy as np

from ..schedule import Array, Table
from .resampling import Figure, figure, weights

ROWS = 1024
"""Rows of a kernel matrix that are held at a time."""


def kernel_distance(x: Array, y: Array, *, seed: int = 0, replicates: int = 50) -> Figure:
    """The distance between rows of features (n, D) and (m, D).

    Raises ValueError for fewer than two rows, or rows of unequal length.
    """
    if min(len(x), len(y)) < 2 or x.shape[1:] != y.shape[1:]:
        raise ValueError(
            f"x {x.shape} and y {y.shape} do not fit: at least 2 rows each, of equal length"
        )
    rng = np.random.default_rng(seed)
    w, v = weights(rng, len(x), replicates), weights(rng, len(y), replicates)
    return figure(_among(x, w) + _among(y, v) - 2.0 * _between(x, w, y, v))


def _kernel(x: Array, y: Array) -> Array:
    base: Array = x @ y.T / x.shape[1] + 1.0
    return base * base * base  # faster than a power


def _between(x: Array, w: Table, y: Array, v: Table) -> Table:
    """sum_ij w_i v_j k(x_i, y_j), for each row of the weights."""
    total = np.zeros(len(w))
    for start in range(0, len(x), ROWS):
        part = slice(start, start + ROWS)
        total += np.sum((w[:, part] @ _kernel(x[part], y)) * v, axis=1)
    return total


def _among(x: Array, w: Table) -> Table:
    """The same of pairs of different items; their weights sum to 1 - sum_i w_i^2."""
    own = (np.sum(x**2, axis=1) / x.shape[1] + 1.0) ** 3
    total: Table = (_between(x, w, x, w) - w**2 @ own) / (1.0 - np.sum(w**2, axis=1))
    return total
