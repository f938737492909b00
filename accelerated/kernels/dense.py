"""Compiled operators of networks that read texts: linear maps, and what stands between them."""

from __future__ import annotations

from typing import Any

import mindspore as ms
from mindspore import Tensor, nn

from . import _first, _operator


class CompiledLinear(nn.Cell):
    """``x W^T + b``: x (R, C), W (O, C), b (O,).

    ``factors`` "bfloat16": the two of every product are rounded to it, forwards and backwards;
    sums, biases and results are float32.
    """

    def __init__(self, factors: str = "float32") -> None:
        super().__init__()
        name = "linear" if factors == "float32" else f"linear_{factors}"

        def result(x: Any, weight: Any, bias: Any) -> tuple[int, ...]:
            return (x[0], weight[0])

        def like_weight_and_bias(x: Any, weight: Any, dout: Any) -> tuple[Any, Any]:
            return weight, (weight[0],)

        self.multiply = _operator(name, result, 1)
        self.input_gradient = _operator(f"{name}_input_gradient", _first, 1)
        self.weight_gradient = _operator(f"{name}_weight_gradient", like_weight_and_bias, 2)

    def construct(self, x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        return self.multiply(x, weight, bias)

    def bprop(
        self, x: Tensor, weight: Tensor, bias: Tensor, out: Tensor, dout: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        dweight, dbias = self.weight_gradient(x, weight, dout)
        return self.input_gradient(x, weight, dout), dweight, dbias


class CompiledGeglu(nn.Cell):
    """``value gelu(gate)`` of rows (R, 2 N), value before gate; GELU by its approximation."""

    def __init__(self) -> None:
        super().__init__()

        def half(x: Any) -> tuple[int, ...]:
            return (x[0], x[1] // 2)

        self.geglu = _operator("geglu", half, 1)
        self.gradient = _operator("geglu_gradient", _first, 1)

    def construct(self, x: Tensor) -> Tensor:
        return self.geglu(x)

    def bprop(self, x: Tensor, out: Tensor, dout: Tensor) -> tuple[Tensor]:
        return (self.gradient(x, dout),)


class CompiledGroupNormalizeSilu(nn.Cell):
    """``silu(gamma u + beta)``, u as :class:`CompiledGroupNormalize` has it of x (B, C, N)."""

    def __init__(self, groups: int, eps: float) -> None:
        super().__init__()
        self.settings = Tensor([groups, eps], ms.float32)

        def three(x: Any, gamma: Any, beta: Any, settings: Any, dout: Any) -> tuple[Any, Any, Any]:
            return x, gamma, beta

        self.normalize = _operator("standardize_silu", _first, 1)
        self.gradient = _operator("standardize_silu_gradient", three, 3)

    def construct(self, x: Tensor, gamma: Tensor, beta: Tensor) -> Tensor:
        return self.normalize(x, gamma, beta, self.settings)

    def bprop(
        self, x: Tensor, gamma: Tensor, beta: Tensor, out: Tensor, dout: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        dx, dgamma, dbeta = self.gradient(x, gamma, beta, self.settings, dout)
        return dx, dgamma, dbeta
