"""Integers, for which the order of a sum does not matter: every order gives the same bits.

A float32 holds the integers up to 2^24. Where the absolute values of all terms of a sum add up to
less, no partial sum is rounded. So a convolution, a matrix product, a resampling and their
gradients can be compared bit for bit, however many threads share the work, in whatever layout.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import autograd.numpy as anp
import numpy as np
from mindspore import Tensor, nn, ops

from ...reference.networks.layers import Array as Value
from ...reference.networks.layers import Params
from ..sides.layers import Layer, Rng, Shape, Sizes
from .tolerance import SMALLEST_NORMAL, Arrays

LARGEST = 2**24
"""float32 holds it and every smaller integer."""


def most(terms: int) -> int:
    """The largest integer of which ``terms`` products of two add up within LARGEST.

    Raises AssertionError if there is none.
    """
    largest = math.isqrt(LARGEST // terms)
    assert largest > 0, f"{terms} products do not add up exactly"
    return largest


def integers(seed: int, shapes: Mapping[str, Shape], terms: int) -> Arrays:
    """float32 integers by name, such that sums of ``terms`` products of two are exact."""
    rng = np.random.default_rng(seed)
    return {
        name: rng.integers(-most(terms), most(terms) + 1, shape).astype(np.float32)
        for name, shape in shapes.items()
    }


def terms(function: Callable[[Arrays], Arrays], shapes: Mapping[str, Shape]) -> int:
    """How many products the longest sum of a multilinear function has: the most, for ones."""
    results = function({name: np.ones(shape, np.float32) for name, shape in shapes.items()})
    return int(max(result.max() for result in results.values()))


def product(rng: Rng, dims: Sizes, size: Sizes, transpose: tuple[bool, bool]) -> Layer:
    """Matrix products of (size[1], dims[0]) with (dims[0], dims[1]), size[0] to an image."""

    def expected(p: Params, x: Value, y: Value) -> Value:
        left, right = transpose
        x = anp.swapaxes(x, 2, 3) if left else x
        return anp.matmul(x, anp.swapaxes(y, 2, 3) if right else y)

    def call(x: Tensor, y: Tensor) -> Tensor:
        return ops.BatchMatMul(*transpose)(x, y)

    heads, rows = size
    x, y = (rows, dims[0]), (dims[0], dims[1])
    inputs: dict[str, Shape] = {
        "x": (heads, *(x[::-1] if transpose[0] else x)),
        "y": (heads, *(y[::-1] if transpose[1] else y)),
    }
    return Layer(nn.Cell(), call, expected, (heads, rows, dims[1]), inputs)


def scaled(name: str) -> bool:
    """Whether an array is a multiple of x's unit: x itself, and what is added to its products."""
    return name == "x" or name.endswith("bias")


def with_unit(arrays: Arrays, power: int) -> Arrays:
    """Inputs and parameters with 2^power in the place of one as x's unit."""
    unit = np.float32(2.0**power)
    return {name: x * unit if scaled(name) else x for name, x in arrays.items()}


def expected(results: Arrays, power: int) -> tuple[Arrays, dict[str, float]]:
    """Results for that unit, and how far from them a device may be: not at all.

    Where the unit is a subnormal number, or rounds to zero, a device may have zeros for it.
    """
    truth = {
        name: x.astype(np.float64) * (1.0 if scaled(name.removeprefix("d/d ")) else 2.0**power)
        for name, x in results.items()
    }
    flushed = LARGEST * SMALLEST_NORMAL["float32"] if power < -126 else 0.0
    return truth, dict.fromkeys(truth, flushed)
