"""The judge is judged: distances in closed form, and cheats that it must see through."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

SCRIPT = Path(__file__).with_name("digits_quality.py")


@pytest.fixture(scope="module")
def quality() -> ModuleType:
    spec = importlib.util.spec_from_file_location("digits_quality", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_newest_samples_of_a_run_are_read(quality: ModuleType, tmp_path: Path) -> None:
    for name, value, written in [("a", 1, 100), ("b", 2, 300), ("c", 3, 200)]:
        path = tmp_path / name / "samples.npy"
        path.parent.mkdir()
        np.save(path, np.full((2, 1, 8, 8), value, np.uint8))
        os.utime(path, (written, written))
    assert quality.read(tmp_path)[0, 0, 0, 0] == 2


@pytest.fixture(scope="module")
def digits(quality: ModuleType) -> Any:
    return quality.load_digits()


def test_real_halves_judge_each_other_as_real(quality: ModuleType, digits: Any) -> None:
    images, labels = digits
    order = np.random.default_rng(5).permutation(len(images))
    result = quality.report(images[order[:898]], images[order[898:]], labels[order[898:]])
    frechet, near, shown = result["frechet"], result["copies"], result["classes"]
    assert frechet["samples_to_real"] == pytest.approx(0.07, rel=0.3)
    # Each half has half as many images again: the bias, 1/n, is twice that of the whole.
    assert frechet["real_halves"]["mean"] == pytest.approx(0.14, rel=0.2)
    assert frechet["expected_of_new_real_images"] == pytest.approx(0.07, rel=0.2)
    assert frechet["resampled_real"]["mean"] == pytest.approx(0.035, rel=0.25)
    assert near["median_nearest"] == pytest.approx(near["median_nearest_real"], rel=0.05)
    assert near["closer_than_quantile"] < 0.04
    assert near["exact"] == 0
    assert shown["sure"] == pytest.approx(shown["sure_real"], abs=0.05)
    assert shown["right_on_real"] > 0.95
    np.testing.assert_allclose(shown["counts"], np.bincount(labels[order[:898]]), atol=12)


def test_copies_are_seen(quality: ModuleType, digits: Any) -> None:
    images, labels = digits
    recited = images[:300].copy()
    recited[100:200] = np.clip(recited[100:200].astype(int) + 5, 0, 255)
    recited[200:] = 255 - recited[200:]
    near = quality.report(recited, images, labels)["copies"]
    assert (near["exact"], near["equal_to_half_a_level"]) == (100, 200)
    assert near["closer_than_quantile"] == pytest.approx(2 / 3, abs=0.01)


def test_one_digit_and_blurred_digits_are_seen(quality: ModuleType, digits: Any) -> None:
    images, labels = digits
    sevens = quality.report(images[labels == 7], images, labels)
    assert sevens["classes"]["counts"][7] >= 175
    assert sevens["frechet"]["samples_to_real"] > 1.0
    pairs = images.reshape(-1)[: 898 * 128].reshape(898, 2, 1, 8, 8).mean(1).astype(np.uint8)
    blurred = quality.report(pairs, images, labels)
    assert blurred["classes"]["sure"] < 0.5 < blurred["classes"]["sure_real"]
    assert blurred["frechet"]["samples_to_real"] > 0.3


def run(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(SCRIPT), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True)


def test_the_command_finds_the_samples_of_a_run(digits: Any, tmp_path: Path) -> None:
    (tmp_path / "samples").mkdir()
    np.save(tmp_path / "samples" / "samples.npy", digits[0][:200])
    done = run(tmp_path)
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert (result["samples"], result["copies"]["exact"]) == (200, 200)
    assert "Frechet distance, raw pixels" in done.stderr
    done = run(tmp_path, "--real", tmp_path / "samples" / "samples.npy")
    assert "classes" not in json.loads(done.stdout)


def test_the_command_refuses_what_it_cannot_judge(tmp_path: Path) -> None:
    assert "holds no .npy file" in run(tmp_path).stderr
    np.save(tmp_path / "a.npy", np.zeros((3, 1, 8, 8)))
    assert "uint8 (N, C, H, W) is needed" in run(tmp_path).stderr
    np.save(tmp_path / "b.npy", np.zeros((3, 3, 8, 8), np.uint8))
    done = run(tmp_path / "b.npy")
    assert "samples are (3, 8, 8) and real images (1, 8, 8)" in done.stderr
    assert done.returncode == 2
