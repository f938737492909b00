"""A classifier in closed form: kernel ridge regression onto the classes."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_factor, cho_solve

from ..schedule import Array
from .retrieval import squares


class KernelClassifier:
    """Regularised least-squares classification (Rifkin, Yeo and Poggio 2003).

        k(a, b) = exp(-gamma |a - b|^2),   (K + ridge I) C = Y,   class of x = argmax_j k(x, X) C_j

    with Y = 1 where a row is of a class, else -1. The same rows give the same classifier: nothing
    is drawn, and nothing is iterated.

    Args:
        x: (M, D), rows of features.
        labels: (M,) their classes, 0, 1, ...
        gamma, ridge: more than 0.

    Raises ValueError for labels that do not fit, or for another gamma or ridge.
    """

    def __init__(self, x: Array, labels: NDArray[Any], *, gamma: float, ridge: float = 0.1) -> None:
        if len(x) != len(labels) or not len(x):
            raise ValueError(f"x {x.shape} and labels {labels.shape} must be of as many rows")
        if gamma <= 0.0 or ridge <= 0.0:
            raise ValueError(f"gamma {gamma} and ridge {ridge} must be more than 0")
        self._x, self._gamma = x, gamma
        classes = np.where(labels[:, None] == np.arange(labels.max() + 1), 1.0, -1.0)
        kernel = self._kernel(x) + ridge * np.eye(len(x))
        self._weights = cho_solve(cho_factor(kernel, lower=True), classes)

    def __call__(self, x: Array) -> NDArray[np.int64]:
        """(N, D) -> (N,) the class of each row."""
        found: NDArray[np.int64] = (self._kernel(x) @ self._weights).argmax(1)
        return found

    def _kernel(self, x: Array) -> Array:
        kernel: Array = np.exp(-self._gamma * squares(x, self._x))
        return kernel
