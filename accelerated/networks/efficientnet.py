"""The features of EfficientNet-lite; ``reference/networks/efficientnet.py`` defines them.

Norms by the statistics of training are linear: each is folded into the convolution before it, on
the host in float64.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from mindspore import Parameter, Tensor, nn, ops
from numpy.typing import NDArray

from ...reference.config.efficientnet import EPS, Block, EfficientNetConfig
from .operators import Convolution

Params = Mapping[str, NDArray[Any]]


def folded(params: Params, conv: str, norm: str) -> tuple[NDArray[Any], NDArray[Any]]:
    """Weight and bias of the convolution that is ``conv`` and then ``norm``, in float64."""
    weight = params[f"{conv}.weight"].astype(np.float64)
    gamma, beta, mean, variance = (
        params[f"{norm}.{part}"].astype(np.float64)
        for part in ("weight", "bias", "running_mean", "running_var")
    )
    scale = gamma / np.sqrt(variance + EPS)
    return weight * scale[:, None, None, None], beta - mean * scale


class Step(nn.Cell):
    """A convolution with its norm; ``clips``: and min(max(x, 0), 6)."""

    def __init__(
        self, params: Params, conv: str, norm: str, stride: int = 1, clips: bool = True
    ) -> None:
        super().__init__(auto_prefix=False)
        weight, bias = folded(params, conv, norm)
        out, _, kernel, _ = weight.shape
        self.clips, self.halves = clips, stride == 2
        self.weight = Parameter(Tensor(weight.astype(np.float32)), name=f"{conv}.weight")
        self.bias = Parameter(Tensor(bias.astype(np.float32)), name=f"{conv}.bias")
        self.convolve = Convolution(out, kernel, stride, out if "depthwise" in conv else 1)
        self.cut = ops.ReLU6()

    def construct(self, x: Tensor) -> Tensor:
        if self.halves:  # an odd number of zeros stands around even sides, most of them behind
            batch, dim, height, width = x.shape
            x = ops.concat((x, ops.zeros((batch, dim, 1, width), x.dtype)), 2)
            x = ops.concat((x, ops.zeros((batch, dim, height + 1, 1), x.dtype)), 3)
        x = self.convolve(x, self.weight, self.bias)
        return self.cut(x) if self.clips else x


class Bottleneck(nn.Cell):
    """An inverted bottleneck."""

    def __init__(self, params: Params, block: Block, norms: Mapping[str, str]) -> None:
        super().__init__(auto_prefix=False)
        wide, each, narrow = (
            block.name + part for part in ("_expand_conv", "_depthwise_conv", "_project_conv")
        )
        self.adds, self.widens = block.adds, block.expand != 1
        if self.widens:
            self.expand = Step(params, wide, norms[wide])
        self.filter = Step(params, each, norms[each], block.stride)
        self.project = Step(params, narrow, norms[narrow], clips=False)

    def construct(self, x: Tensor) -> Tensor:
        inside = self.expand(x) if self.widens else x
        out = self.project(self.filter(inside))
        return x + out if self.adds else out


class EfficientNet(nn.Cell):
    """Images (B, 3, H, W), scaled as (pixel - 127) / 128, to features (B, config.head).

    Sides are even wherever they are halved, as 224 is.

    Args:
        config: its sizes.
        params: by the names of the published files.

    Raises:
        ValueError: parameters that are missing or of another shape.
    """

    def __init__(self, config: EfficientNetConfig, params: Params) -> None:
        super().__init__(auto_prefix=False)
        check(config.tensors, params, "EfficientNet-lite0")
        norms = config.norms
        self.stem = Step(params, "_conv_stem", norms["_conv_stem"], 2)
        self.blocks = nn.CellList(
            [Bottleneck(params, block, norms) for block in config.blocks], auto_prefix=False
        )
        self.head = Step(params, "_conv_head", norms["_conv_head"])

    def construct(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        for block in self.blocks:
            x = block(x)
        return ops.mean(self.head(x), (2, 3))


def check(shapes: Mapping[str, tuple[int, ...]], params: Params, whose: str) -> None:
    """Raise ValueError unless all tensors are there, in their shapes, and finite.

    ``whose`` they ought to be, for the message.
    """
    for name, shape in shapes.items():
        if name not in params:
            raise ValueError(f"weights have no {name!r}: give those of {whose}")
        if params[name].shape != shape:
            raise ValueError(
                f"{name!r} of the weights has shape {params[name].shape}, not {shape}: give those "
                f"of {whose}"
            )
        if not np.isfinite(params[name]).all():
            raise ValueError(
                f"{name!r} of the weights holds NaN or infinity: give those of {whose}"
            )
