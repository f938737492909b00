"""Averages of the parameters over the whole training, as they are kept and put together.

A few averages with power-function profiles are kept during training (by ``optimizer.py``). From
their snapshots, in the checkpoints, an average of any other length is put together, with the
weights of ``reference/ema.py``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np
from numpy.typing import NDArray

Arrays = Mapping[str, NDArray[np.float32]]


def power_name(sigma_rel: float) -> str:
    """What an average is called in a checkpoint: "ema_0_05" for 0.05."""
    return f"ema_{sigma_rel!r}".replace(".", "_").replace("-", "m")


def combine(
    snapshots: Iterable[Arrays], weights: NDArray[np.float64]
) -> dict[str, NDArray[np.float32]]:
    """The weighted mean of snapshots, summed in float64; one of them at a time is held.

    A mean, and no sum: the network is not indifferent to the parameters' scale.
    """
    total: dict[str, NDArray[np.float64]] = {}
    for weight, arrays in zip(weights / weights.sum(), snapshots, strict=True):
        for name, array in arrays.items():
            total[name] = total.get(name, np.float64(0.0)) + weight * array.astype(np.float64)
    return {name: array.astype(np.float32) for name, array in total.items()}
