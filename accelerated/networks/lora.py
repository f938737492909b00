"""Low-rank adaptation: what is trained is added to the results of layers that stay as they are.

``reference/networks/lora.py`` is the definition, which adds it to the weights. Here W x + s B (A x)
is computed as it stands: of the gradient by W, as large as W, nothing is made.
"""

from __future__ import annotations

from mindspore import Tensor, nn

from ...reference.config import TextUnetConfig
from .blocks import Dense, Part, Values
from .conditioning import CrossAttention
from .transformer import Block


class Adapted(Part):
    """``x W^T + b + scale (x A^T) B^T`` (arXiv 2106.09685, eq. 3).

    Args:
        values: the factors A and B, ``NAME.lora_down.weight`` and ``NAME.lora_up.weight``.
        dense: the layer NAME, whose parameters are not trained any more.
        rank: rows of A.
        scale: alpha / rank.
    """

    def __init__(self, values: Values, dense: Dense, rank: int, scale: float) -> None:
        super().__init__()
        name, (dim_out, dim) = dense.weight.name.removesuffix(".weight"), dense.dims
        self.dense, self.scale = dense, scale
        self.down = Dense(values, f"{name}.lora_down", dim, rank, bias=False)
        self.up = Dense(values, f"{name}.lora_up", rank, dim_out, bias=False)

    def construct(self, x: Tensor) -> Tensor:
        return self.dense(x) + self.scale * self.up(self.down(x))


def adapt(network: nn.Cell, values: Values, config: TextUnetConfig) -> None:
    """Freeze a network, and add factors to its attention, which alone are trained from now on.

    Args:
        network: whose parameters have their full names.
        values: the factors.
        config: their rank and scale, and whether the text encoder has any; with a rank.
    """
    assert config.lora_rank is not None
    for parameter in network.get_parameters():
        parameter.requires_grad = False
    for _, cell in [*network.cells_and_names()]:
        layers: tuple[str, ...] = ()
        if isinstance(cell, CrossAttention):
            layers = ("to_q", "to_k", "to_v", "to_out")
        elif isinstance(cell, Block) and config.lora_text_encoder:
            layers = ("in_proj", "out_proj")
        for name in layers:
            dense = getattr(cell, name)
            setattr(cell, name, Adapted(values, dense, config.lora_rank, config.lora_scale))
