"""The features that FID is measured in: Inception v3 of 2015-12-05, as its layers read.

Parameters have the names of the published file. ``../config/inception.py`` says which convolutions
stand where, and where this network is another than that of arXiv 1512.00567.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from ..config.inception import SIDE, Branch, Conv, InceptionConfig
from ..schedule import Array
from .efficientnet import norm

Params = Mapping[str, Array]

WINDOW = (4, 5, 6, 7)
"""Axes of what ``_windows`` gives that are within a window."""


def features(params: Params, config: InceptionConfig, x: Array) -> Array:
    """Images (B, 3, H, W), as ``prepared`` gives them, to (B, config.features).

    Of each block the results of its branches, one behind the other; at the end the mean over
    pixels.
    """
    for block in config.blocks:
        x = np.concatenate([_through(params, branch, x) for branch in block], 1)
    pooled: Array = x.mean((2, 3))
    return pooled


def prepared(pixels: Array, size: tuple[int, int] = (SIDE, SIDE)) -> Array:
    """(x - 128) / 128 of pixels 0 to 255, (B, 3, H, W), after ``resized`` to ``size``."""
    scaled: Array = (resized(pixels, size) - 128.0) / 128.0
    return scaled.astype(pixels.dtype)


def resized(x: Array, size: tuple[int, int]) -> Array:
    """Bilinear interpolation of x (B, C, H, W) as TensorFlow 1 has it, to ``size``.

    Along each side of n pixels, m of which are wanted, with s = n / m:

        y[i] = (1 - f) x[k] + f x[min(k + 1, n - 1)],  k = floor(s i),  f = s i - k

    The first pixel stays where it is (neither centres nor corners are aligned), and where fewer are
    wanted, those in between are passed over: nothing is averaged. s and s i are float32, as there.
    """
    for axis in (3, 2):
        have, want = x.shape[axis], size[axis - 2]
        place = np.arange(want, dtype=np.float32) * np.float32(have / want)
        low = place.astype(np.int64)
        share = (place - low).astype(x.dtype).reshape((-1, 1) if axis == 2 else (-1,))
        one, other = (x.take(np.minimum(k, have - 1), axis) for k in (low, low + 1))
        x = one + (other - one) * share
    return x


def _through(params: Params, branch: Branch, x: Array) -> Array:
    if branch.pool:
        x = POOLS[branch.pool](x)
    for conv in branch.convs:
        x = _step(params, conv, x)
    if branch.ends:
        x = np.concatenate([_step(params, conv, x) for conv in branch.ends], 1)
    return x


def _step(params: Params, conv: Conv, x: Array) -> Array:
    """A convolution, its norm by the statistics of training, and max(x, 0)."""
    x = convolution(x, params[f"{conv.name}.conv.weight"], conv.stride, conv.padded)
    cut: Array = np.maximum(norm(params, f"{conv.name}.bn", x), x.dtype.type(0))
    return cut


def convolution(x: Array, weight: Array, stride: int = 1, padded: bool = True) -> Array:
    """Cross-correlation of x (B, C, H, W) with weight (O, C, k, l), of odd k and l.

        out[b, o, h, w] = sum_{c, i, j} weight[o, c, i, j] x[b, c, s h + i - p, s w + j - q]

    With stride s = 1, and if ``padded``, p = (k - 1) / 2 and q = (l - 1) / 2, and x is 0 outside;
    else p = q = 0, and only what lies within x is looked at.
    """
    if padded and stride == 1:
        down, across = (side // 2 for side in weight.shape[2:])
        x = np.pad(x, ((0, 0), (0, 0), (down, down), (across, across)))
    k, width = weight.shape[2:]
    rows, columns = (
        (n - side) // stride + 1 for n, side in zip(x.shape[2:], (k, width), strict=True)
    )
    out: Array = np.zeros((), x.dtype)
    for i, j in np.ndindex(k, width):
        seen = x[:, :, i::stride, j::stride][:, :, :rows, :columns]
        out = out + np.einsum("oc,bchw->bohw", weight[:, :, i, j], seen, optimize=True)
    return out


def mean_around(x: Array) -> Array:
    """The mean of the 3 x 3 pixels around each one, of as many as there are within the image."""
    mean: Array = np.nanmean(_around(x), WINDOW, dtype=x.dtype)
    return mean


def max_around(x: Array) -> Array:
    """The largest of the 3 x 3 pixels around each one."""
    largest: Array = np.nanmax(_around(x), WINDOW)
    return largest


def max_halved(x: Array) -> Array:
    """The largest of 3 x 3 pixels within the image, at every other one."""
    largest: Array = _windows(x)[:, :, ::2, ::2].max(WINDOW)
    return largest


def _around(x: Array) -> Array:
    """(B, C, H, W, 1, 1, 3, 3), NaN beyond the edge."""
    return _windows(np.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1)), constant_values=np.nan))


def _windows(x: Array) -> Array:
    """(B, C, H - 2, W - 2, 1, 1, 3, 3)."""
    return np.lib.stride_tricks.sliding_window_view(x, (1, 1, 3, 3))


POOLS = {"mean": mean_around, "max": max_around, "halve": max_halved}
"""By the names of ``Branch.pool``."""
