"""What half precision keeps of a number, and the scale of the loss in float16 training.

The scale is that of arXiv 1710.03740, section 3.2: float16 has no
positive number below 6e-8, and gradients are often smaller. So the loss is multiplied by a scale
before it is differentiated, and the gradient, in float32, is divided by it. A scale that is too
large makes the gradient overflow: that update is left out, and the scale halved.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

START = 2.0**16
"""The first scale; a power of two, as all that follow, so that dividing by it is exact."""

INTERVAL = 2000
"""After so many good updates in a row the scale is doubled."""


@dataclass(frozen=True)
class LossScale:
    """The scale of an update, and how many good updates in a row there were with this scale.

    Raises ValueError for a scale below 1 and for a count that is not from 0 to INTERVAL - 1.
    """

    scale: float = START
    good: int = 0

    def __post_init__(self) -> None:
        if not self.scale >= 1.0:
            raise ValueError(f"scale {self.scale} must be at least 1")
        if not 0 <= self.good < INTERVAL:
            raise ValueError(f"good {self.good} must be from 0 to {INTERVAL - 1}")


def next_scale(state: LossScale, finite: bool) -> LossScale:
    """The state after an update whose loss and gradient were finite, or were not.

    finite: one more good update; the INTERVAL-th doubles the scale and counts from 0 again.
    not finite: half the scale, but not less than 1, and count from 0 again.
    """
    if not finite:
        return LossScale(max(1.0, state.scale / 2.0), 0)
    if state.good + 1 == INTERVAL:
        return LossScale(2.0 * state.scale, 0)
    return LossScale(state.scale, state.good + 1)


def to_bfloat16(x: NDArray[np.float32]) -> NDArray[np.float32]:
    """The nearest numbers of 8 significant bits, to even in the middle; as float32, of any shape.

    bfloat16 has the sign, the exponents and the first seven bits after the point of a float32, so
    that a float32 with nothing after these is the same number. NaN and infinity stay what they are.
    """
    bits = x.astype(np.float32).view(np.uint32)
    last = bits >> 16 & 1
    rounded = (bits + (np.uint32(0x7FFF) + last)) & np.uint32(0xFFFF0000)
    found: NDArray[np.float32] = np.where(np.isfinite(x), rounded, bits).view(np.float32)
    return found
