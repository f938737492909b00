"""Between two pictures: along the sphere on which their noise lies.

Song et al. 2021, arXiv 2010.02502, appendix D.5, after Shoemake 1985. Host code.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..schedule import Array


def slerp(first: Array, second: Array, shares: Sequence[float]) -> Array:
    """Spherical interpolation of noise, (len(shares), *first.shape).

        sin((1 - l) theta) / sin(theta) first + sin(l theta) / sin(theta) second,

    theta being the angle between the two. Between independent noise the norm stays what it is; a
    straight line's middle would be too short to be noise. Where both point the same way it is one.

    ``shares``: of the second, 0 to 1. Raises ValueError for shapes that differ or shares outside.
    """
    if first.shape != second.shape:
        raise ValueError(f"second has shape {second.shape}: give it that of first, {first.shape}")
    if not all(0.0 <= share <= 1.0 for share in shares):
        raise ValueError(f"shares {tuple(shares)} must be from 0 (the first) to 1 (the second)")
    a, b = first.astype(np.float64), second.astype(np.float64)
    cosine = np.sum(a * b) / max(float(np.linalg.norm(a) * np.linalg.norm(b)), 1e-300)
    theta = float(np.arccos(np.clip(cosine, -1.0, 1.0)))
    mixed = [_mixed(a, b, theta, float(share)) for share in shares]
    return np.stack(mixed).astype(first.dtype)


def _mixed(a: Array, b: Array, theta: float, share: float) -> Array:
    if np.sin(theta) < 1e-6:  # the same direction (or opposite ones, between which no way is first)
        return (1.0 - share) * a + share * b
    across = np.sin((1.0 - share) * theta) * a + np.sin(share * theta) * b
    found: Array = across / np.sin(theta)
    return found
