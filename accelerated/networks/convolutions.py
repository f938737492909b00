"""Convolutions of images and sequences, and linear maps: what has a weight and a bias.

``reference/networks/layers.py`` defines them, as ``conv``.
"""

from __future__ import annotations

import math

import numpy as np
from mindspore import Parameter, Tensor, nn, ops

from ..kernels.dense import CompiledLinear
from ..precision import cast
from .operators import Convolution, Factored

Rng = np.random.Generator


def _uniform(rng: Rng, shape: tuple[int, ...], fan_in: int) -> Parameter:
    bound = 1.0 / math.sqrt(fan_in)
    return Parameter(Tensor(rng.uniform(-bound, bound, shape).astype(np.float32)))


class Conv2d(nn.Cell):
    """Convolution with a square kernel of odd size that keeps height and width."""

    def __init__(self, rng: Rng, dim: int, dim_out: int, kernel: int, bias: bool = True) -> None:
        super().__init__()
        fan_in = dim * kernel * kernel
        self.weight = _uniform(rng, (dim_out, dim, kernel, kernel), fan_in)
        self.bias = _uniform(rng, (dim_out,), fan_in) if bias else None
        self.convolve = Convolution(dim_out, kernel)

    def construct(self, x: Tensor) -> Tensor:
        return self.convolve(x, self.weight, self.bias)


class Conv1d(nn.Cell):
    """Convolution along sequences x (B, C, L), whose length it divides by ``stride``.

    It runs as the convolution of images of height 1.
    """

    def __init__(
        self, rng: Rng, dim: int, dim_out: int, kernel: int, bias: bool = True, stride: int = 1
    ) -> None:
        super().__init__()
        fan_in = dim * kernel
        self.weight = _uniform(rng, (dim_out, dim, kernel), fan_in)
        self.bias = _uniform(rng, (dim_out,), fan_in) if bias else None
        self.convolve = Convolution(dim_out, (1, kernel), (1, stride))

    def construct(self, x: Tensor) -> Tensor:
        batch, dim, length = x.shape
        dim_out, _, kernel = self.weight.shape
        weight = self.weight.reshape(dim_out, dim, 1, kernel)
        out = self.convolve(x.reshape(batch, dim, 1, length), weight, self.bias)
        return out.reshape(batch, dim_out, -1)


class Product(Factored):
    """``x W^T + b``: x (R, C), weight (O, C), bias (O,) or None."""

    def __init__(self) -> None:
        super().__init__(CompiledLinear)
        self.multiply = ops.MatMul(transpose_b=True)

    def construct(self, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        onednn = self.form()
        if onednn is not None:
            return self.product(onednn, x, weight, bias)
        x = cast(self.multiply(cast(x, self.compute), cast(weight, self.compute)), self.result)
        return x if bias is None else x + cast(bias, self.result)


class Linear(nn.Cell):
    """``x W^T + b``."""

    def __init__(self, rng: Rng, dim: int, dim_out: int) -> None:
        super().__init__()
        self.weight = _uniform(rng, (dim_out, dim), dim)
        self.bias = _uniform(rng, (dim_out,), dim)
        self.product = Product()

    def construct(self, x: Tensor) -> Tensor:
        return self.product(x, self.weight, self.bias)


CONVOLUTIONS = {2: Conv2d, 1: Conv1d}
"""By the rank of the items, which is how many sides they have."""


def convolution(rng: Rng, dim: int, dim_out: int, kernel: int, rank: int) -> nn.Cell:
    """The convolution of items of this rank: of vectors, which have no neighbours, a linear map."""
    if rank == 0:
        return Linear(rng, dim, dim_out)
    return CONVOLUTIONS[rank](rng, dim, dim_out, kernel)
