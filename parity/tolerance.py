"""How large an error may be, from the arithmetic and not from taste.

Two rules. Where a formula's operations can be counted, the bound is elementwise: count, times the
unit round-off, times the sum of the absolute values of the terms (``elementwise``). Where they
cannot (a network, its gradients, steps of training), NumPy's own float32 run of the reference is
the yardstick (``deep``). Nothing here is a number that made a test pass.
"""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array: TypeAlias = NDArray[Any]

UNIT_ROUNDOFF = {
    "float64": 2.0**-53,
    "float32": 2.0**-24,
    "float16": 2.0**-11,
    "bfloat16": 2.0**-8,
}
"""The largest relative error of rounding to the nearest."""

SMALLEST_NORMAL = {
    "float64": 2.0**-1022,
    "float32": 2.0**-126,
    "float16": 2.0**-14,
    "bfloat16": 2.0**-126,
}
"""Below it a device may return 0: the relative error of one operation is then 1."""


def gamma(count: int, dtype: str = "float32") -> float:
    """n u / (1 - n u): the relative error that n roundings can add up to (Higham 2002, lemma 3.1).

    ``count`` is n, ``dtype`` a key of UNIT_ROUNDOFF.
    """
    share = count * UNIT_ROUNDOFF[dtype]
    return share / (1.0 - share)


def elementwise(count: int, *terms: ArrayLike, dtype: str = "float32") -> Array:
    """gamma(count) S + count tiny, with S the sum of the absolute values of the terms.

    ``count`` is the number of roundings that the worst term goes through: one for a coefficient
    that is rounded to ``dtype`` from a float64 table, one for each product, one for each addition
    after it. A fused multiply-add rounds less often, so it stays within the bound. ``tiny``, the
    smallest normal number, allows for devices that flush what is smaller to zero.
    """
    total = sum(np.abs(np.asarray(term, np.float64)) for term in terms)
    return np.asarray(gamma(count, dtype) * total + count * SMALLEST_NORMAL[dtype])
