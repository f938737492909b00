"""Known linear degradations on tensors: into the directions of one, and back.

``reference/degradations.py`` is the definition, and has the matrices, which are made on the host.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import mindspore as ms
import numpy as np
from mindspore import Tensor, ops

from ..reference.degradations import Degradation


class Directions(NamedTuple):
    """What a graph is told of a degradation A = U S V^T.

    Attributes:
        singular: S, (1, C, *spatial).
        bases: V, a matrix for each axis of an item.
    """

    singular: Tensor
    bases: Any


def on_device(degradation: Degradation) -> Directions:
    """Its singular values and directions as tensors."""
    bases = tuple(Tensor(matrix.astype(np.float32)) for matrix in degradation.right)
    return Directions(Tensor(degradation.singular[None].astype(np.float32)), ms.mutable(bases))


def into_directions(bases: Any, x: Tensor) -> Tensor:
    """V^T x: how much of each direction is in x (B, C, *spatial)."""
    for i in range(len(bases)):
        x = ops.matmul(x.swapaxes(i + 1, -1), bases[i]).swapaxes(i + 1, -1)
    return x


def out_of_directions(bases: Any, x: Tensor) -> Tensor:
    """V x: the way back."""
    for i in range(len(bases)):
        turned = bases[i].swapaxes(0, 1)
        x = ops.matmul(x.swapaxes(i + 1, -1), turned).swapaxes(i + 1, -1)
    return x
