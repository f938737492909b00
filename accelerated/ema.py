"""Averages of the parameters over the whole training, of any length, also after it has ended.

A few averages with power-function profiles are kept during training (by ``optimizer.py``). From
their snapshots, in the checkpoints, an average of any other length is put together. All of it is
arithmetic on the host. ``reference/ema.py`` is the definition.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

Arrays = Mapping[str, NDArray[np.float32]]


def power_name(sigma_rel: float) -> str:
    """What an average is called in a checkpoint: "ema_0_05" for 0.05."""
    return f"ema_{sigma_rel!r}".replace(".", "_").replace("-", "m")


def gamma_of(sigma_rel: float) -> float:
    """The exponent gamma of the profile with this relative width (arXiv 2312.02696, appendix C).

    The largest root of gamma^3 + 7 gamma^2 + (16 - s) gamma + 12 - s with s = sigma_rel^-2, in
    Viete's form: for s >= 12 all three are real.
    """
    s = 1.0 / (sigma_rel * sigma_rel)
    q = (1.0 + 3.0 * s) / 9.0
    angle = math.acos((1.0 + 18.0 * s) / (27.0 * q * math.sqrt(q)))
    return -2.0 * math.sqrt(q) * math.cos((angle + 2.0 * math.pi) / 3.0) - 7.0 / 3.0


def power_weight(step: int, sigma_rel: float) -> float:
    """The share of itself that an average keeps after update number ``step`` = 1, 2, ...

    Late in a long training, when float32 would lose what a single step adds, it moves in strides.
    """
    stride = 1 << max(0, ((step - 1) // 4096).bit_length() - 1)
    if step % stride:
        return 1.0
    return math.pow(1.0 - stride / step, gamma_of(sigma_rel) + 1.0)


def post_hoc_weights(
    steps: Sequence[int], sigma_rels: Sequence[float], step: int, sigma_rel: float
) -> tuple[NDArray[np.float64], float]:
    """How much of each snapshot makes the average of width ``sigma_rel`` at ``step``.

    The weights are divided by their sum: the network is not indifferent to the parameters' scale.

    Args:
        steps, sigma_rels: step and width of each snapshot; no two have both in common.

    Returns:
        The weights, and how far the profile that they make is from the one that is wanted, as a
        share of that one's length.
    """
    t = np.array([*steps, step], np.float64)
    gamma = np.array([*map(gamma_of, sigma_rels), gamma_of(sigma_rel)])
    products = _products(t, gamma)
    weights = np.linalg.solve(products[:-1, :-1], products[:-1, -1])
    weights = weights / weights.sum()
    difference = np.append(weights, -1.0)
    square = difference @ products @ difference / products[-1, -1]
    return weights, math.sqrt(max(0.0, square))


def _products(t: NDArray[np.float64], gamma: NDArray[np.float64]) -> NDArray[np.float64]:
    """The inner products of all profiles with each other."""
    first = t[:, None] < t  # whether the row's profile ends before the column's
    exponent = np.where(first, gamma, gamma[:, None])
    ratio = np.minimum(t[:, None], t) / np.maximum(t[:, None], t)
    one = gamma + 1.0
    scale = one[:, None] * one / (gamma[:, None] + one)
    return scale * ratio**exponent / np.maximum(t[:, None], t)  # type: ignore[no-any-return]


def combine(
    snapshots: Iterable[Arrays], weights: NDArray[np.float64]
) -> dict[str, NDArray[np.float32]]:
    """The weighted sum of snapshots, summed in float64; one of them at a time is held."""
    total: dict[str, NDArray[np.float64]] = {}
    for weight, arrays in zip(weights, snapshots, strict=True):
        for name, array in arrays.items():
            total[name] = total.get(name, np.float64(0.0)) + weight * array.astype(np.float64)
    return {name: array.astype(np.float32) for name, array in total.items()}
