"""How many of how many, and how sure that is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray


class Share(NamedTuple):
    """A share, and its interval of 95 %."""

    value: float
    low: float
    high: float
    of: int


def share(right: Sequence[bool] | NDArray[np.bool_], z: float = 1.96) -> Share:
    """The share of what is right, with Wilson's interval (1927, J. Am. Stat. Assoc. 22, 209-212).

        (p + z^2 / 2n  +-  z sqrt(p (1 - p) / n + z^2 / 4n^2)) / (1 + z^2 / n)

    It has a width where all are right, too. Raises ValueError for nothing to count.
    """
    if not len(right):
        raise ValueError("right is empty: a share needs one thing to count at least")
    n, p = len(right), float(np.mean(right))
    middle, half = p + z * z / (2 * n), z * np.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    low, high = ((middle + sign * half) / (1 + z * z / n) for sign in (-1, 1))
    return Share(p, max(0.0, float(low)), min(1.0, float(high)), n)
