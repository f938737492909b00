"""The autoencoder of latent diffusion: a MindSpore Cell.

``reference/networks/autoencoder.py`` is the definition.
"""

from __future__ import annotations

from typing import Any

import mindspore as ms
from mindspore import Tensor, nn, ops

from ...reference.config import AutoencoderConfig
from ..precision import cast
from ..randomness import Purpose, stream
from ..system.interrupts import keep_interrupts
from .blocks import (
    Conv,
    Dense,
    DoublingConv,
    GroupNorm,
    HalvingConv,
    NormSiluConv,
    Part,
    Values,
    cells,
    drawn,
)
from .conditioning import Attend
from .network import Weighted

EPS = 1e-6
LOG_VARIANCE = (-30.0, 20.0)


def sample(moments: Tensor, noise: Tensor) -> Tensor:
    """``mean + exp(log_variance / 2) noise``, of standard normal noise."""
    mean, log_variance = ops.Split(1, 2)(moments)
    return mean + ops.exp(0.5 * log_variance) * noise


def kl(moments: Tensor) -> Tensor:
    """``sum (mean^2 + variance - 1 - log variance) / 2``, in nats: (B,)."""
    mean, log_variance = ops.Split(1, 2)(moments)
    terms = mean * mean + ops.exp(log_variance) - 1.0 - log_variance
    return 0.5 * terms.reshape(terms.shape[0], -1).sum(1)


class Autoencoder(Weighted):
    """Images to latents that are smaller, and back (arXiv 2112.10752, section 3.1).

    Args:
        seed: the initial parameters are a function of this number.
        values: the parameters, in place of initial ones: from name and shape to an array.
        options: the fields of :class:`~ddpm_mindspore.reference.config.AutoencoderConfig`, by name.

    Raises:
        ValueError: an option that no network can be built from.
    """

    def __init__(self, *, seed: int = 0, values: Values | None = None, **options: Any) -> None:
        super().__init__(auto_prefix=False)
        keep_interrupts()
        self.config = config = AutoencoderConfig(**options)
        values = drawn(stream(seed, Purpose.INIT)) if values is None else values
        latent = config.latent_channels
        self.encoder = _encoder(values, config)
        self.quant_conv = Conv(values, "quant_conv", 2 * latent, 2 * latent, 1)
        self.post_quant_conv = Conv(values, "post_quant_conv", latent, latent, 1)
        self.decoder = _decoder(values, config)

    def construct(self, x: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
        """Images (B, channels, H, W) as they come back, and the moments of their latents."""
        moments = self.encode(x)
        return self.decode(sample(moments, noise)), moments

    def encode(self, x: Tensor) -> Tensor:
        """Mean and log variance of the latents of images, (B, 2 latent_channels, h, w)."""
        for part in self.encoder:
            x = part(x)
        mean, log_variance = ops.Split(1, 2)(cast(self.quant_conv(x), ms.float32))
        return ops.concat((mean, ops.clamp(log_variance, *LOG_VARIANCE)), 1)

    def decode(self, z: Tensor) -> Tensor:
        """The images (B, channels, H, W) of latents z (B, latent_channels, h, w)."""
        z = self.post_quant_conv(z)
        for part in self.decoder:
            z = part(z)
        return cast(z, ms.float32)


def _encoder(values: Values, config: AutoencoderConfig) -> nn.CellList:
    width, last = config.dim, config.widths[-1]
    parts: list[nn.Cell] = [Conv(values, "encoder.conv_in", config.channels, width)]
    for level, dim in enumerate(config.widths):
        for block in range(config.blocks):
            name = f"encoder.down.{level}.block.{block}"
            parts.append(ResidualBlock(values, name, width, dim, config.groups))
            width = dim
        if level < len(config.widths) - 1:
            name = f"encoder.down.{level}.downsample.conv"
            parts.append(HalvingConv(values, name, dim, before=0))
    parts += _middle(values, "encoder.mid", last, config.groups)
    names, dim = ("encoder.norm_out", "encoder.conv_out"), 2 * config.latent_channels
    return cells(*parts, NormSiluConv(values, names, last, dim, config.groups, EPS))


def _decoder(values: Values, config: AutoencoderConfig) -> nn.CellList:
    width = config.widths[-1]
    parts: list[nn.Cell] = [Conv(values, "decoder.conv_in", config.latent_channels, width)]
    parts += _middle(values, "decoder.mid", width, config.groups)
    for level, dim in reversed([*enumerate(config.widths)]):
        for block in range(config.blocks + 1):
            name = f"decoder.up.{level}.block.{block}"
            parts.append(ResidualBlock(values, name, width, dim, config.groups))
            width = dim
        if level > 0:
            parts.append(DoublingConv(values, f"decoder.up.{level}.upsample.conv", dim))
    names = ("decoder.norm_out", "decoder.conv_out")
    return cells(*parts, NormSiluConv(values, names, width, config.channels, config.groups, EPS))


def _middle(values: Values, name: str, dim: int, groups: int) -> list[nn.Cell]:
    return [
        ResidualBlock(values, f"{name}.block_1", dim, dim, groups),
        PixelAttention(values, f"{name}.attn_1", dim, groups),
        ResidualBlock(values, f"{name}.block_2", dim, dim, groups),
    ]


class ResidualBlock(Part):
    """Twice group norm, SiLU and convolution, and a way around them."""

    def __init__(self, values: Values, name: str, dim: int, dim_out: int, groups: int) -> None:
        super().__init__()
        first, second = ((f"{name}.norm{i}", f"{name}.conv{i}") for i in (1, 2))
        self.first = NormSiluConv(values, first, dim, dim_out, groups, EPS)
        self.second = NormSiluConv(values, second, dim_out, dim_out, groups, EPS)
        shortcut = f"{name}.nin_shortcut"
        self.shortcut = Conv(values, shortcut, dim, dim_out, 1) if dim != dim_out else None

    def construct(self, x: Tensor) -> Tensor:
        h = self.second(self.first(x))
        return h + (x if self.shortcut is None else self.shortcut(x))


class PixelAttention(Part):
    """Pixels attend to each other, with one head; the result is added to them."""

    def __init__(self, values: Values, name: str, dim: int, groups: int) -> None:
        super().__init__()
        self.norm = GroupNorm(values, f"{name}.norm", dim, groups, EPS)
        self.q = Dense(values, f"{name}.q", dim, dim, pointwise=True)
        self.k = Dense(values, f"{name}.k", dim, dim, pointwise=True)
        self.v = Dense(values, f"{name}.v", dim, dim, pointwise=True)
        self.attend = Attend(1)
        self.proj_out = Dense(values, f"{name}.proj_out", dim, dim, pointwise=True)

    def construct(self, x: Tensor) -> Tensor:
        tokens = self.norm(x).reshape(x.shape[0], x.shape[1], -1).transpose(0, 2, 1)
        out = self.proj_out(self.attend(self.q(tokens), self.k(tokens), self.v(tokens)))
        return x + out.transpose(0, 2, 1).reshape(x.shape)
