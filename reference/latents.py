"""Latents as the data of a diffusion (Rombach et al. 2022, arXiv 2112.10752, appendix G).

A frozen autoencoder tells of each image the moments of its latents. Every showing draws other
latents by them. They are multiplied by one number, so that their deviation is about 1, as the
process has it of its data; what it draws is divided by that again before it is decoded.
"""

from __future__ import annotations

import numpy as np

from .networks.autoencoder import gaussian, sample
from .schedule import Array

__all__ = ["draw", "scale_factor", "undo"]


def draw(moments: Array, noise: Array, scale: float) -> Array:
    """``scale (mean + exp(log_variance / 2) noise)``.

    Args:
        moments: (B, 2C, h, w), mean and logarithm of the variance, as ``autoencoder.encode`` has
            them.
        noise: (B, C, h, w), standard normal.
        scale: the scale factor.
    """
    latents: Array = scale * sample(gaussian(moments), noise)
    return latents


def scale_factor(moments: Array) -> float:
    """1 / the standard deviation of all numbers of the latents that are drawn by moments.

    Appendix G has it of drawn ones, of the first batch: sigma^2 = mean((z - mean(z))^2). Here it
    is its expectation, without noise: the mean of the variances and of the squared means, less
    the square of the mean of means.

    Args:
        moments: (N, 2C, h, w), of the images that are trained on.
    """
    mean, log_variance = gaussian(moments)
    variance = np.mean(np.exp(log_variance) + mean**2) - np.mean(mean) ** 2
    return float(1.0 / np.sqrt(variance))


def undo(x_0: Array, scale: float) -> Array:
    """What ``autoencoder.decode`` is given of latents on the scale of the process: x_0 / scale."""
    return x_0 / scale
