"""Enlargement by two and a 3x3 convolution as one compiled operator: 9 products instead of 36.

Every pixel stands for a square of four. By Winograd's filtering F(2x2, 3x3) a third of the rows and
columns of each transformed tile is zero then (``winograd_tiles.h``), and no enlarged image is kept.
"""

from __future__ import annotations

from typing import Any

from mindspore import Tensor, nn

from . import _first, _operator, by_winograd

CHANNELS, WEIGHTS, PIXELS = 16, 2**20, 64
"""Of what all numbers of channels are a multiple; how many filters there may be; and the fewest
pixels of all images."""


def usable(factors: str, dim: int, dim_out: int) -> bool:
    """Whether there is one here for so many channels."""
    fits = dim % CHANNELS == dim_out % CHANNELS == 0 and dim * dim_out <= WEIGHTS
    return fits and by_winograd(factors)


class CompiledUpsampling(nn.Cell):
    """Of x (B, C, H, W), by weight (O, C, 3, 3) and bias (O,): (B, O, 2 H, 2 W).

    Args:
        factors: float32, or bfloat16.
    """

    def __init__(self, factors: str = "float32") -> None:
        super().__init__()
        name = "convolution" if factors == "float32" else f"convolution_{factors}"

        def result(x: Any, weight: Any, bias: Any) -> tuple[int, ...]:
            return (x[0], weight[0], 2 * x[2], 2 * x[3])

        def like_weight_and_bias(x: Any, weight: Any, dout: Any) -> tuple[Any, Any]:
            return weight, (weight[0],)

        self.convolve = _operator(name, result, 1, "doubled")
        self.input_gradient = _operator(f"{name}_input_gradient", _first, 1)
        self.weight_gradient = _operator(f"{name}_weight_gradient", like_weight_and_bias, 2)

    def construct(self, x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        return self.convolve(x, weight, bias)

    def bprop(
        self, x: Tensor, weight: Tensor, bias: Tensor, out: Tensor, dout: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        dweight, dbias = self.weight_gradient(x, weight, dout)
        return self.input_gradient(x, weight, dout), dweight, dbias
