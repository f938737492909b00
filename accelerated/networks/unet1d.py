"""The U-Net over sequences that predicts noise, x_0 or v from x_t and t: a MindSpore Cell.

Layout and parameter names are those of the ``Unet1D`` of ``denoising-diffusion-pytorch`` 2.3.4.
``reference/networks/unet1d.py`` is the definition.
"""

from __future__ import annotations

from typing import Any

import mindspore as ms
from mindspore import Tensor, nn, ops

from ...reference.config import Unet1DConfig
from ..precision import cast
from ..randomness import Purpose, stream
from ..system.interrupts import keep_interrupts
from .attention import Attention, LinearAttention
from .convolutions import Conv1d
from .layers import ResnetBlock, RMSNorm, Upsample
from .network import Network


class Unet1D(Network):
    """The U-Net over sequences (C, L).

    Args:
        dim: base width.
        seed: the initial parameters are a function of this number.
        options: every other field of
            :class:`~ddpm_mindspore.reference.config.Unet1DConfig`, by name.

    Raises:
        ValueError: an option that no network can be built from.
    """

    config: Unet1DConfig

    def __init__(self, dim: int, *, seed: int = 0, **options: Any) -> None:
        super().__init__()
        keep_interrupts()
        self.config = config = Unet1DConfig(dim=dim, **options)
        rng = stream(seed, Purpose.INIT)

        def resnet(dim: int, dim_out: int) -> ResnetBlock:
            return ResnetBlock(rng, dim, dim_out, config.time_dim, config.dropout, rank=1)

        def linear_attention(dim: int) -> Residual:
            heads, dim_head = config.linear_attn_heads, config.linear_attn_dim_head
            return Residual(PreNorm(dim, LinearAttention(rng, dim, heads, dim_head, rank=1)))

        last = len(config.widths) - 1
        self.init_conv = Conv1d(rng, config.in_channels, config.first_dim, 7)
        self.make_embedding(rng)
        self.downs = nn.CellList()
        for i, (d, d_out) in enumerate(config.widths):
            down = Conv1d(rng, d, d_out, 3) if i == last else Conv1d(rng, d, d_out, 4, stride=2)
            parts = [resnet(d, d), resnet(d, d), linear_attention(d), down]
            self.downs.append(nn.CellList(parts))
        inner = config.widths[-1][1]
        middle = Attention(rng, inner, config.attn_heads, config.attn_dim_head, rank=1)
        self.mid_block1 = resnet(inner, inner)
        self.mid_attn = Residual(PreNorm(inner, middle))
        self.mid_block2 = resnet(inner, inner)
        self.ups = nn.CellList()
        for i, (d, d_out) in enumerate(reversed(config.widths)):
            up: nn.Cell = Conv1d(rng, d_out, d, 3) if i == last else Upsample(rng, d_out, d, rank=1)
            parts = [resnet(d_out + d, d_out), resnet(d_out + d, d_out)]
            self.ups.append(nn.CellList([*parts, linear_attention(d_out), up]))
        self.final_res_block = resnet(2 * config.first_dim, config.first_dim)
        self.final_conv = Conv1d(rng, config.first_dim, config.out_channels, 1)
        for name, parameter in self.parameters_and_names():
            parameter.name = name

    def construct(
        self,
        x: Tensor,
        time: Tensor,
        x_self_cond: Tensor | None = None,
        dropout_masks: tuple[Tensor, ...] | None = None,
        condition: Tensor | None = None,
    ) -> Tensor:
        """Apply the network.

        Args:
            x: (B, channels, L), L a multiple of ``config.downsample_factor``.
            time: (B,) float, the zero-based time t - 1.
            x_self_cond: (B, channels, L), the last estimate of x_0 (zeros where None).
            dropout_masks: one 0/1 mask for each residual block, in forward order, or None.
            condition: (B,) int32, the class of each item, as ``Unet`` takes it.

        Returns:
            (B, out_channels, L).
        """
        x = self.with_estimate(x, x_self_cond)
        t = self.embedded(time, condition)

        # Masks and skips are taken from tuples, two a level: a graph has no iterators.
        masks = dropout_masks
        if masks is None:
            masks = (None,) * (4 * len(self.downs) + 3)
        x = self.init_conv(x)
        first = x
        skips = []
        for down in self.downs:
            x = down[0](x, t, masks[0])
            skips.append(x)
            x = down[2](down[1](x, t, masks[1]))
            skips.append(x)
            x = down[3](x)
            masks = masks[2:]
        x = self.mid_attn(self.mid_block1(x, t, masks[0]))
        x = self.mid_block2(x, t, masks[1])
        masks = masks[2:]
        for up in self.ups:
            x = up[0](ops.concat((x, skips[-1]), 1), t, masks[0])
            x = up[1](ops.concat((x, skips[-2]), 1), t, masks[1])
            x = up[3](up[2](x))
            skips, masks = skips[:-2], masks[2:]
        x = self.final_res_block(ops.concat((x, first), 1), t, masks[0])
        return cast(self.final_conv(x), ms.float32)


class PreNorm(nn.Cell):
    """A layer after a norm."""

    def __init__(self, dim: int, fn: nn.Cell) -> None:
        super().__init__()
        self.fn = fn
        self.norm = RMSNorm(dim, rank=1)

    def construct(self, x: Tensor) -> Tensor:
        return self.fn(cast(self.norm(x), x.dtype))


class Residual(nn.Cell):
    """A layer with a way around it."""

    def __init__(self, fn: nn.Cell) -> None:
        super().__init__()
        self.fn = fn

    def construct(self, x: Tensor) -> Tensor:
        return self.fn(x) + x
