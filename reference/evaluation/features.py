"""Features that need no network: the values of an item, and its principal components."""

from __future__ import annotations

import numpy as np

from ..schedule import Array

COMPONENTS = 64
FITTED_TO = 2**25
"""Numbers that components are fitted to at most: of more items some, evenly spread."""


def flat(items: Array) -> Array:
    """(N, ...) -> (N, D) in float64; uint8 becomes 0 to 1."""
    rows = items.reshape(len(items), -1)
    values: Array = rows / 255.0 if rows.dtype == np.uint8 else rows.astype(np.float64)
    return values


class Components:
    """Coordinates along the directions in which items (N, ...) vary most.

    Args:
        items: what the directions are taken from.
        count: how many, or as many as there are.
    """

    def __init__(self, items: Array, count: int = COMPONENTS) -> None:
        size = int(np.prod(items.shape[1:]))
        some = min(len(items), max(2, FITTED_TO // size))
        rows = flat(items[(2 * np.arange(some) + 1) * len(items) // (2 * some)])
        self._mean = rows.mean(0)
        away = rows - self._mean
        # The smaller of the two matrices whose eigenvectors give them.
        if some < size:
            values, vectors = np.linalg.eigh(away @ away.T)
            vectors = away.T @ (vectors / np.sqrt(np.where(values > 0.0, values, 1.0)))
        else:
            values, vectors = np.linalg.eigh(away.T @ away)
        varies = values > 1e-12 * max(values.max(), 1e-300)
        self._axes = vectors[:, varies][:, ::-1][:, :count]

    @property
    def count(self) -> int:
        """Of coordinates."""
        return int(self._axes.shape[1])

    def __call__(self, items: Array) -> Array:
        """(N, ...) -> (N, count)."""
        coordinates: Array = (flat(items) - self._mean) @ self._axes
        return coordinates
