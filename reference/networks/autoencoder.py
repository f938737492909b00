"""The autoencoder of latent diffusion (Rombach et al. 2022, arXiv 2112.10752, section 3.1).

An image becomes a normal distribution over latents that are 2^(levels - 1) times smaller, a latent
an image. The Kullback-Leibler divergence from the standard normal distribution keeps them small.
"""

from __future__ import annotations

from typing import NamedTuple

import autograd.numpy as np

from ..config import AutoencoderConfig
from . import layers
from .blocks import Shapes, conv_shapes, halving_conv2d, norm, norm_shapes, norm_silu_conv
from .conditioning import attend
from .initial import draw
from .layers import Array, Params

__all__ = [
    "AutoencoderConfig",
    "Gaussian",
    "decode",
    "encode",
    "gaussian",
    "init",
    "kl",
    "param_shapes",
    "sample",
]

EPS = 1e-6
"""What every group norm adds to the variance."""

LOG_VARIANCE = (-30.0, 20.0)
"""The logarithm of the variance is clipped to this."""


class Gaussian(NamedTuple):
    """A normal distribution whose components are independent, each (B, C, H, W)."""

    mean: Array
    log_variance: Array


def gaussian(moments: Array) -> Gaussian:
    """The first half of the channels is the mean, the second the logarithm of the variance."""
    mean, log_variance = np.split(moments, 2, axis=1)
    return Gaussian(mean, np.clip(log_variance, *LOG_VARIANCE))


def sample(distribution: Gaussian, noise: Array) -> Array:
    """mean + exp(log_variance / 2) noise, of standard normal noise (arXiv 1312.6114, eq. 4)."""
    return distribution.mean + np.exp(0.5 * distribution.log_variance) * noise


def kl(distribution: Gaussian) -> Array:
    """KL(N(mean, variance) || N(0, 1)) = sum (mean^2 + variance - 1 - log variance) / 2.

    arXiv 1312.6114, appendix B. The result is (B,), in nats.
    """
    mean, log_variance = distribution
    terms = mean * mean + np.exp(log_variance) - 1.0 - log_variance
    return 0.5 * np.sum(terms, axis=(1, 2, 3))


def encode(params: Params, config: AutoencoderConfig, x: Array) -> Gaussian:
    """The distribution of the latents of images.

    Args:
        params: arrays named and shaped as in ``param_shapes(config)``.
        x: (B, channels, H, W) in [-1, 1].

    Raises:
        ValueError: sides that the network cannot halve as often as it does.
    """
    config.check_image_size(x.shape[2:])
    x = layers.conv(params, "encoder.conv_in", x)
    for level in range(len(config.widths)):
        for block in range(config.blocks):
            x = _residual(params, config, f"encoder.down.{level}.block.{block}", x)
        if level < len(config.widths) - 1:  # the kernel begins at its pixel
            name = f"encoder.down.{level}.downsample.conv"
            x = halving_conv2d(x, params[f"{name}.weight"], params[f"{name}.bias"], before=0)
    x = _middle(params, config, "encoder.mid", x)
    x = norm_silu_conv(params, ("encoder.norm_out", "encoder.conv_out"), x, config.groups, EPS)
    return gaussian(layers.conv(params, "quant_conv", x))


def decode(params: Params, config: AutoencoderConfig, z: Array) -> Array:
    """The images of latents z (B, latent_channels, H, W)."""
    x = layers.conv(params, "decoder.conv_in", layers.conv(params, "post_quant_conv", z))
    x = _middle(params, config, "decoder.mid", x)
    for level in reversed(range(len(config.widths))):
        for block in range(config.blocks + 1):
            x = _residual(params, config, f"decoder.up.{level}.block.{block}", x)
        if level > 0:
            x = layers.upsample_nearest(x)
            x = layers.conv(params, f"decoder.up.{level}.upsample.conv", x)
    return norm_silu_conv(params, ("decoder.norm_out", "decoder.conv_out"), x, config.groups, EPS)


