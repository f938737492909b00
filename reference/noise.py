"""What is done to the noise of a batch before training sees it: host code, used by both sides."""

from __future__ import annotations

import numpy as np

from .schedule import Array

GRID = 2.0**20
"""Steps of a cost to 1: whole numbers are compared, so that equal costs are equal everywhere."""


def with_offset(noise: Array, offset: Array, strength: float) -> Array:
    """noise + strength offset: one number more for each image and channel, as its brightness.

    Plain noise hardly moves an image's mean, so that a network never learns to set it; the variance
    of every value becomes 1 + strength^2 ("Diffusion with offset noise", N. Guttenberg 2023).

    Args:
        noise: (B, C, *spatial) standard normal.
        offset: (B, C, 1, ...) standard normal.
    """
    moved: Array = noise + np.asarray(strength, noise.dtype) * offset
    return moved


def assigned(x_0: Array, noise: Array) -> Array:
    """The same noises in the order in which images are nearest to them in all.

    arXiv 2406.12303, algorithm 1: the permutation p with the least sum of |x_0[i] - noise[p[i]]|^2,
    which is that with the greatest sum of their products. The target of image i belongs to
    noise[p[i]], too. What is NaN in an image counts nothing.

    Args:
        x_0, noise: (B, ...), the whole batch that a device sees.
    """
    from scipy.optimize import linear_sum_assignment  # 14 MB that few need

    known = np.nan_to_num(x_0.reshape(len(x_0), -1).astype(np.float64))
    products = known @ noise.reshape(len(noise), -1).astype(np.float64).T
    _, order = linear_sum_assignment(np.rint(GRID * products), maximize=True)
    found: Array = noise[order]
    return found
