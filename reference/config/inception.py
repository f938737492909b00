"""The Inception v3 of 5 December 2015 by its sizes: whose features FID is measured in.

The network of arXiv 1512.00567 as TensorFlow's graph of that day has it (arXiv 1706.08500 measures
FID with it). It differs from other Inceptions v3 of the same layers: means leave out what stands
beyond the edge, and the last block takes a maximum where the paper takes a mean.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

FILE = "pt_inception-2015-12-05-6726825d.pth"
"""The graph's numbers as a state dict, as pytorch-fid and torch-fidelity read it."""

ADDRESS = "https://github.com/mseitzer/pytorch-fid/releases/tag/fid_weights"
"""Where it is published."""

DIGEST = "6726825d"
"""What its SHA-256 begins with."""

SIDE = 299
"""Pixels of the images that it reads."""

CLASSES = 1008
"""Of its classifier, which features do not need; other files of these names have another number."""


class Conv(NamedTuple):
    """A convolution with its norm and max(x, 0).

    Attributes:
        name: "CONV.conv.weight" is its weight, "CONV.bn.*" its norm.
        out: channels.
        kernel: its height and width.
        stride: with 2 nothing is padded.
        padded: with as many zeros as keep the size.
        dim: channels that it reads.
    """

    name: str
    out: int
    kernel: tuple[int, int] = (1, 1)
    stride: int = 1
    padded: bool = True
    dim: int = 0


class Branch(NamedTuple):
    """One of the ways through a block.

    Attributes:
        pool: what stands before the convolutions: "" for nothing, "mean" or "max" of the 3 x 3
            pixels around each, or "halve", the maximum of every other 3 x 3.
        convs: one after the other.
        ends: after them, beside each other; their channels follow one another.
    """

    pool: str
    convs: tuple[Conv, ...] = ()
    ends: tuple[Conv, ...] = ()


Block = tuple[Branch, ...]
"""Its branches read the same input; their channels follow one another."""

_3, _5, _ROW, _COLUMN, _1_3, _3_1 = (3, 3), (5, 5), (1, 7), (7, 1), (1, 3), (3, 1)


