"""What an operator that is told to compute in float32 really computes in.

Matrix units round the factors of a product to bfloat16, TF32 or float16 unless they are forbidden
to, and add up in float32: results look right to three digits. Here such an operator is shown
numbers of which only the last bits matter.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from .device import Array

Product: TypeAlias = Callable[[Array, Array], Array]
"""x (n, K) and w (K, m) to the matrix product x w (n, m), float32."""

BITS = 23
"""After the first one, in a float32."""

FACTORS = {23: "float32", 10: "TF32", 7: "bfloat16"}
"""By the bits after the first one that are kept of a factor."""


@dataclass(frozen=True)
class Precision:
    """What is kept of the numbers in a product of matrices.

    Attributes:
        factor: bits after the first one, of that factor of which fewer are kept.
        product: whether a product of two factors is right where it fits into a float32.
        sum: bits after the first one, of a sum.
        wide: whether 2^100 and 2^-100 are kept.
    """

    factor: int
    product: bool
    sum: int
    wide: bool

    @property
    def exact(self) -> bool:
        """Whether it is that of float32, or better."""
        return self == Precision(BITS, True, BITS, True)

    @property
    def name(self) -> str:
        """In words, as "bfloat16 inputs, float32 sums"."""
        if self.exact:
            return "float32"
        if self.factor == BITS and self.sum == BITS and self.wide:
            return "float32 inputs in parts, not all of which are multiplied"
        if self.factor == 10 and not self.wide:
            inputs = "float16"
        else:
            inputs = FACTORS.get(self.factor, f"{self.factor + 1}-bit")
        if inputs == "TF32" and self.sum == BITS:
            return inputs
        sums = FACTORS.get(self.sum, f"{self.sum + 1}-bit")
        if self.sum == 10 and not self.wide:
            sums = "float16"
        return inputs if inputs == sums else f"{inputs} inputs, {sums} sums"


def precision(product: Product, length: int = 64) -> Precision:
    """Estimate it from five products of (``length``, ``length``) matrices; length at least 32."""
    eye = np.eye(length, dtype=np.float32)
    last = np.ldexp(np.float32(1), -np.arange(1, BITS + 1)).astype(np.float32)  # 2^-1 .. 2^-23
    column = np.zeros((length, length), np.float32)

    # Row k - 1 and column k - 1 hold 1 + 2^-k, which the other factor, 1, has to leave as it is.
    ladder = eye.copy()
    places = np.arange(BITS)
    ladder[places, places] += last
    kept = [np.diag(product(*pair))[:BITS] == 1 + last for pair in ((ladder, eye), (eye, ladder))]

    # (1 + 2^-k) (1 + 2^-(23 - k)) = 1 + 2^-k + 2^-(23 - k) + 2^-23
    x, w = eye.copy(), eye.copy()
    places, low = np.arange(BITS - 1), last[: BITS - 1]
    x[places, places] += low
    w[places, places] += low[::-1]
    right = np.diag(product(x, w))[: BITS - 1] == 1 + low + low[::-1] + last[-1]

    # 1 + 2^-k as a sum of two products, of factors that any format holds.
    terms = column.copy()
    terms[:BITS, 0], terms[:BITS, -1] = 1, last
    ones = np.ones((length, length), np.float32)
    added = product(terms, ones)[:BITS, 0] == 1 + last

    far = column.copy()
    far[:2, 0] = 2.0**100, 2.0**-100
    wide = product(far, eye)[:2, 0] == far[:2, 0]
    return Precision(min(map(_leading, kept)), bool(right.all()), _leading(added), bool(wide.all()))


def _leading(right: Array) -> int:
    """How many there are before the first that is wrong."""
    return len(right) if right.all() else int(np.argmin(right))


def every_kind_of_number(seed: int, count: int) -> Array:
    """Finite float32 numbers of any sign, exponent and fraction, with zeros and subnormals."""
    rng = np.random.default_rng(seed)
    bits = rng.integers(0, 2**32, count, np.uint32)
    single = np.uint32(1) << rng.integers(0, BITS, count, np.uint32)
    kind = rng.integers(0, 4, count)
    fraction, top = np.uint32(2**BITS - 1), np.uint32(0xFF << BITS)
    bits = np.where(kind == 0, bits & ~fraction | single, bits)  # one bit of the fraction alone
    bits = np.where(kind == 1, bits | fraction, bits)
    bits = np.where(rng.integers(0, 64, count) == 0, bits & ~top, bits)  # subnormal
    bits = np.where(bits & top == top, bits & ~top | np.uint32(127 << BITS), bits)  # not finite
    return bits.astype(np.uint32).view(np.float32)
