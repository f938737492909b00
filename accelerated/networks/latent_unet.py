"""The U-Net of latent diffusion: a MindSpore Cell.

``reference/networks/latent_unet.py`` is the definition, and says whose parameter names these are.
"""

from __future__ import annotations

from typing import Any

import mindspore as ms
from mindspore import Tensor, nn, ops

from ...reference.config import LatentUnetConfig
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
    TimeEmbedding,
    Values,
    cells,
    drawn,
)
from .conditioning import SpatialTransformer
from .network import Network

EPS = 1e-5


class LatentUnet(Network):
    """U-Net of latent diffusion (arXiv 2112.10752, section 3.3), told a text's states.

    Args:
        dim: base width.
        seed: the initial parameters are a function of this number.
        values: the parameters, in place of initial ones: from name and shape to an array.
        options: every other field of
            :class:`~ddpm_mindspore.reference.config.LatentUnetConfig`, by name.

    Raises:
        ValueError: an option that no network can be built from.
    """

    config: LatentUnetConfig
    conditional = True

    def __init__(
        self,
        dim: int = LatentUnetConfig.dim,
        *,
        seed: int = 0,
        values: Values | None = None,
        **options: Any,
    ) -> None:
        super().__init__(auto_prefix=False)
        keep_interrupts()
        self.config = config = LatentUnetConfig(dim=dim, **options)
        values = drawn(stream(seed, Purpose.INIT)) if values is None else values
        time_dim, last = config.time_dim, config.widths[-1]

        self.time_embed = cells(
            TimeEmbedding(dim),
            Dense(values, "time_embed.0", dim, time_dim),
            Dense(values, "time_embed.2", time_dim, time_dim),
        )
        self.first = Conv(values, "input_blocks.0.0.conv", config.in_channels, dim)
        way_in: list[nn.Cell] = []
        for i, stage in enumerate(config.input_stages, 1):
            name = f"input_blocks.{i}"
            if stage.rescale:
                way_in.append(Halving(values, f"{name}.0.op.conv", stage.dim_in))
            else:
                dims = (stage.dim_in, stage.dim_out)
                way_in.append(Stage(values, name, dims, config, stage.attention))
        self.input_blocks = cells(*way_in)
        self.middle_block = cells(
            ResidualBlock(values, "middle_block.0", last, last, config),
            SpatialTransformer(values, "middle_block.1", last, config),
            ResidualBlock(values, "middle_block.2", last, last, config),
        )
        way_out: list[nn.Cell] = []
        for i, stage in enumerate(config.output_stages):
            dims = (stage.dim_in, stage.dim_out)
            way_out.append(
                Stage(values, f"output_blocks.{i}", dims, config, stage.attention, stage.rescale)
            )
        self.output_blocks = cells(*way_out)
        self.out = NormSiluConv(
            values, ("out.0", "out.2.conv"), dim, config.out_channels, config.groups, EPS
        )
        # Which dropout mask is whose, on the way in: a graph has no iterators.
        residual = [not stage.rescale for stage in config.input_stages]
        self.places = tuple(sum(residual[:i]) for i in range(len(residual)))
        self.middle_place = sum(residual)
        self.blocks = self.middle_place + 2 + len(way_out)

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
            x: (B, in_channels, H, W), H and W multiples of ``config.downsample_factor``.
            time: (B,) float, the zero-based time t - 1.
            x_self_cond: None.
            dropout_masks: one 0/1 mask for each residual block, in forward order, or None.
            condition: (B, M, context_dim), the text's states.

        Returns:
            (B, out_channels, H, W).
        """
        t = self.time_embed[1](self.time_embed[0](time))
        t = ops.silu(self.time_embed[2](ops.silu(t)))
        masks = dropout_masks
        if masks is None:
            masks = (None,) * self.blocks

        x = self.first(x)
        skips = [x]
        for i in range(len(self.input_blocks)):
            x = self.input_blocks[i](x, t, condition, masks[self.places[i]])
            skips.append(x)
        middle = self.middle_place
        x = self.middle_block[0](x, t, masks[middle])
        x = self.middle_block[1](x, condition)
        x = self.middle_block[2](x, t, masks[middle + 1])
        for i in range(len(self.output_blocks)):
            x = ops.concat((x, skips[-1 - i]), 1)
            x = self.output_blocks[i](x, t, condition, masks[middle + 2 + i])
        return cast(self.out(x), ms.float32)


class ResidualBlock(Part):
    """Twice group norm, SiLU and convolution, and a way around; the time is added in between."""

    def __init__(
        self, values: Values, name: str, dim: int, dim_out: int, config: LatentUnetConfig
    ) -> None:
        super().__init__()
        names = (f"{name}.in_layers_norm", f"{name}.in_layers_conv.conv")
        self.in_layers = NormSiluConv(values, names, dim, dim_out, config.groups, EPS)
        self.emb_layers = Dense(values, f"{name}.emb_layers.1", config.time_dim, dim_out)
        self.norm = GroupNorm(values, f"{name}.out_layers_norm", dim_out, config.groups, EPS, True)
        self.conv = Conv(values, f"{name}.out_layers_conv.conv", dim_out, dim_out)
        skip = f"{name}.skip_connection.conv"
        self.skip = Conv(values, skip, dim, dim_out, 1) if dim != dim_out else None
        self.kept_scale = 1.0 / (1.0 - config.dropout)

    def construct(self, x: Tensor, silu_time: Tensor, dropout_mask: Tensor | None = None) -> Tensor:
        """Shapes: x (B, C, H, W); silu_time (B, time_dim), the embedding after its SiLU."""
        told = self.emb_layers(silu_time)
        h = self.in_layers(x) + told.reshape(told.shape[0], told.shape[1], 1, 1)
        h = self.norm(h)
        if dropout_mask is not None:
            h = h * cast(dropout_mask, h.dtype) * self.kept_scale
        h = self.conv(h)
        return h + (x if self.skip is None else self.skip(x))


class Stage(Part):
    """A residual block, a spatial transformer where there is one, and an enlargement."""

    def __init__(
        self,
        values: Values,
        name: str,
        dims: tuple[int, int],
        config: LatentUnetConfig,
        attention: bool,
        doubles: bool = False,
    ) -> None:
        super().__init__()
        dim = dims[1]
        self.residual = ResidualBlock(values, f"{name}.0", *dims, config)
        self.transformer = (
            SpatialTransformer(values, f"{name}.1", dim, config) if attention else None
        )
        name = f"{name}.{2 if attention else 1}.conv.conv"
        self.double = DoublingConv(values, name, dim) if doubles else None

    def construct(
        self, x: Tensor, silu_time: Tensor, context: Tensor, dropout_mask: Tensor | None
    ) -> Tensor:
        x = self.residual(x, silu_time, dropout_mask)
        if self.transformer is not None:
            x = self.transformer(x, context)
        if self.double is not None:
            x = self.double(x)
        return x


class Halving(Part):
    """A convolution that halves the image, among stages, of which it needs the image alone."""

    def __init__(self, values: Values, name: str, dim: int) -> None:
        super().__init__()
        self.conv = HalvingConv(values, name, dim, before=1)

    def construct(
        self, x: Tensor, silu_time: Tensor, context: Tensor, dropout_mask: Tensor | None
    ) -> Tensor:
        return self.conv(x)
