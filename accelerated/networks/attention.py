"""Attention of the pixels of an image, or of a sequence, to each other.

Each is defined under the same name in ``reference/networks/layers.py``.
"""

from __future__ import annotations

import mindspore as ms
from mindspore import Tensor, nn, ops
from mindspore.ops.auto_generate import SplitWithSize

from ..kernels import attention as compiled_forms
from ..precision import cast
from .convolutions import CONVOLUTIONS, Rng
from .layers import RMSNorm, _normal
from .operators import AddBias, Factored, Softmax, fastest


class LinearAttention(Factored):
    """Attention with ``softmax(q) (softmax(k)^T v)``, linear in the pixels (arXiv 1812.01243).

    Over images it has a norm before it and learned keys and values, over sequences (rank 1) not.
    """

    def __init__(
        self, rng: Rng, dim: int, heads: int, dim_head: int, memories: int = 4, rank: int = 2
    ) -> None:
        memories = memories if rank == 2 else 0
        super().__init__(compiled_forms.CompiledLinearAttention, heads, memories)
        self.heads, self.dim_head = heads, dim_head
        hidden = heads * dim_head
        conv = CONVOLUTIONS[rank]
        self.norm = RMSNorm(dim) if rank == 2 else None
        self.mem_kv = _normal(rng, (2, heads, dim_head, memories)) if rank == 2 else None
        self.no_memory = ops.zeros((1,), ms.float32)
        self.to_qkv = conv(rng, dim, 3 * hidden, 1, bias=False)
        self.to_out = nn.SequentialCell([conv(rng, hidden, dim, 1), RMSNorm(dim, rank)])
        self.add_bias = AddBias()
        self.softmax = fastest(Softmax)

    def construct(self, x: Tensor) -> Tensor:
        shape = x.shape
        x = x.reshape(shape[0], shape[1], -1)
        batch, dim, pixels = x.shape
        heads, dim_head = self.heads, self.dim_head
        hidden = heads * dim_head
        x = x if self.norm is None else self.norm(x)
        attend = self.form()
        if attend is not None:
            memory = self.no_memory if self.mem_kv is None else self.mem_kv
            qkv = self.to_qkv(x.reshape(shape)).reshape(batch, 3 * hidden, pixels)
            out = self.to_out[0](attend(qkv, memory).reshape(batch, hidden, *shape[2:]))
            return self.to_out[1](out.reshape(batch, dim, pixels)).reshape(shape)

        low = self.compute
        x = cast(x, low)
        weight_q, weight_kv = SplitWithSize()(
            cast(self.to_qkv.weight, low).reshape(3 * hidden, dim), (hidden, 2 * hidden), 0
        )
        # q comes out as (B, pixels, heads, dim_head): its softmax then runs over the last axis.
        q = ops.BatchMatMul(True, True)(x, ops.broadcast_to(weight_q, (batch, hidden, dim)))
        q = cast(q, ms.float32).reshape(batch, pixels, heads, dim_head)
        q = cast(self.softmax(q), low).reshape(batch, pixels, hidden)
        kv = ops.bmm(ops.broadcast_to(weight_kv, (batch, 2 * hidden, dim)), x)
        kv = cast(kv, self.result)
        k, v = _with_memory(kv.reshape(batch, 2, heads, dim_head, pixels), self.mem_kv)
        k = cast(self.softmax(cast(k, ms.float32)), low)
        context = ops.BatchMatMul(False, True)(cast(v, low), k)  # (B, heads, e, d)

        # The output projection goes into the small context, not over all pixels.
        to_out = cast(self.to_out[0].weight, low)
        to_out = to_out.reshape(1, dim, heads, dim_head).transpose(0, 2, 1, 3)
        context = ops.bmm(ops.broadcast_to(to_out, (batch, heads, dim, dim_head)), context)
        context = context.transpose(0, 2, 1, 3).reshape(batch, dim, hidden) * dim_head**-0.5
        out = cast(ops.BatchMatMul(False, True)(context, q), self.result).reshape(shape)
        out = self.add_bias(out, self.to_out[0].bias)
        return cast(self.to_out[1](out.reshape(batch, dim, pixels)), self.result).reshape(shape)


class Attention(Factored):
    """``softmax(q k^T / sqrt(d)) v`` over all pixels (arXiv 1706.03762, eq. 1).

    Over images it has a norm before it and learned keys and values, over sequences (rank 1) not.
    """

    def __init__(
        self, rng: Rng, dim: int, heads: int, dim_head: int, memories: int = 4, rank: int = 2
    ) -> None:
        memories = memories if rank == 2 else 0
        super().__init__(compiled_forms.CompiledPixelAttention, heads, memories)
        self.heads, self.dim_head = heads, dim_head
        hidden = heads * dim_head
        conv = CONVOLUTIONS[rank]
        self.norm = RMSNorm(dim) if rank == 2 else None
        self.mem_kv = _normal(rng, (2, heads, memories, dim_head)) if rank == 2 else None
        self.no_memory = ops.zeros((1,), ms.float32)
        self.to_qkv = conv(rng, dim, 3 * hidden, 1, bias=False)
        self.to_out = conv(rng, hidden, dim, 1)
        self.softmax = fastest(Softmax)

    def construct(self, x: Tensor) -> Tensor:
        shape = x.shape
        batch, heads, dim_head = shape[0], self.heads, self.dim_head
        if self.norm is not None:
            x = self.norm(x.reshape(batch, shape[1], -1)).reshape(shape)
        qkv = self.to_qkv(x)
        attend = self.form()
        if attend is not None:
            memory = self.no_memory if self.mem_kv is None else self.mem_kv
            out = attend(qkv.reshape(batch, 3 * heads * dim_head, -1), memory)
            return self.to_out(out.reshape(batch, heads * dim_head, *shape[2:]))
        qkv = qkv.reshape(batch, 3, heads, dim_head, -1)
        pixels = qkv.shape[-1]
        # ops.split into parts of different sizes would add 7 MB to the compiled graph.
        cut, end, ones = ops.StridedSlice(), (heads, dim_head, pixels), (1, 1, 1, 1, 1)
        q = cut(qkv, (0, 0, 0, 0, 0), (batch, 1, *end), ones)
        kv = cut(qkv, (0, 1, 0, 0, 0), (batch, 3, *end), ones)
        q = q.reshape(batch, heads, dim_head, pixels) * dim_head**-0.5
        memory = None if self.mem_kv is None else self.mem_kv.transpose(0, 1, 3, 2)
        k, v = _with_memory(kv, memory)
        low = self.compute
        scores = ops.BatchMatMul(True, False)(cast(q, low), cast(k, low))
        weights = self.softmax(cast(scores, ms.float32))  # (B, heads, pixels, keys)
        out = ops.BatchMatMul(False, True)(cast(v, low), cast(weights, low))
        return self.to_out(out.reshape(batch, heads * dim_head, *shape[2:]))


def _with_memory(kv: Tensor, mem_kv: Tensor | None) -> tuple[Tensor, Tensor]:
    """Put the learned keys and values (2, heads, d, M) before kv (B, 2, heads, d, N); split."""
    batch, _, heads, dim_head, _ = kv.shape
    if mem_kv is not None:
        memory = ops.broadcast_to(
            cast(mem_kv, kv.dtype).reshape(1, 2, heads, dim_head, mem_kv.shape[-1]),
            (batch, 2, heads, dim_head, mem_kv.shape[-1]),
        )
        kv = ops.concat((memory, kv), -1)
    k, v = ops.Split(1, 2)(kv)
    shape = (batch, heads, dim_head, -1)
    return k.reshape(shape), v.reshape(shape)
