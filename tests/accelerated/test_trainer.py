"""A real network trained, killed and resumed.

Compiling a training step takes most of the time here, so three real runs are shared by all tests
that look at their results.
"""

from __future__ import annotations

import json
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from ddpm_mindspore.accelerated import GaussianDiffusion, Trainer, Unet
from ddpm_mindspore.accelerated.optimizer import ema_weight, learning_rate
from ddpm_mindspore.accelerated.runs.checkpoint import load
from ddpm_mindspore.accelerated.runs.folder import RunFolder
from ddpm_mindspore.accelerated.runs.names import FILES, FOLDERS
from ddpm_mindspore.accelerated.runs.provenance import facts

from .quick_trainer import (
    DIFFUSION,
    NET,
    SIZE,
    assert_same,
    make_images,
)

STEPS = 6
TRAINING: dict[str, Any] = {
    "train_batch_size": 4,
    "gradient_accumulate_every": 2,
    "train_lr": 3e-3,
    "warmup_steps": 4,
    "ema_decay": 0.7,
    "ema_update_every": 2,
    "ema_update_after_step": 2,
    "augment_horizontal_flip": True,
    "num_samples": 6,
    "keep_last": None,
    "seed": 11,
}


def make_diffusion(seed: int = 4) -> GaussianDiffusion:
    return GaussianDiffusion(Unet(**NET, seed=seed), image_size=SIZE, seed=seed, **DIFFUSION)


class Run(NamedTuple):
    trainer: Trainer
    reached: bool
    folder: Path

    def tensors(self, step: int) -> dict[str, dict[str, NDArray[np.float32]]]:
        return load(self.folder / "checkpoints" / f"step-{step:08d}").tensors

    def metrics(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in (self.folder / "metrics.jsonl").open()]


def train(folder: Path, **options: Any) -> Run:
    given = {**TRAINING, "train_num_steps": STEPS, "save_and_sample_every": 1} | options
    trainer = Trainer(make_diffusion(), make_images(), results_folder=str(folder), **given)
    return Run(trainer, trainer.train(), folder)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Train for six steps, two gradients each, with a checkpoint and samples at every step."""
    return train(tmp_path_factory.mktemp("runs") / "whole")


@pytest.fixture(scope="module")
def resumed(run: Run, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Go on with a copy of that run as it was after three steps, killed within the fourth."""
    folder = tmp_path_factory.mktemp("runs") / "resumed"
    shutil.copytree(run.folder, folder)
    for path in [*folder.glob("checkpoints/*"), *folder.glob("samples/*")]:
        if int(path.stem.removeprefix("step-")) > 3:
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    lines = (folder / "metrics.jsonl").read_text().splitlines(keepends=True)
    (folder / "metrics.jsonl").write_text("".join(lines[:4]) + lines[4][:9])
    (folder / "checkpoints" / ".step-00000004.123.tmp").mkdir()
    # Another seed for the network: its parameters come from the checkpoint.
    options = {**TRAINING, "train_num_steps": STEPS, "save_and_sample_every": 1}
    trainer = Trainer(
        make_diffusion(seed=5), make_images(), results_folder=str(folder), resume=True, **options
    )
    assert trainer.step == 3
    return Run(trainer, trainer.train(), folder)