@dataclass(frozen=True)
class InceptionConfig:
    """Attributes:
    divisor: 1 is the published network; with 2, 4, 8 or 16 it has as many times fewer channels.

    Raises:
        ValueError: another divisor.
    """

    divisor: int = 1

    def __post_init__(self) -> None:
        if self.divisor not in (1, 2, 4, 8, 16):
            raise ValueError(f"divisor {self.divisor} must be 1, 2, 4, 8 or 16")

    @property
    def features(self) -> int:
        """How many there are: 2,048 of the published network."""
        return 2048 // self.divisor

    @property
    def blocks(self) -> list[Block]:
        """All of them, in their order: those of the stem are single branches."""
        found: list[Block] = []
        dim = 3
        for block in _published():
            found.append(tuple(self._sized(branch, dim) for branch in block))
            dim = sum(_width(branch, dim) for branch in found[-1])
        return found

    def _sized(self, branch: Branch, dim: int) -> Branch:
        convs, ends = [], []
        for conv in branch.convs:
            convs.append(conv._replace(dim=dim, out=conv.out // self.divisor))
            dim = convs[-1].out
        for conv in branch.ends:
            ends.append(conv._replace(dim=dim, out=conv.out // self.divisor))
        return Branch(branch.pool, tuple(convs), tuple(ends))

    @property
    def convs(self) -> list[Conv]:
        """Of all blocks."""
        branches = [branch for block in self.blocks for branch in block]
        return [conv for branch in branches for conv in (*branch.convs, *branch.ends)]

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Of all tensors by name, the classifier's too."""
        shapes: dict[str, tuple[int, ...]] = {}
        for conv in self.convs:
            shapes[f"{conv.name}.conv.weight"] = (conv.out, conv.dim, *conv.kernel)
            for part in ("weight", "bias", "running_mean", "running_var"):
                shapes[f"{conv.name}.bn.{part}"] = (conv.out,)
        return shapes | {"fc.weight": (CLASSES, self.features), "fc.bias": (CLASSES,)}


INCEPTION = InceptionConfig()


def _width(branch: Branch, dim: int) -> int:
    """Channels at its end."""
    if branch.ends:
        return sum(conv.out for conv in branch.ends)
    return branch.convs[-1].out if branch.convs else dim


def _published() -> Iterator[Block]:
    yield (Branch("", (Conv("Conv2d_1a_3x3", 32, _3, 2),)),)
    yield (Branch("", (Conv("Conv2d_2a_3x3", 32, _3, padded=False),)),)
    yield (Branch("", (Conv("Conv2d_2b_3x3", 64, _3),)),)
    yield (Branch("halve", (Conv("Conv2d_3b_1x1", 80),)),)
    yield (Branch("", (Conv("Conv2d_4a_3x3", 192, _3, padded=False),)),)
    yield (Branch("halve"),)
    for name, pooled in (("Mixed_5b", 32), ("Mixed_5c", 64), ("Mixed_5d", 64)):
        yield _a(f"{name}.branch", pooled)
    yield _b("Mixed_6a.branch")
    for name, inner in (("6b", 128), ("6c", 160), ("6d", 160), ("6e", 192)):
        yield _c(f"Mixed_{name}.branch", inner)
    yield _d("Mixed_7a.branch")
    yield _e("Mixed_7b.branch", "mean")
    yield _e("Mixed_7c.branch", "max")


def _a(name: str, pooled: int) -> Block:
    five, three = f"{name}5x5_", f"{name}3x3dbl_"
    return (
        Branch("", (Conv(f"{name}1x1", 64),)),
        Branch("", (Conv(f"{five}1", 48), Conv(f"{five}2", 64, _5))),
        Branch("", (Conv(f"{three}1", 64), Conv(f"{three}2", 96, _3), Conv(f"{three}3", 96, _3))),
        Branch("mean", (Conv(f"{name}_pool", pooled),)),
    )


def _b(name: str) -> Block:
    three = f"{name}3x3dbl_"
    twice = Conv(f"{three}1", 64), Conv(f"{three}2", 96, _3), Conv(f"{three}3", 96, _3, 2)
    return Branch("", (Conv(f"{name}3x3", 384, _3, 2),)), Branch("", twice), Branch("halve")


def _c(name: str, inner: int) -> Block:
    once, twice = f"{name}7x7_", f"{name}7x7dbl_"
    return (
        Branch("", (Conv(f"{name}1x1", 192),)),
        Branch(
            "",
            (
                Conv(f"{once}1", inner),
                Conv(f"{once}2", inner, _ROW),
                Conv(f"{once}3", 192, _COLUMN),
            ),
        ),
        Branch(
            "",
            (
                Conv(f"{twice}1", inner),
                Conv(f"{twice}2", inner, _COLUMN),
                Conv(f"{twice}3", inner, _ROW),
                Conv(f"{twice}4", inner, _COLUMN),
                Conv(f"{twice}5", 192, _ROW),
            ),
        ),
        Branch("mean", (Conv(f"{name}_pool", 192),)),
    )


def _d(name: str) -> Block:
    three, seven = f"{name}3x3_", f"{name}7x7x3_"
    large = (
        Conv(f"{seven}1", 192),
        Conv(f"{seven}2", 192, _ROW),
        Conv(f"{seven}3", 192, _COLUMN),
        Conv(f"{seven}4", 192, _3, 2),
    )
    small = Conv(f"{three}1", 192), Conv(f"{three}2", 320, _3, 2)
    return Branch("", small), Branch("", large), Branch("halve")


def _e(name: str, pool: str) -> Block:
    once, twice = f"{name}3x3_", f"{name}3x3dbl_"
    return (
        Branch("", (Conv(f"{name}1x1", 320),)),
        Branch(
            "",
            (Conv(f"{once}1", 384),),
            (Conv(f"{once}2a", 384, _1_3), Conv(f"{once}2b", 384, _3_1)),
        ),
        Branch(
            "",
            (Conv(f"{twice}1", 448), Conv(f"{twice}2", 384, _3)),
            (Conv(f"{twice}3a", 384, _1_3), Conv(f"{twice}3b", 384, _3_1)),
        ),
        Branch(pool, (Conv(f"{name}_pool", 192),)),
    )
