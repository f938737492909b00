"""Sequences and vectors as small pictures, for a film strip: a curve each, or one cloud."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

HEIGHT, WIDEST = 48, 96
PAPER, INK = 255, 40

Floats = NDArray[np.floating[Any]]


def pictures_of(x: Floats, low: float, high: float) -> NDArray[np.uint8]:
    """Of sequences (N, C, L) or vectors (N, C), uint8 (n, 1, H, W): n = N curves, or one cloud.

    Values from ``low`` to ``high`` are seen; what is beyond lies at the edge. A curve is of the
    first channel, a cloud of the first two numbers; of one number it is a histogram.
    """
    if x.ndim == 3:
        return _curves(_rows(x[:, 0], low, high))
    if x.shape[1] == 1:
        return _histogram(_rows(x[:, 0], low, high))
    return _cloud(_rows(x[:, 1], low, high), HEIGHT - 1 - _rows(x[:, 0], low, high))


def _rows(x: Floats, low: float, high: float) -> NDArray[np.int64]:
    """The row of a picture at which a value is; the largest is at the top."""
    share = (np.clip(x, low, high) - low) / max(high - low, 1e-12)
    return np.asarray(np.rint((1.0 - share) * (HEIGHT - 1)), np.int64)


def _curves(rows: NDArray[np.int64]) -> NDArray[np.uint8]:
    length = rows.shape[1]
    width = min(length, WIDEST)
    starts = np.arange(width) * length // width
    # From where the curve comes into a column to where it has been within it.
    before = rows[:, np.maximum(starts - 1, 0)]
    top = np.minimum(np.minimum.reduceat(rows, starts, axis=1), before)
    bottom = np.maximum(np.maximum.reduceat(rows, starts, axis=1), before)
    at = np.arange(HEIGHT)[:, np.newaxis]
    inked = (at >= top[:, np.newaxis]) & (at <= bottom[:, np.newaxis])
    return _picture(inked)


def _cloud(rows: NDArray[np.int64], columns: NDArray[np.int64]) -> NDArray[np.uint8]:
    inked = np.zeros((1, HEIGHT, HEIGHT), bool)
    inked[0, rows, columns] = True
    return _picture(inked)


def _histogram(rows: NDArray[np.int64]) -> NDArray[np.uint8]:
    """Larger values to the right."""
    counts = np.bincount(HEIGHT - 1 - rows, minlength=HEIGHT)
    heights = np.rint(counts / counts.max() * HEIGHT)
    return _picture(np.arange(HEIGHT)[:, np.newaxis] >= HEIGHT - heights[np.newaxis, np.newaxis])


def _picture(inked: NDArray[np.bool_]) -> NDArray[np.uint8]:
    return np.where(inked, INK, PAPER).astype(np.uint8)[:, np.newaxis]
