"""Larger pictures: what a network that makes them is told, and what any other is held to.

A network that is trained to draw given the small image (SR3, Saharia et al. 2021, arXiv 2104.07636)
is shown it enlarged, as further channels of its input. Any other network restores it
(``restoration.ddnm``, ``posterior_sampling.dps``) with ``degradations.downsampled``. Host code.
"""

from __future__ import annotations

from itertools import count, islice

from ..schedule import Array


def small(x: Array, factor: int) -> Array:
    """Means over blocks of ``factor`` pixels a side: (B, C, H, W) to (B, C, H/factor, W/factor).

    Raises ValueError for a factor below 1, or one that does not divide every side.
    """
    batch, channels, *sides = x.shape
    if factor < 1 or any(side % factor for side in sides):
        raise ValueError(
            f"factor {factor} does not divide {' x '.join(map(str, sides))}, the size of the images"
        )
    split = [part for side in sides for part in (side // factor, factor)]
    blocks = x.reshape(batch, channels, *split)
    means: Array = blocks.mean(axis=tuple(islice(count(3, 2), len(sides))))
    return means


def enlarged(x: Array, factor: int) -> Array:
    """Each pixel ``factor`` times a side: what A^+ of ``degradations.downsampled`` returns."""
    for axis in range(2, x.ndim):
        x = x.repeat(factor, axis=axis)
    return x


def shown(x_0: Array, factor: int) -> Array:
    """What the network is shown beside x_t: the small image, at its own size (2104.07636, 2.1).

    SR3 enlarges by bicubic interpolation; the network can do that itself, so here pixels are
    repeated. The dtype and the shape are those of x_0.
    """
    return enlarged(small(x_0, factor), factor).astype(x_0.dtype)
