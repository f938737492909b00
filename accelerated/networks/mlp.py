"""The network over vectors that predicts noise, x_0 or v from x_t and t: a MindSpore Cell.

``reference/networks/mlp.py`` is the definition.
"""

from __future__ import annotations

from typing import Any

import mindspore as ms
from mindspore import Tensor, nn

from ...reference.config import MlpConfig
from ..precision import cast
from ..randomness import Purpose, stream
from ..system.interrupts import keep_interrupts
from .convolutions import Linear
from .layers import ResnetBlock
from .network import Network


class Mlp(Network):
    """A residual network over vectors (C,).

    Args:
        dim: width.
        seed: the initial parameters are a function of this number.
        options: every other field of :class:`~ddpm_mindspore.reference.config.MlpConfig`, by name.

    Raises:
        ValueError: an option that no network can be built from.
    """

    config: MlpConfig

    def __init__(self, dim: int = MlpConfig.dim, *, seed: int = 0, **options: Any) -> None:
        super().__init__()
        keep_interrupts()
        self.config = config = MlpConfig(dim=dim, **options)
        rng = stream(seed, Purpose.INIT)
        self.init = Linear(rng, config.in_channels, config.dim)
        self.make_embedding(rng)
        self.blocks = nn.CellList(
            [
                ResnetBlock(rng, config.dim, config.dim, config.time_dim, config.dropout, rank=0)
                for _ in range(config.depth)
            ]
        )
        self.final = Linear(rng, config.dim, config.out_channels)
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
            x: (B, channels).
            time: (B,) float, the zero-based time t - 1.
            x_self_cond: (B, channels), the last estimate of x_0 (zeros where None).
            dropout_masks: one 0/1 mask (B, dim) for each block, or None.
            condition: (B,) int32, the class of each item, as ``Unet`` takes it.

        Returns:
            (B, channels).
        """
        x = self.with_estimate(x, x_self_cond)
        t = self.embedded(time, condition)
        masks = dropout_masks
        if masks is None:
            masks = (None,) * len(self.blocks)
        x = self.init(x)
        for block in self.blocks:
            x = block(x, t, masks[0])
            masks = masks[1:]
        return cast(self.final(x), ms.float32)
