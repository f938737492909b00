"""How large an error may be, from the arithmetic and not from taste.

Two rules. Where a formula's operations can be counted, the bound is elementwise: count, times the
unit round-off, times the sum of the absolute values of the terms (``elementwise``). Where they
cannot (a network, its gradients, steps of training), NumPy's own float32 run of the reference is
the yardstick (``deep``). Nothing here is a number that made a test pass.
"""

from __future__ import annotations

from collections.abc import Callable
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


RUNS = 8
# Measured on a CPU: the device's error as a multiple of the yardstick, for 8,342 results (every
# layer, random networks, and their gradients by each parameter). The median is 0.6, 99 % are
# below 2.9; the largest are 2.3 (networks forward), 3.7 (their gradients), 4.5 (GELU: another erf),
# 5.9 (linear attention) and 7.9 (attention, whose sharp softmaxes lean on exp). The factor is twice
# the largest, for devices whose exp and erf round otherwise. The smallest bug that is caught, GELU
# by its approximation with tanh, makes an error of 1,150 yardsticks, the others make 12,000 and
# more. With one run for a yardstick, instead of eight, the largest multiple was 39.
DEEP_FACTOR = 16.0

Arrays: TypeAlias = dict[str, Array]


def deep(
    function: Callable[[Arrays], Arrays], inputs: Arrays, dtype: str = "float32"
) -> tuple[Arrays, dict[str, float]]:
    """The truth, and how far from it a float32 computation may end up, for each result.

    ``function`` is made of the reference alone and computes in the dtype of its inputs. The truth
    is its float64 result. The yardstick is the largest error among the values of a result when it
    runs in float32: once on the inputs as they are, and RUNS - 1 times on inputs changed within
    their last bit. One run alone would be a poor yardstick for a result of one value (a bias, say),
    whose error may happen to be nothing; and what the last bit of the inputs decides, no
    implementation can be asked to know. The bound is

        DEEP_FACTOR (yardstick + u max|truth|),

    in which the second part is one rounding of the result itself, for results that NumPy happens
    to get exactly right. For a half precision ``dtype``, whose products NumPy does not compute
    faithfully, all runs are float32 runs, on inputs changed within the last bit of that dtype.

    Args:
        function: named float arrays to named float arrays.
        inputs: float32.

    Returns:
        float64 results, and one bound for each.
    """
    truth = function({name: x.astype(np.float64) for name, x in inputs.items()})
    rng = np.random.default_rng(0)
    runs = [function(inputs)]
    for _ in range(RUNS - 1):
        runs.append(function({n: _last_bit(rng, x, dtype) for n, x in inputs.items()}))
    bounds = {}
    for name, value in truth.items():
        error = max(float(np.max(np.abs(run[name] - value))) for run in runs)
        floor = UNIT_ROUNDOFF[dtype] * float(np.max(np.abs(value)))
        bounds[name] = DEEP_FACTOR * (error + floor)
    return truth, bounds


def _last_bit(rng: np.random.Generator, x: Array, dtype: str) -> Array:
    """x (1 + u r) with r uniform in [-1, 1], rounded to the dtype of x again."""
    change = UNIT_ROUNDOFF[dtype] * rng.uniform(-1.0, 1.0, x.shape)
    changed: Array = (x.astype(np.float64) * (1.0 + change)).astype(x.dtype)
    return changed
