"""Enlargement by two and a 3x3 convolution as one compiled operator: 9 products instead of 36.

Every pixel stands for a square of four. By Winograd's filtering F(2x2, 3x3) a third of the rows and
columns of each transformed tile is zero then (``winograd_tiles.h``), and no enlarged image is kept.
"""

from __future__ import annotations

from . import CompiledConvolution, in_lanes

CHANNELS, WEIGHTS, PIXELS = 16, 2**20, 64
"""Of what all numbers of channels are a multiple; how many filters there may be; and the fewest
pixels of all images."""


def enlarging(factors: str, dim: int, dim_out: int) -> CompiledConvolution | None:
    """Of x (B, C, H, W), by weight (O, C, 3, 3) and bias (O,): (B, O, 2 H, 2 W).

    None where there is none for so many channels.
    """
    fits = dim % CHANNELS == dim_out % CHANNELS == 0 and dim * dim_out <= WEIGHTS
    return CompiledConvolution(1, factors, 2) if fits and in_lanes(factors) else None
