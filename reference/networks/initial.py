"""First values of the parameters of the networks that paint from text: host code, for both sides.

What ends the branch of a residual sum begins as zero, so that the sum is at first what goes around
the branch, and so does the network's output (Dhariwal and Nichol 2021, arXiv 2105.05233, use the
same).
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

ZERO = (
    *("out_layers_conv.conv.weight", "proj_out.weight", "out.2.conv.weight"),
    "lora_up.weight",
)
"""How the names of weights end that begin as zero; and so do all biases."""

DEVIATION = {"embedding_table": 0.02, "positional_embedding": 0.01}
"""Of the two tables of a text encoder (Radford et al. 2021, arXiv 2103.00020)."""


def draw(name: str, shape: tuple[int, ...], rng: np.random.Generator) -> NDArray[np.float64]:
    """The parameter of this name.

    Weights: uniform within +-sqrt(3 / fan_in), variance 1 / fan_in, by which a layer's result is as
    large as what it is given (LeCun et al. 1998, Efficient BackProp, section 4.6): with a third of
    that variance, as is usual, what a text says fades from layer to layer, and what stands where is
    learned later. Gains of norms (gamma): 1. Shifts and biases: 0. Tables: normal.
    """
    if name.endswith(".gamma"):
        return np.ones(shape)
    if name.endswith((".beta", ".bias", *ZERO)):
        return np.zeros(shape)
    if name in DEVIATION:
        return rng.normal(0.0, DEVIATION[name], shape)
    bound = math.sqrt(3.0 / math.prod(shape[1:]))
    return rng.uniform(-bound, bound, shape)
