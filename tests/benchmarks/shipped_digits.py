"""The package's digits, for environments in which the package is not installed."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]


def load_digits() -> tuple[Pixels, NDArray[np.int64]]:
    """The package's digits and their classes, read without importing what else is beside them."""
    path = Path(__file__).parents[2] / "accelerated" / "data" / "digits.py"
    spec = importlib.util.spec_from_file_location("digits", path)
    assert spec is not None
    assert spec.loader is not None
    digits = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(digits)
    return digits.load_digits(), digits.digit_labels()
