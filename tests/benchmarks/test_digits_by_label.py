"""Digits that are asked for by label are read as that label by who knows real digits alone."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from ddpm_mindspore.accelerated.data import digit_labels, load_digits

SCRIPT = Path(__file__).with_name("digits_by_label.py")


@pytest.fixture(scope="module")
def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("digits_by_label", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_reader_reads_digits_that_it_has_not_seen(script: ModuleType) -> None:
    images, labels = load_digits(), digit_labels()
    order = np.random.default_rng(0).permutation(len(images))
    seen, unseen = np.split(order, [len(order) // 2])
    read = script.reader(images[seen], labels[seen])
    assert (read(images[unseen]) == labels[unseen]).mean() > 0.98
    assert (read(np.zeros((10, 1, 8, 8), np.uint8)) == np.arange(10)).mean() < 0.3


def test_the_spread_is_that_around_each_labels_mean(script: ModuleType) -> None:
    labels = np.arange(20) % 10
    images = np.repeat(10 * labels.astype(np.uint8), 64).reshape(20, 1, 8, 8)
    assert script.spread(images, labels) == 0.0
    images[:10] += 51  # by 0.2 of 1: 0.1 to either side of the mean
    assert script.spread(images, labels) == pytest.approx(0.1)


@pytest.mark.nightly
def test_digits_are_what_they_were_asked_to_be(tmp_path: Path) -> None:
    """Trains with the shipped preset: 97 % without guidance, 99 % with the best, every label."""
    command = [sys.executable, str(SCRIPT), "--each", "100", "--json", str(tmp_path / "rows.json")]
    subprocess.run(command, check=True)
    plain, *guided = json.loads((tmp_path / "rows.json").read_text())
    assert plain["options"] == {} and plain["read"] >= 0.97 and plain["worst"] >= 0.9
    assert max(row["read"] for row in guided) >= 0.99
    assert plain["spread"] > 0.7 and plain["distance"] < 0.2
