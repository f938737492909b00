"""The model that comes with the package: what is in its folder, and that it paints what is said."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from ddpm_mindspore.accelerated.cli import main
from ddpm_mindspore.accelerated.commands.presets import SCENES
from ddpm_mindspore.accelerated.obedience.scenes import Scenes, sentences
from ddpm_mindspore.accelerated.process import to_uint8
from ddpm_mindspore.accelerated.runs.folder import RunFolder
from ddpm_mindspore.accelerated.weights.shipped import FOLDER, WEIGHTS, open_shipped


def test_it_is_small_and_says_what_it_was_made_from() -> None:
    assert {path.name for path in FOLDER.iterdir()} == {
        *("config.json", "vocabulary.txt", WEIGHTS, "LICENSE.md"),
    }
    assert sum(path.stat().st_size for path in FOLDER.iterdir()) < 4e6
    assert "CC BY 4.0" in (FOLDER / "LICENSE.md").read_text(encoding="utf-8")


def test_it_is_what_training_on_scenes_makes() -> None:
    config, preset = RunFolder(FOLDER).config.read(), SCENES
    network = replace(preset.network, vocabulary=config.network.vocabulary)  # type: ignore[attr-defined,call-arg]
    assert (config.network, config.diffusion) == (network, preset.diffusion)
    assert (config.data, config.sides) == (preset.data, preset.sides)
    trained = ("train_batch_size", "train_lr", "lr_schedule", "warmup_steps", "ema_decay", "seed")
    for name in trained:
        assert getattr(config.trainer, name) == getattr(preset.trainer, name), name


def test_it_paints_what_it_is_told() -> None:
    """Of 50 sentences, ten of pairs that were never shown; 400: tests/benchmarks/painter.py."""
    asked, diffusion = sentences(400, seed=5)[::8], open_shipped().diffusion
    drawn = to_uint8(diffusion.sample(len(asked), condition=asked, seed=2))
    judge = Scenes()
    found = judge.shares(drawn, asked)
    assert found["digits"].value > 0.85 and found["colours"].value > 0.9
    assert found["layouts"].value == 1.0
    rotated = judge.shares(drawn, np.roll(asked, 1).tolist())
    assert rotated["digits"].value < 0.3 and rotated["scenes"].value < 0.1


def test_it_paints_without_a_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    words = ["左边是红色的三，右边是紫色的八", "--num-samples", "2", "--sampling-timesteps", "3"]
    assert main(["paint", *words]) == 0
    said = capsys.readouterr()
    assert "the model has never met 紫: it will ignore that (it knows " in said.err
    assert np.load(tmp_path / "painted" / "samples.npy").shape == (2, 3, 16, 16)
    drawn = json.loads((tmp_path / "painted" / "drawn.json").read_text(encoding="utf-8"))
    assert drawn["texts"] == ["左边是红色的三，右边是紫色的八"]
