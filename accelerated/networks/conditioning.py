"""How a picture reads a text: cross-attention between pixels and a text's states.

``reference/networks/conditioning.py`` defines it. A 1x1 convolution around tokens is a product with
its weight: they are transposed once, not convolved.
"""

from __future__ import annotations

import mindspore as ms
from mindspore import Tensor, ops

from ...reference.config import LatentUnetConfig
from ..kernels.attention import CompiledAttention
from ..kernels.dense import CompiledGeglu
from ..precision import cast
from .blocks import Dense, GroupNorm, LayerNorm, Part, Values, gelu_tanh
from .layers import gelu
from .operators import Factored, Softmax, compiled, fastest

SPATIAL_EPS = 1e-6


class Attend(Factored):
    """``softmax(q k^T / sqrt(d) + mask) v`` for each head (arXiv 1706.03762, eq. 1)."""

    def __init__(self, heads: int) -> None:
        super().__init__(CompiledAttention, heads)
        self.heads = heads
        self.softmax = fastest(Softmax)

    def construct(self, q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None = None) -> Tensor:
        """Shapes: q (B, N, C), k and v (B, M, C), mask (N, M), the result (B, N, C)."""
        attend = self.form()
        if attend is not None:
            return attend(q, k, v, mask)
        batch, length, dim = q.shape
        dim_head = dim // self.heads
        low = self.compute
        heads = (batch, -1, self.heads, dim_head)
        q = cast(q, low).reshape(heads).transpose(0, 2, 1, 3) * dim_head**-0.5
        k = cast(k, low).reshape(heads).transpose(0, 2, 1, 3)
        v = cast(v, low).reshape(heads).transpose(0, 2, 1, 3)
        scores = cast(ops.BatchMatMul(False, True)(q, k), ms.float32)
        weights = self.softmax(scores if mask is None else scores + mask)
        out = cast(ops.BatchMatMul()(cast(weights, low), v), self.result)
        return out.transpose(0, 2, 1, 3).reshape(batch, length, dim)


class CrossAttention(Part):
    """Queries of tokens; keys and values of a context, which may be the tokens themselves."""

    def __init__(self, values: Values, name: str, dim: int, context_dim: int, heads: int) -> None:
        super().__init__()
        self.to_q = Dense(values, f"{name}.to_q", dim, dim, bias=False)
        self.to_k = Dense(values, f"{name}.to_k", context_dim, dim, bias=False)
        self.to_v = Dense(values, f"{name}.to_v", context_dim, dim, bias=False)
        self.attend = Attend(heads)
        self.to_out = Dense(values, f"{name}.to_out.0", dim, dim)

    def construct(self, x: Tensor, context: Tensor) -> Tensor:
        return self.to_out(self.attend(self.to_q(x), self.to_k(context), self.to_v(context)))


class Geglu(Part):
    """``value * gelu(gate)``, four times as wide (arXiv 2002.05202, eq. 6)."""

    def __init__(self, values: Values, name: str, dim: int, gelu: str) -> None:
        super().__init__()
        self.proj = Dense(values, f"{name}.proj", dim, 8 * dim)
        self.approximate = gelu == "tanh"
        self.fused = compiled(CompiledGeglu) if self.approximate else None

    def construct(self, x: Tensor) -> Tensor:
        x = self.proj(x)
        if self.fused is not None and x.dtype == ms.float32:
            out = self.fused(x.reshape(-1, x.shape[-1]))
            return out.reshape((*x.shape[:-1], -1))
        value, gate = ops.Split(-1, 2)(x)
        return value * (gelu_tanh(gate) if self.approximate else gelu(gate))


class TransformerBlock(Part):
    """Attention to each other, attention to the context and a feed-forward layer, each added."""

    def __init__(self, values: Values, name: str, dim: int, config: LatentUnetConfig) -> None:
        super().__init__()
        heads, eps = config.heads, config.norm_eps
        self.norm1 = LayerNorm(values, f"{name}.norm1", dim, eps)
        self.attn1 = CrossAttention(values, f"{name}.attn1", dim, dim, heads)
        self.norm2 = LayerNorm(values, f"{name}.norm2", dim, eps)
        self.attn2 = CrossAttention(values, f"{name}.attn2", dim, config.context_dim, heads)
        self.norm3 = LayerNorm(values, f"{name}.norm3", dim, eps)
        self.geglu = Geglu(values, f"{name}.ff.net.0", dim, config.gelu)
        self.out = Dense(values, f"{name}.ff.net.2", 4 * dim, dim)

    def construct(self, x: Tensor, context: Tensor) -> Tensor:
        own = self.norm1(x)
        x = x + self.attn1(own, own)
        x = x + self.attn2(self.norm2(x), context)
        return x + self.out(self.geglu(self.norm3(x)))


class SpatialTransformer(Part):
    """What a transformer block makes of an image's pixels, added to the image."""

    def __init__(self, values: Values, name: str, dim: int, config: LatentUnetConfig) -> None:
        super().__init__()
        self.norm = GroupNorm(values, f"{name}.norm", dim, config.groups, SPATIAL_EPS)
        self.proj_in = Dense(values, f"{name}.proj_in", dim, dim, pointwise=True)
        self.block = TransformerBlock(values, f"{name}.transformer_blocks.0", dim, config)
        self.proj_out = Dense(values, f"{name}.proj_out", dim, dim, pointwise=True)

    def construct(self, x: Tensor, context: Tensor) -> Tensor:
        """Shapes: x and the result (B, C, H, W), context (B, M, D)."""
        tokens = self.norm(x).reshape(x.shape[0], x.shape[1], -1).transpose(0, 2, 1)
        tokens = self.proj_out(self.block(self.proj_in(tokens), context))
        return x + tokens.transpose(0, 2, 1).reshape(x.shape)
