"""What the networks of latent diffusion are built of, in the forms that run fast.

``reference/networks/blocks.py`` defines it. Each part is told the full name of its parameters and a
function that has their values: drawn ones, or those of a file, which then are in memory once.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, TypeAlias

import mindspore as ms
import numpy as np
from mindspore import Parameter, Tensor, nn, ops
from numpy.typing import NDArray

from ...reference.networks.initial import draw
from ..precision import MixedCell, cast
from .convolutions import Product
from .layers import upsample_nearest
from .operators import Convolution, GroupNormalize, GroupNormalizeSilu, LayerNormalize, fastest

Values: TypeAlias = Callable[[str, tuple[int, ...]], NDArray[Any] | Parameter]
"""From a parameter's name and shape to its value, or to a parameter to share memory with."""


def drawn(rng: np.random.Generator) -> Values:
    """First values, one after another from this generator."""

    def values(name: str, shape: tuple[int, ...]) -> NDArray[Any]:
        return draw(name, shape, rng)

    return values


class Part(MixedCell):
    """A part of a network that leaves its parameters the names that they were given."""

    def __init__(self) -> None:
        super().__init__(auto_prefix=False)


def parameter(values: Values, name: str, *shape: int) -> Parameter:
    """The parameter of this name; in the memory of another one, where ``values`` gives that."""
    given = values(name, shape)
    if not isinstance(given, Parameter):
        return Parameter(Tensor(np.asarray(given, np.float32)), name=name)
    own = Parameter(Tensor(given.asnumpy()), name=name)
    own.set_data(given)
    return own


def cells(*parts: nn.Cell) -> nn.CellList:
    """A list of parts that keep the names of their parameters."""
    return nn.CellList(list(parts), auto_prefix=False)


class Dense(Part):
    """``x W^T + b`` of the last axis; W (O, C, 1, 1) where ``pointwise``, a 1 x 1 convolution's."""

    def __init__(
        self,
        values: Values,
        name: str,
        dim: int,
        dim_out: int,
        bias: bool = True,
        pointwise: bool = False,
    ) -> None:
        super().__init__()
        self.dims = (dim_out, dim)
        self.weight = parameter(values, f"{name}.weight", *self.dims, *((1, 1) * pointwise))
        self.bias = parameter(values, f"{name}.bias", dim_out) if bias else None
        self.product = Product()

    def construct(self, x: Tensor) -> Tensor:
        dim_out, dim = self.dims
        out = self.product(x.reshape(-1, dim), self.weight.reshape(dim_out, dim), self.bias)
        return out.reshape((*x.shape[:-1], dim_out))


class Conv(Part):
    """Convolution with a square kernel of odd size that keeps height and width."""

    def __init__(self, values: Values, name: str, dim: int, dim_out: int, kernel: int = 3) -> None:
        super().__init__()
        self.weight = parameter(values, f"{name}.weight", dim_out, dim, kernel, kernel)
        self.bias = parameter(values, f"{name}.bias", dim_out)
        self.convolve = Convolution(dim_out, kernel)

    def construct(self, x: Tensor) -> Tensor:
        return self.convolve(x, self.weight, self.bias)


class HalvingConv(Part):
    """A 3x3 convolution at every second pixel: centred there (``before`` 1), or beginning (0)."""

    def __init__(self, values: Values, name: str, dim: int, before: int) -> None:
        super().__init__()
        self.before = before
        self.weight = parameter(values, f"{name}.weight", dim, dim, 3, 3)
        self.bias = parameter(values, f"{name}.bias", dim)
        self.convolve = Convolution(dim, 3, 2)  # of an odd side, which needs no margin

    def construct(self, x: Tensor) -> Tensor:
        batch, dim, height, width = x.shape
        row, column = (
            ops.zeros((batch, dim, 1, width), x.dtype),
            ops.zeros((batch, dim, height + 1, 1), x.dtype),
        )
        x = ops.concat((row, x) if self.before else (x, row), 2)
        x = ops.concat((column, x) if self.before else (x, column), 3)
        return self.convolve(x, self.weight, self.bias)


class DoublingConv(Part):
    """Nearest-neighbour enlargement by two, then a 3x3 convolution."""

    def __init__(self, values: Values, name: str, dim: int) -> None:
        super().__init__()
        self.conv = Conv(values, name, dim, dim)

    def construct(self, x: Tensor) -> Tensor:
        return self.conv(upsample_nearest(x))


class GroupNorm(Part):
    """Group norm of images (arXiv 1803.08494), and SiLU where it follows, in float32."""

    def __init__(
        self, values: Values, name: str, dim: int, groups: int, eps: float, silu: bool = False
    ) -> None:
        super().__init__()
        self.gamma = parameter(values, f"{name}.gamma", dim)
        self.beta = parameter(values, f"{name}.beta", dim)
        self.normalize = fastest(GroupNormalizeSilu if silu else GroupNormalize, groups, eps)

    def construct(self, x: Tensor) -> Tensor:
        rows = cast(x, ms.float32).reshape(x.shape[0], x.shape[1], -1)
        out = self.normalize(rows, self.gamma, self.beta)
        return cast(out, self.result).reshape(x.shape)


class LayerNorm(Part):
    """Layer norm of tokens (arXiv 1607.06450), in float32."""

    def __init__(self, values: Values, name: str, dim: int, eps: float) -> None:
        super().__init__()
        self.gamma = parameter(values, f"{name}.gamma", dim)
        self.beta = parameter(values, f"{name}.beta", dim)
        self.normalize = fastest(LayerNormalize, eps)

    def construct(self, x: Tensor) -> Tensor:
        rows = cast(x, ms.float32).reshape(-1, x.shape[-1])
        out = self.normalize(rows, self.gamma, self.beta)
        return cast(out, self.result).reshape(x.shape)


class NormSiluConv(Part):
    """Group norm, SiLU and convolution, whose names are given."""

    def __init__(
        self,
        values: Values,
        names: tuple[str, str],
        dim: int,
        dim_out: int,
        groups: int,
        eps: float,
    ) -> None:
        super().__init__()
        self.norm = GroupNorm(values, names[0], dim, groups, eps, silu=True)
        self.conv = Conv(values, names[1], dim, dim_out)

    def construct(self, x: Tensor) -> Tensor:
        return self.conv(self.norm(x))


class TimeEmbedding(Part):
    """Cosines and sines of time at geometrically spaced frequencies, cosines first."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        half = dim // 2
        frequencies = np.exp(np.arange(half) * (-math.log(10000.0) / half))
        self.frequencies = Tensor(frequencies[None, :], ms.float32)

    def construct(self, time: Tensor) -> Tensor:
        angles = time.reshape(-1, 1) * self.frequencies
        return ops.concat((ops.cos(angles), ops.sin(angles)), 1)


def quick_gelu(x: Tensor) -> Tensor:
    """``x / (1 + exp(-1.702 x))``."""
    return x * ops.sigmoid(1.702 * x)


def gelu_tanh(x: Tensor) -> Tensor:
    """GELU by its approximation, in which (1 + tanh(u)) / 2 is sigmoid(2 u).

    MindSpore's tanh is wrong by up to 1e-4 on a CPU, and its own operator for this GELU slow.
    """
    scale = math.sqrt(8.0 / math.pi)
    return x * ops.sigmoid(x * (scale + 0.044715 * scale * x * x))
