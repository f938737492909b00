"""What tells copies is tried on scenes that are made of real digits."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from ddpm_mindspore.accelerated.data.digits import load_digits
from ddpm_mindspore.accelerated.obedience.scenes import Reader, real_scenes


def loaded(name: str) -> ModuleType:
    path = Path(__file__).with_name(f"{name}.py")
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None and spec.loader is not None
    module = sys.modules[name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_copies_are_found_and_real_digits_are_none() -> None:
    painter, real = loaded("painter"), load_digits()[:, 0]
    images, told = real_scenes(30, np.arange(300))
    inks = Reader(np.arange(0, 1797, 9)).inks(images, told)
    assert inks.shape == (60, 8, 8)
    # But for the rounding of colours, whose ink is not quite what went into them.
    assert painter.nearest(inks, real).max() < 0.01
    apart = painter.nearest(real, real)
    assert np.quantile(apart, 0.05) > 0.05 and np.median(apart) == pytest.approx(0.13, abs=0.03)
    assert painter.nearest(real[:3], real).max() < 1e-6
