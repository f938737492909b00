"""The U-Net that predicts noise, x_0 or v from x_t and t: a MindSpore Cell.

Layout and parameter names are those of ``denoising-diffusion-pytorch`` 2.3.4, so weights move both
ways without renaming. ``reference/networks/unet.py`` is the definition.
"""

from __future__ import annotations

from typing import Any

import mindspore as ms
from mindspore import Tensor, nn, ops

from ...reference.config import UnetConfig
from ..precision import cast
from ..randomness import Purpose, stream
from ..system.interrupts import keep_interrupts
from .attention import Attention, LinearAttention
from .convolutions import Conv2d
from .layers import Downsample, ResnetBlock, Upsample
from .network import Network


class Unet(Network):
    """U-Net of Ho et al. 2020 (arXiv 2006.11239, appendix B) with linear attention.

    Args:
        dim: base width.
        seed: the initial parameters are a function of this number.
        options: every other field of :class:`~ddpm_mindspore.reference.config.UnetConfig`, by name.

    Raises:
        ValueError: an option that no network can be built from.
    """

    config: UnetConfig

    def __init__(self, dim: int, *, seed: int = 0, **options: Any) -> None:
        super().__init__()
        keep_interrupts()
        self.config = config = UnetConfig(dim=dim, **options)
        rng = stream(seed, Purpose.INIT)
        time_dim = config.time_dim
        self.is_shown_picture = config.cond_channels > 0

        def resnet(dim: int, dim_out: int) -> ResnetBlock:
            return ResnetBlock(rng, dim, dim_out, time_dim, config.dropout)

        def attention(dim: int, full: bool, heads: int, dim_head: int) -> nn.Cell:
            return (Attention if full else LinearAttention)(rng, dim, heads, dim_head)

        self.init_conv = Conv2d(rng, config.in_channels, config.first_dim, 7)
        self.make_embedding(rng)
        self.downs = nn.CellList()
        for level in config.levels:
            d, d_out = level.dim_in, level.dim_out
            self.downs.append(
                nn.CellList(
                    [
                        resnet(d, d),
                        resnet(d, d),
                        attention(d, level.full_attn, level.heads, level.dim_head),
                        Conv2d(rng, d, d_out, 3)
                        if level.is_innermost
                        else Downsample(rng, d, d_out),
                    ]
                )
            )
        inner = config.levels[-1]
        self.mid_block1 = resnet(inner.dim_out, inner.dim_out)
        self.mid_attn = attention(inner.dim_out, True, inner.heads, inner.dim_head)
        self.mid_block2 = resnet(inner.dim_out, inner.dim_out)
        self.ups = nn.CellList()
        for i, level in enumerate(reversed(config.levels)):
            d, d_out = level.dim_in, level.dim_out
            is_outermost = i == len(config.levels) - 1
            self.ups.append(
                nn.CellList(
                    [
                        resnet(d_out + d, d_out),
                        resnet(d_out + d, d_out),
                        attention(d_out, level.full_attn, level.heads, level.dim_head),
                        Conv2d(rng, d_out, d, 3) if is_outermost else Upsample(rng, d_out, d),
                    ]
                )
            )
        self.final_res_block = resnet(2 * config.first_dim, config.first_dim)
        self.final_conv = Conv2d(rng, config.first_dim, config.out_channels, 1)
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
            x: (B, channels, H, W), H and W multiples of ``config.downsample_factor``.
            time: (B,) float, the zero-based index t - 1.
            x_self_cond: (B, channels, H, W), the last estimate of x_0 (zeros where None).
            dropout_masks: one 0/1 mask for each residual block, in forward order, or None.
            condition: (B,) int32, the class of each image, ``num_classes`` for none; or a picture,
                (B, cond_channels, H, W). Only where the network takes one, and then always.

        Returns:
            (B, out_channels, H, W).
        """
        x = self.with_estimate(x, x_self_cond)
        if self.is_shown_picture:
            x = ops.concat((x, condition), 1)
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
            x = down[1](x, t, masks[1])
            x = down[2](x) + x
            skips.append(x)
            x = down[3](x)
            masks = masks[2:]
        x = self.mid_block1(x, t, masks[0])
        x = self.mid_attn(x) + x
        x = self.mid_block2(x, t, masks[1])
        masks = masks[2:]
        for up in self.ups:
            x = up[0](x, t, masks[0], skips[-1])
            x = up[1](x, t, masks[1], skips[-2])
            x = up[2](x) + x
            x = up[3](x)
            skips, masks = skips[:-2], masks[2:]
        x = self.final_res_block(x, t, masks[0], first)
        return cast(self.final_conv(x), ms.float32)
