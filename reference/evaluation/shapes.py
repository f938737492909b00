"""Features of small pictures by which things are told apart: where edges run, and coarse colours.

They need no network. Edges are told of by histograms of gradient orientations (Dalal and Triggs
2005), so that a thing in other colours stays near; colours by a blurred copy of the picture.
"""

from __future__ import annotations

import numpy as np
from scipy.ndimage import gaussian_filter

from ..schedule import Array

CELL = 4
"""Pixels from one histogram to the next; they overlap, with a Gaussian of half of that."""

ORIENTATIONS = 9
_BLUR, _COLOURS = 1.5, 0.5  # pixels; weight beside the edges
_FLOOR = 0.05  # a gradient below which there is hardly an edge


def shapes(images: Array) -> Array:
    """(N, C, H, W), 0 to 1 -> (N, D): edges, and half as much coarse colour."""
    edges, colours = orientations(images), blurred(images)
    return np.concatenate((edges, _COLOURS * colours), axis=1)


def orientations(images: Array) -> Array:
    """(N, C, H, W) -> (N, D): how strong edges of each orientation are, around each cell.

    A pixel's gradient is that of its strongest channel. It is shared out between the two
    orientations next to it, as sin and cos; opposite directions are one orientation. Of each place
    the histogram has length one, but where there is hardly an edge.
    """
    gradients = np.stack([np.gradient(images, axis=axis) for axis in (-1, -2)])
    sizes = np.hypot(*gradients)
    strongest = sizes.argmax(1)[:, None]
    x, y, size = (np.take_along_axis(v, strongest, 1)[:, 0] for v in (*gradients, sizes))
    turn = np.arctan2(y, x) % np.pi / np.pi * ORIENTATIONS
    lower = np.floor(turn).astype(np.int64)
    histograms = np.zeros((ORIENTATIONS, *size.shape))
    for step, part in ((0, 1.0 - (turn - lower)), (1, turn - lower)):
        at = ((lower + step) % ORIENTATIONS)[None]
        before = np.take_along_axis(histograms, at, 0)
        np.put_along_axis(histograms, at, before + (size * part)[None], 0)
    half = CELL // 2
    around = gaussian_filter(histograms, (0, 0, half, half))[..., half::CELL, half::CELL]
    length = np.sqrt((around**2).sum(0)) + _FLOOR
    found: Array = (around / length).swapaxes(0, 1).reshape(len(images), -1)
    return found


def blurred(images: Array) -> Array:
    """(N, C, H, W) -> (N, D): every second pixel of a blurred copy."""
    copy = gaussian_filter(images, (0, 0, _BLUR, _BLUR))[..., ::2, ::2]
    found: Array = copy.reshape(len(images), -1)
    return found