@pytest.fixture(scope="module")
def at_once(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    """The same images and noise in one gradient a step, much longer; every sampling fails."""
    with pytest.MonkeyPatch.context() as patch:

        def fail(*_: Any, **__: Any) -> None:
            raise RuntimeError("no samples today")

        patch.setattr(GaussianDiffusion, "sample", fail)
        yield train(
            tmp_path_factory.mktemp("runs") / "at-once",
            train_batch_size=8,
            gradient_accumulate_every=1,
            train_num_steps=60,
            save_and_sample_every=STEPS,
        )


def test_a_run_leaves_everything_behind(run: Run) -> None:
    assert run.reached and run.trainer.step == STEPS
    names = [f"step-{step:08d}" for step in range(1, STEPS + 1)]
    assert sorted(p.name for p in (run.folder / "checkpoints").iterdir()) == names
    assert sorted(p.stem for p in (run.folder / "samples").iterdir()) == names
    left = {"checkpoints", "config.json", "loss.png", "metrics.jsonl", "samples"}
    left |= {"progress.json", "report.html", ".lock"}
    assert {p.name for p in run.folder.iterdir()} == left
    assert left <= {*FILES, *FOLDERS, ".lock"}  # as others' files of these names are refused
    for picture in [run.folder / "loss.png", *(run.folder / "samples").iterdir()]:
        with Image.open(picture) as image:
            assert image.format == "PNG" and min(image.size) > 20
    config = json.loads((run.folder / "config.json").read_text())
    assert config["data"] == "ndarray" and config["image_size"] == list(SIZE)
    assert config["network"]["dropout"] == 0.1 and config["diffusion"]["loss_type"] == "huber"
    for name, value in TRAINING.items():
        assert config["trainer"][name] == value


def test_every_sample_is_drawn_with_the_average_of_its_time(run: Run) -> None:
    pictures_of = [(run.folder / f"samples/step-{s:08d}.png").read_bytes() for s in (1, 2, 4, 6)]
    assert pictures_of[0] != pictures_of[1] != pictures_of[2] != pictures_of[3]
    for step in (1, 6):
        with Image.open(run.folder / f"samples/step-{step:08d}.png") as picture:
            picture.load()
            said = picture.text  # type: ignore[attr-defined]
        config = RunFolder(run.folder).config.read()
        expected = facts(config, step, "average", config.sampling, config.trainer.seed)
        assert json.loads(said.pop("Layout"))[0][4] == config.trainer.num_samples
        assert said == {**expected, "Images": f"0-{config.trainer.num_samples - 1}"}


def test_an_average_that_is_none_yet_is_announced_with_its_pictures(
    run: Run, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(run.trainer._samples, "draw", lambda *_: None)
    said = []
    for step in (4, 5):
        monkeypatch.setattr(run.trainer, "step", step)
        run.trainer._draw(np.zeros(0), threading.Event())
        said.append(capsys.readouterr().out)
    assert said == [
        "the average at step 4 is still a copy of the parameters after step 3: "
        "it begins to average at step 5\n",
        "",
    ]


def test_metrics_tell_every_step(run: Run) -> None:
    rows = run.metrics()
    assert [row["step"] for row in rows] == [1, 2, 3, 4, 5, 6]
    assert all(set(row) == {"step", "loss", "grad_norm", "lr", "seconds"} for row in rows)
    assert [row["lr"] for row in rows] == [learning_rate(s, 3e-3, 4) for s in range(1, 7)]
    assert all(0.01 < row["loss"] < 10 and 0.001 < row["grad_norm"] < 100 for row in rows)
    assert all(row["seconds"] > 0 for row in rows)
    assert rows[0]["seconds"] == max(row["seconds"] for row in rows)  # it counts compilation


def test_the_average_follows_its_formula(run: Run) -> None:
    ema = make_diffusion().model.arrays()
    for step in range(1, STEPS + 1):
        tensors = run.tensors(step)
        weight = np.float32(ema_weight(step, 0.7, 2, 2))
        for name, array in tensors["model"].items():
            ema[name] = weight * ema[name] + (1 - weight) * array
            np.testing.assert_allclose(tensors["ema"][name], ema[name], rtol=1e-5, atol=1e-6)
    assert 0 < ema_weight(5, 0.7, 2, 2) < 1  # neither a copy nor untouched
    moved = np.abs(ema["init_conv.weight"] - run.tensors(STEPS)["model"]["init_conv.weight"])
    assert moved.max() > 1e-4


def test_the_average_is_drawn_with_and_the_trained_network_is_left_alone(run: Run) -> None:
    tensors = run.tensors(STEPS)
    assert_same(run.trainer.diffusion.model.arrays(), tensors["model"])
    assert_same(run.trainer.ema_diffusion.model.arrays(), tensors["ema"])
    assert run.trainer.ema_diffusion.seed == TRAINING["seed"]


def test_frequencies_that_are_not_trained_stay_and_are_shared(run: Run) -> None:
    name = "time_mlp.0.weights"
    start = make_diffusion().model.arrays()[name]
    for group in ("model", "ema"):
        np.testing.assert_array_equal(run.tensors(STEPS)[group][name], start)
    np.testing.assert_array_equal(run.trainer.ema_diffusion.model.arrays()[name], start)
    assert name not in run.tensors(STEPS)["adam_m"]


def test_a_resumed_run_is_the_run_bit_for_bit(run: Run, resumed: Run) -> None:
    assert resumed.reached
    for step in (4, 5, STEPS):
        one, other = run.tensors(step), resumed.tensors(step)
        assert one.keys() == other.keys() == {"model", "ema", "adam_m", "adam_v"}
        for group in one:
            assert_same(one[group], other[group])
    for step in (1, 4, STEPS):
        name = f"samples/step-{step:08d}.png"
        assert (run.folder / name).read_bytes() == (resumed.folder / name).read_bytes()
    one_rows, other_rows = (
        [{k: v for k, v in row.items() if k != "seconds"} for row in r.metrics()]
        for r in (run, resumed)
    )
    assert one_rows == other_rows
    assert sorted(p.name for p in resumed.folder.glob("checkpoints/*")) == sorted(
        p.name for p in run.folder.glob("checkpoints/*")
    )


@pytest.mark.slow
def test_accumulated_gradients_are_those_of_one_large_batch(run: Run, at_once: Run) -> None:
    """Equal but for the order of additions, over six updates."""
    one, other = run.tensors(STEPS), at_once.tensors(STEPS)
    start = make_diffusion().model.arrays()
    for group in ("model", "ema"):
        for name, array in one[group].items():
            moved = np.abs(array - start[name]).max()
            assert np.abs(array - other[group][name]).max() <= 0.02 * moved, (group, name)
    for a, b in zip(run.metrics(), at_once.metrics(), strict=False):
        assert b["loss"] == pytest.approx(a["loss"], rel=1e-4)
        assert b["grad_norm"] == pytest.approx(a["grad_norm"], rel=1e-3)


def test_the_loss_falls(at_once: Run) -> None:
    losses = [row["loss"] for row in at_once.metrics()]
    assert len(losses) == 60
    assert np.mean(losses[-10:]) < 0.8 * np.mean(losses[:10])


def test_a_sampler_that_fails_ends_no_run(at_once: Run) -> None:
    assert at_once.reached
    assert not (at_once.folder / "samples").exists()
    assert_same(at_once.trainer.diffusion.model.arrays(), at_once.tensors(60)["model"])