def _residual(params: Params, config: AutoencoderConfig, name: str, x: Array) -> Array:
    """Twice group norm, SiLU and convolution, and a way around them."""
    h = norm_silu_conv(params, (f"{name}.norm1", f"{name}.conv1"), x, config.groups, EPS)
    h = norm_silu_conv(params, (f"{name}.norm2", f"{name}.conv2"), h, config.groups, EPS)
    shortcut = f"{name}.nin_shortcut"
    return h + (layers.conv(params, shortcut, x) if f"{shortcut}.weight" in params else x)


def _middle(params: Params, config: AutoencoderConfig, name: str, x: Array) -> Array:
    x = _residual(params, config, f"{name}.block_1", x)
    x = x + _attention(params, config, f"{name}.attn_1", x)
    return _residual(params, config, f"{name}.block_2", x)


def _attention(params: Params, config: AutoencoderConfig, name: str, x: Array) -> Array:
    """Pixels attend to each other, with one head."""
    h = norm(params, f"{name}.norm", x, config.groups, EPS)

    def tokens(which: str) -> Array:
        pixels = layers.conv(params, f"{name}.{which}", h)
        return np.swapaxes(np.reshape(pixels, (*h.shape[:2], -1)), 1, 2)

    out = attend(tokens("q"), tokens("k"), tokens("v"), heads=1)
    return layers.conv(params, f"{name}.proj_out", np.reshape(np.swapaxes(out, 1, 2), h.shape))


def init(config: AutoencoderConfig, rng: np.random.Generator) -> dict[str, Array]:
    """Draw float64 parameters; see ``initial``."""
    return {name: draw(name, shape, rng) for name, shape in param_shapes(config).items()}


def param_shapes(config: AutoencoderConfig) -> Shapes:
    """Name and shape of every parameter, in the order in which they are drawn."""
    first, last, latent = config.widths[0], config.widths[-1], config.latent_channels
    width = first
    shapes = conv_shapes("encoder.conv_in", config.channels, first)
    for level, dim in enumerate(config.widths):
        for block in range(config.blocks):
            shapes |= _residual_shapes(f"encoder.down.{level}.block.{block}", width, dim)
            width = dim
        if level < len(config.widths) - 1:
            shapes |= conv_shapes(f"encoder.down.{level}.downsample.conv", dim, dim)
    shapes |= _middle_shapes("encoder.mid", last) | norm_shapes("encoder.norm_out", last)
    shapes |= conv_shapes("encoder.conv_out", last, 2 * latent)
    shapes |= conv_shapes("quant_conv", 2 * latent, 2 * latent, 1)
    shapes |= conv_shapes("post_quant_conv", latent, latent, 1)
    shapes |= conv_shapes("decoder.conv_in", latent, last)
    shapes |= _middle_shapes("decoder.mid", last)
    for level, dim in reversed([*enumerate(config.widths)]):
        for block in range(config.blocks + 1):
            shapes |= _residual_shapes(f"decoder.up.{level}.block.{block}", width, dim)
            width = dim
        if level > 0:
            shapes |= conv_shapes(f"decoder.up.{level}.upsample.conv", dim, dim)
    shapes |= norm_shapes("decoder.norm_out", first)
    return shapes | conv_shapes("decoder.conv_out", first, config.channels)


def _residual_shapes(name: str, dim: int, dim_out: int) -> Shapes:
    shapes = norm_shapes(f"{name}.norm1", dim) | conv_shapes(f"{name}.conv1", dim, dim_out)
    shapes |= norm_shapes(f"{name}.norm2", dim_out) | conv_shapes(f"{name}.conv2", dim_out, dim_out)
    return shapes | (conv_shapes(f"{name}.nin_shortcut", dim, dim_out, 1) if dim != dim_out else {})


def _middle_shapes(name: str, dim: int) -> Shapes:
    shapes = _residual_shapes(f"{name}.block_1", dim, dim) | norm_shapes(f"{name}.attn_1.norm", dim)
    for which in ("q", "k", "v", "proj_out"):
        shapes |= conv_shapes(f"{name}.attn_1.{which}", dim, dim, 1)
    return shapes | _residual_shapes(f"{name}.block_2", dim, dim)
