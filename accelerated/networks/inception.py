"""The features of Inception v3 of 2015-12-05; ``reference/networks/inception.py`` defines them.

Norms are folded into the convolutions before them, as in ``efficientnet.py``. To resize is to
multiply with a matrix from either side.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from mindspore import Parameter, Tensor, nn, ops
from numpy.typing import NDArray

from ...reference.config.inception import FILE, SIDE, Branch, Conv, InceptionConfig
from .efficientnet import check, folded
from .operators import Convolution

Params = Mapping[str, NDArray[Any]]


class Prepare(nn.Cell):
    """(x - 128) / 128 of pixels 0 to 255, (B, 3, *have), resized to ``want``."""

    def __init__(self, have: tuple[int, int], want: tuple[int, int] = (SIDE, SIDE)) -> None:
        super().__init__()
        down, across = (between(n, m) for n, m in zip(have, want, strict=True))
        self.down, self.across = Tensor(down), Tensor(np.ascontiguousarray(across.T))

    def construct(self, pixels: Tensor) -> Tensor:
        x = ops.matmul(ops.matmul(self.down, pixels), self.across)
        return (x - 128.0) / 128.0


def between(have: int, want: int) -> NDArray[np.float32]:
    """(want, have): what a column of ``have`` pixels is multiplied with to be resized."""
    place = np.arange(want, dtype=np.float32) * np.float32(have / want)
    low = place.astype(np.int64)
    share = place - low
    matrix = np.zeros((want, have), np.float32)
    np.add.at(matrix, (np.arange(want), low), 1.0 - share)
    np.add.at(matrix, (np.arange(want), np.minimum(low + 1, have - 1)), share)
    return matrix


class Step(nn.Cell):
    """A convolution with its norm, and max(x, 0)."""

    def __init__(self, params: Params, conv: Conv) -> None:
        super().__init__(auto_prefix=False)
        weight, bias = folded(params, f"{conv.name}.conv", f"{conv.name}.bn")
        self.weight = Parameter(Tensor(weight.astype(np.float32)), name=f"{conv.name}.weight")
        self.bias = Parameter(Tensor(bias.astype(np.float32)), name=f"{conv.name}.bias")
        self.convolve = Convolution(conv.out, conv.kernel, conv.stride)
        self.within = conv.stride == 1 and not conv.padded
        self.cut = ops.ReLU()

    def construct(self, x: Tensor) -> Tensor:
        x = self.convolve(x, self.weight, self.bias)
        if self.within:  # what zeros beyond the edge had a part in
            x = x[:, :, 1:-1, 1:-1]
        return self.cut(x)


def pool(name: str) -> Any:
    """By the names of ``Branch.pool``."""
    if name == "mean":
        return nn.AvgPool2d(3, 1, "pad", 1, count_include_pad=False)
    return ops.MaxPool(3, 2, "valid") if name == "halve" else ops.MaxPool(3, 1, "same")


class Way(nn.Cell):
    """One of the ways through a block."""

    def __init__(self, params: Params, branch: Branch) -> None:
        super().__init__(auto_prefix=False)
        self.pool = pool(branch.pool) if branch.pool else None
        self.steps, self.ends = (
            nn.CellList([Step(params, conv) for conv in convs], auto_prefix=False)
            for convs in (branch.convs, branch.ends)
        )

    def construct(self, x: Tensor) -> Tensor:
        if self.pool is not None:
            x = self.pool(x)
        for step in self.steps:
            x = step(x)
        if len(self.ends):
            x = ops.concat([end(x) for end in self.ends], 1)
        return x


class Inception(nn.Cell):
    """Images (B, 3, H, W), as ``Prepare`` gives them, to features (B, config.features).

    Sides are odd wherever they are halved, as 299 is.

    Args:
        config: its sizes.
        params: by the names of the published file.

    Raises:
        ValueError: parameters that are missing or of another shape.
    """

    def __init__(self, config: InceptionConfig, params: Params) -> None:
        super().__init__(auto_prefix=False)
        check(config.shapes, params, FILE)
        self.blocks = [
            nn.CellList([Way(params, branch) for branch in block], auto_prefix=False)
            for block in config.blocks
        ]

    def construct(self, x: Tensor) -> Tensor:
        for block in self.blocks:
            x = ops.concat([way(x) for way in block], 1)
        return ops.mean(x, (2, 3))
