"""A whole residual block as one compiled operator, its images in blocks of channels.

Between its convolutions and norms they stay in the layout that convolutions compute in; where the
factors of products are bfloat16, they are rounded to it. Parameters, sums, norms and all gradients
that leave the block are float32.
"""

from __future__ import annotations

from typing import Any

import mindspore as ms
from mindspore import Tensor, nn, ops

from . import _operator

CHANNELS = 16
"""Whose multiple all numbers of channels have to be."""


class CompiledResidualBlock(nn.Cell):
    """``reference/networks/layers.py``, ``resnet_block``, of x (B, C, H, W), without dropout.

    Args:
        factors: float32, or bfloat16.

    Attributes:
        again: compute what the gradients need a second time, rather than keep it.
    """

    def __init__(self, factors: str) -> None:
        super().__init__()
        self.again = False
        name = "residual" if factors == "float32" else f"residual_{factors}"
        share = 1 if factors == "float32" else 2
        self.nothing = ops.zeros((1,), ms.float32)

        def results(x: Any, y: Any, modulation: Any, w1: Any, *rest: Any) -> tuple[Any, Any]:
            pixels, (dim_out, dim, *_) = x[0] * x[2] * x[3], w1
            return (x[0], dim_out, *x[2:]), ((dim + 2 * dim_out) * pixels // share,)

        def inputs(x: Any, y: Any, *others: Any) -> tuple[Any, ...]:
            (batch, _, *sides), (dim, *_) = others[-1], others[1][1:]
            images = (batch, x[0], *sides)
            return images, y if x[0] == dim else (batch, y[0], *sides), *others[:9]

        self.compute = _operator(name, results, 2)
        self.gradient = _operator(f"{name}_gradient", inputs, 11)

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
        kept = out[1]
        if self.again:
            # Not before it is needed, and no common subexpression with the first time.
            later = ops.depend(x, dout[0])
            _, kept = self.compute(later, y, modulation, w1, b1, g1, w2, b2, g2, wr, br)
        # Of x and y their numbers of channels alone: nothing else has to stay of them until now.
        of_x = ops.zeros((x.shape[1],), ms.float32)
        of_y = y if y.ndim == 1 else ops.zeros((y.shape[1],), ms.float32)
        return self.gradient(
            *(of_x, of_y, modulation, w1, b1, g1, w2, b2, g2, wr, br, kept, dout[0])
        )
