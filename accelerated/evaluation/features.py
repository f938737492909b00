"""Features by name: what items are compared by."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from numpy.typing import NDArray

from ...reference.evaluation.features import COMPONENTS, Components, flat

FEATURES = ("auto", "pixels", "pca")
TINY = 256
"""Numbers of an item up to which they are its features where no one says which."""

Describe = Callable[[NDArray[Any]], NDArray[Any]]


def chosen(name: str, shape: tuple[int, ...]) -> str:
    """The name of the features that are meant: "auto" is pixels of tiny items, pca of others."""
    if name != "auto":
        return name
    return "pixels" if math.prod(shape) <= TINY else "pca"


def describer(name: str, real: NDArray[Any]) -> Describe:
    """What gives features (N, D) in float64 of items (N, C, *spatial).

    Args:
        name: pixels (the values, 0 to 1 of images) or pca (their first 64 principal components
            among the real items).
        real: (M, C, *spatial), of which principal components are taken.
    """
    return Components(real, COMPONENTS) if name == "pca" else flat
