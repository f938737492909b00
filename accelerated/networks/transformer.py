"""The text encoder, a causal transformer: a MindSpore Cell.

``reference/networks/transformer.py`` is the definition.
"""

from __future__ import annotations

from typing import Any

import mindspore as ms
import numpy as np
from mindspore import Tensor, ops

from ...reference.config import TransformerConfig
from ..precision import cast
from ..randomness import Purpose, stream
from ..system.interrupts import keep_interrupts
from .blocks import Dense, LayerNorm, Part, Values, cells, drawn, parameter, quick_gelu
from .conditioning import Attend
from .network import Weighted

HIDDEN = -1e30
"""Added to a score, it leaves a weight of exactly 0."""


class Transformer(Weighted):
    """The text encoder of CLIP (arXiv 2103.00020, section 2.4).

    Args:
        seed: the initial parameters are a function of this number.
        values: the parameters, in place of initial ones: from name and shape to an array.
        options: the fields of :class:`~ddpm_mindspore.reference.config.TransformerConfig`, by name.

    Raises:
        ValueError: an option that no network can be built from.
    """

    def __init__(self, *, seed: int = 0, values: Values | None = None, **options: Any) -> None:
        super().__init__(auto_prefix=False)
        keep_interrupts()
        self.config = config = TransformerConfig(**options)
        values = drawn(stream(seed, Purpose.INIT)) if values is None else values
        width = config.width
        self.embedding_table = parameter(values, "embedding_table", config.vocabulary, width)
        self.positional_embedding = parameter(values, "positional_embedding", config.length, width)
        blocks = [
            Block(values, f"transformer_layer.resblocks.{i}", config) for i in range(config.layers)
        ]
        self.blocks = cells(*blocks)
        self.ln_final = LayerNorm(values, "ln_final", width, config.norm_eps)
        mask = np.triu(np.full((config.length, config.length), HIDDEN), 1)
        self.mask = Tensor(mask, ms.float32)

    def construct(self, ids: Tensor) -> Tensor:
        """The states (B, N, width) of ids (B, N) int32, N at most ``config.length``."""
        length = ids.shape[1]
        x = ops.gather(self.embedding_table, ids, 0) + self.positional_embedding[:length]
        mask = self.mask[:length, :length]
        for block in self.blocks:
            x = block(x, mask)
        return cast(self.ln_final(x), ms.float32)


class Block(Part):
    """Attention to itself and to what stands before, and two linear layers, each added."""

    def __init__(self, values: Values, name: str, config: TransformerConfig) -> None:
        super().__init__()
        width, inner, eps = config.width, config.inner, config.norm_eps
        self.ln_1 = LayerNorm(values, f"{name}.ln_1", width, eps)
        self.ln_2 = LayerNorm(values, f"{name}.ln_2", width, eps)
        self.in_proj = Dense(values, f"{name}.attn.attn.in_proj", width, 3 * width)
        self.out_proj = Dense(values, f"{name}.attn.attn.out_proj", width, width)
        self.c_fc = Dense(values, f"{name}.c_fc", width, inner)
        self.c_proj = Dense(values, f"{name}.c_proj", inner, width)
        self.attend = Attend(config.heads)

    def construct(self, x: Tensor, mask: Tensor) -> Tensor:
        q, k, v = ops.Split(-1, 3)(self.in_proj(self.ln_1(x)))
        x = x + self.out_proj(self.attend(q, k, v, mask))
        return x + self.c_proj(quick_gelu(self.c_fc(self.ln_2(x))))
