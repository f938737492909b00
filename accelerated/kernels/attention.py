"""Attention as compiled operators: scores stay in the cache, and are computed again backwards.

``factors`` "bfloat16": queries, keys, values, weights and what comes backwards to them are rounded
to it where they are multiplied; scores, softmaxes, sums and results are float32 all the same.
"""

from __future__ import annotations

from typing import Any

import mindspore as ms
from mindspore import Tensor, nn, ops

from . import _first, _operator


def _name(name: str, factors: str) -> str:
    return name if factors == "float32" else f"{name}_{factors}"


class CompiledAttention(nn.Cell):
    """``softmax(q k^T / sqrt(d) + mask) v`` for each head: q (B, N, C), k and v (B, M, C).

    ``mask`` (N, M), or None. Head h is the channels h d to (h + 1) d - 1.
    """

    def __init__(self, heads: int, factors: str = "float32") -> None:
        super().__init__()
        name = _name("attention", factors)
        self.plain, self.masked = (Tensor([heads, told], ms.float32) for told in (0, 1))
        self.no_mask = ops.zeros((1, 1), ms.float32)

        def three(q: Any, k: Any, v: Any, *rest: Any) -> tuple[Any, Any, Any]:
            return q, k, v

        self.attend = _operator(name, _first, 1)
        self.gradient = _operator(f"{name}_gradient", three, 3)

    def construct(self, q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None = None) -> Tensor:
        if mask is None:
            return self.attend(q, k, v, self.no_mask, self.plain)
        return self.attend(q, k, v, mask, self.masked)

    def bprop(
        self, q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None, out: Tensor, dout: Tensor
    ) -> tuple[Tensor, Tensor, Tensor, Any]:
        if mask is None:
            dq, dk, dv = self.gradient(q, k, v, self.no_mask, self.plain, dout)
            return dq, dk, dv, None
        dq, dk, dv = self.gradient(q, k, v, mask, self.masked, dout)
        return dq, dk, dv, ops.zeros_like(mask)


class _OverPixels(nn.Cell):
    """Of qkv (B, 3 heads d, N) and what stands before keys and values: (B, heads d, N)."""

    def __init__(self, name: str, heads: int, memories: int, factors: str) -> None:
        super().__init__()
        name = _name(name, factors)
        self.settings = Tensor([heads, memories], ms.float32)

        def a_third(qkv: Any, *rest: Any) -> tuple[int, ...]:
            return (qkv[0], qkv[1] // 3, qkv[2])

        def two(qkv: Any, memory: Any, *rest: Any) -> tuple[Any, Any]:
            return qkv, memory

        self.attend = _operator(name, a_third, 1)
        self.gradient = _operator(f"{name}_gradient", two, 2)

    def construct(self, qkv: Tensor, memory: Tensor) -> Tensor:
        return self.attend(qkv, memory, self.settings)

    def bprop(
        self, qkv: Tensor, memory: Tensor, out: Tensor, dout: Tensor
    ) -> tuple[Tensor, Tensor]:
        dqkv, dmemory = self.gradient(qkv, memory, self.settings, dout)
        return dqkv, dmemory


class CompiledPixelAttention(_OverPixels):
    """``softmax(q k^T / sqrt(d)) v`` over all pixels; memory (2, heads, ``memories``, d)."""

    def __init__(self, heads: int, memories: int, factors: str = "float32") -> None:
        super().__init__("pixel_attention", heads, memories, factors)


class CompiledLinearAttention(_OverPixels):
    """``softmax(q) (softmax(k) v^T) / sqrt(d)``; memory (2, heads, d, ``memories``)."""

    def __init__(self, heads: int, memories: int, factors: str = "float32") -> None:
        super().__init__("linear_attention", heads, memories, factors)
