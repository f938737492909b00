"""A whole residual block as one compiled operator: images in bfloat16 and in blocks of channels.

Between its convolutions and norms images are rounded to bfloat16, and stay in the layout that
convolutions compute in. Parameters, sums, norms and all gradients that leave it are float32.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Any

import mindspore as ms
from mindspore import Tensor, nn, ops

from ..system import runtime
from . import _operator, loaded, why_no_bfloat16

CHANNELS = 16
"""Whose multiple all numbers of channels have to be."""


def usable() -> bool:
    """Whether the processor multiplies bfloat16, and best in blocks of channels (AMX does not)."""
    if why_no_bfloat16():
        return False
    library = runtime.kernel_library()
    assert library is not None
    return _prefers_blocks(library)


@lru_cache
def _prefers_blocks(library: Path) -> bool:
    return bool(loaded(library).ddpm_kernels_blocks())


class CompiledResidualBlock(nn.Cell):
    """``reference/networks/layers.py``, ``resnet_block``, of x (B, C, H, W), without dropout.

    Args:
        shortcut: whether a 1x1 convolution leads around the block.
    """

    def __init__(self, shortcut: bool) -> None:
        super().__init__()
        self.shortcut = shortcut
        self.nothing = ops.zeros((1,), ms.float32)

        def results(x: Any, y: Any, modulation: Any, w1: Any, *rest: Any) -> tuple[Any, Any]:
            pixels, (dim_out, dim, *_) = x[0] * x[2] * x[3], w1
            return (x[0], dim_out, *x[2:]), ((dim + 3 * dim_out) * pixels // 2,)

        def inputs(*shapes: Any) -> tuple[Any, ...]:
            return shapes[:11]

        self.compute = _operator("residual", results, 2)
        self.gradient = _operator("residual_gradient", inputs, 11)

    def construct(
        self,
        x: Tensor,
        y: Tensor,
        modulation: Tensor,
        w1: Tensor,
        b1: Tensor,
        g1: Tensor,
        w2: Tensor,
        b2: Tensor,
        g2: Tensor,
        wr: Tensor,
        br: Tensor,
    ) -> Any:
        """The result, and what its gradients need of it.

        ``y`` (B, C', H, W): more channels after those of x, or ``nothing``; ``modulation``
        (B, 2 O); of both convolutions weight, bias and the norm's gain; of the shortcut weight and
        bias, or ``nothing``.
        """
        return self.compute(x, y, modulation, w1, b1, g1, w2, b2, g2, wr, br)

    def bprop(
        self,
        x: Tensor,
        y: Tensor,
        modulation: Tensor,
        w1: Tensor,
        b1: Tensor,
        g1: Tensor,
        w2: Tensor,
        b2: Tensor,
        g2: Tensor,
        wr: Tensor,
        br: Tensor,
        out: tuple[Tensor, Tensor],
        dout: tuple[Tensor, Tensor],
    ) -> Any:
        return self.gradient(x, y, modulation, w1, b1, g1, w2, b2, g2, wr, br, out[1], dout[0])
