"""A new run that starts from the weights of another."""

from __future__ import annotations

import json
import shutil
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest

from ddpm_mindspore.accelerated import Trainer, open_run
from ddpm_mindspore.accelerated.cli import main
from ddpm_mindspore.accelerated.commands.defaults import train_defaults
from ddpm_mindspore.accelerated.commands.parse import parse
from ddpm_mindspore.accelerated.commands.status import describe, gather
from ddpm_mindspore.accelerated.config import DIGITS, FOLDER, RunConfig, TrainerConfig
from ddpm_mindspore.accelerated.runs.checkpoint import Checkpoint, load_newest, save
from ddpm_mindspore.accelerated.runs.folder import RunFolder
from ddpm_mindspore.accelerated.runs.opened import build
from ddpm_mindspore.reference.config import SamplingConfig, UnetConfig

Arrays = dict[str, np.ndarray]

UNET = UnetConfig(dim=4, dim_mults=(1,), channels=1, attn_heads=1, attn_dim_head=4, dropout=0.1)
SOURCE = replace(
    DIGITS,
    network=UNET,
    diffusion=replace(DIGITS.diffusion, timesteps=20),
    sampling=SamplingConfig(sampling_timesteps=2),
)
IMAGES = np.random.default_rng(0).random((8, 1, 8, 8), np.float32)


def arrays(seed: int) -> Arrays:
    config: RunConfig = replace(SOURCE, trainer=replace(SOURCE.trainer, seed=seed))
    return build(config).model.arrays()


def assert_same(actual: Arrays, expected: Arrays) -> None:
    for name, array in expected.items():
        np.testing.assert_array_equal(actual[name], array, name)


def make_source(path: Path, **state: str) -> Path:
    """Checkpoints of steps 10 and 20, trained and averaged parameters of seeds 10 to 21."""
    run = RunFolder(path)
    run.prepare(resume=False)
    run.config.write(SOURCE)
    for step in (10, 20):
        save(path, Checkpoint(step, {"model": arrays(step), "ema": arrays(step + 1)}, dict(state)))
    return path


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return make_source(tmp_path / "source")


def trainer_of(folder: Path, config: RunConfig = SOURCE, **options: object) -> Trainer:
    given = {"train_batch_size": 4, "num_samples": 1, "train_num_steps": 2, **options}
    return Trainer(build(config), IMAGES, results_folder=str(folder), **given)


def test_a_run_starts_anew_from_the_averaged_weights(source: Path, tmp_path: Path) -> None:
    trainer = trainer_of(tmp_path / "new", from_run=str(source))
    assert trainer.step == 0
    assert trainer.config.from_run == str(source / "checkpoints" / "step-00000020")
    assert_same(trainer.diffusion.model.arrays(), arrays(21))
    assert_same(trainer.ema_diffusion.model.arrays(), arrays(21))
    vectors = trainer._optimizer.vectors()
    assert not vectors["m"].any() and not vectors["v"].any()
    assert_same(trainer._optimizer.by_name(vectors["params"]), arrays(21))


def test_weights_and_checkpoint_are_the_callers_choice(source: Path, tmp_path: Path) -> None:
    older = source / "checkpoints" / "step-00000010"
    trainer = trainer_of(tmp_path / "new", from_run=str(older), from_weights="trained")
    assert_same(trainer.diffusion.model.arrays(), arrays(10))
    assert trainer.config.from_run == str(older)


def test_a_resumed_run_needs_the_other_one_no_more(source: Path, tmp_path: Path) -> None:
    trainer = trainer_of(tmp_path / "new", from_run=str(source))
    trainer.run.config.write(trainer._run_config)
    taken = trainer._snapshot()
    save(trainer.run.path, replace(taken, step=1))
    written = json.loads((tmp_path / "new" / "config.json").read_text())
    assert written["version"] == 2
    assert written["trainer"]["from_run"].endswith("source/checkpoints/step-00000020")
    shutil.rmtree(source)
    resumed = trainer_of(tmp_path / "new", resume=True)
    assert resumed.step == 1
    assert resumed._run_config.trainer.from_run == trainer.config.from_run
    assert_same(resumed.diffusion.model.arrays(), arrays(21))
    assert f"from        {trainer.config.from_run}" in describe(gather(trainer.run))


def test_what_may_differ_does_and_what_may_not_is_refused(source: Path, tmp_path: Path) -> None:
    other = replace(
        SOURCE,
        image_size=(6, 4),
        network=replace(UNET, dropout=0.0),
        diffusion=replace(SOURCE.diffusion, objective="pred_x0"),
    )
    images = IMAGES[:, :, :6, :4]
    given = {"num_samples": 1, "results_folder": str(tmp_path / "new"), "from_run": str(source)}
    trainer = Trainer(build(other), images, **given)
    assert_same(trainer.diffusion.model.arrays(), arrays(21))
    wider = replace(SOURCE, network=replace(UNET, dim=8))
    with pytest.raises(ValueError, match=r"dim is 4, not 8, in the run in .*source.*same network"):
        trainer_of(tmp_path / "other", wider, from_run=str(source))
    with pytest.raises(ValueError, match="has no checkpoint of step 15: it has 10, 20"):
        trainer_of(tmp_path / "other", from_run=str(source / "checkpoints" / "step-00000015"))
    with pytest.raises(ValueError, match="newest' is no checkpoint: name one like step-00001000"):
        trainer_of(tmp_path / "other", from_run=str(source / "checkpoints" / "newest"))
    with pytest.raises(ValueError, match="from_weights 'ema' must be 'average' or 'trained'"):
        TrainerConfig(from_weights="ema")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="already holds a run"):
        trainer_of(source, from_run=str(source))


def options(*args: str) -> RunConfig:
    return parse(RunConfig, "train", "", list(args), train_defaults(list(args)))


def test_the_command_takes_network_and_images_from_the_run(source: Path) -> None:
    config = options("--from", str(source), "--lr", "1e-5", "--steps", "7")
    assert (config.network, config.diffusion) == (SOURCE.network, SOURCE.diffusion)
    assert (config.data, config.image_size) == ("digits", SOURCE.image_size)
    assert config.trainer == replace(
        DIGITS.trainer, from_run=str(source), train_lr=1e-5, train_num_steps=7
    )
    config = options(f"--from={source}", "--data", "photos", "--from-weights", "trained")
    assert (config.network, config.data) == (SOURCE.network, "photos")
    assert config.trainer == replace(FOLDER.trainer, from_run=str(source), from_weights="trained")


def test_imported_weights_are_told_apart(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    imported = make_source(tmp_path / "imported", imported_from="w.pt")
    assert main(["train", "--from", str(imported)]) == 2
    assert "no images to train on: say which (--data)" in capsys.readouterr().err
    assert options("--from", str(imported), "--data", "digits").data == "digits"
    assert main(["train", "--resume", "--results-folder", str(imported)]) == 2
    assert f"start a new run from it (--from {imported}" in capsys.readouterr().err
    assert main(["train", "--results-folder", str(imported)]) == 2
    refused = capsys.readouterr().err
    assert f"(--from {imported} --results-folder ANOTHER) or choose" in refused
    assert "--resume" not in refused
    assert "imported weights; a new run can start" in describe(gather(RunFolder(imported)))


@pytest.mark.slow
def test_a_run_trains_on_from_another(source: Path, tmp_path: Path) -> None:
    config = replace(SOURCE.trainer, train_num_steps=3, save_and_sample_every=2, num_samples=2)
    config = replace(config, results_folder=str(tmp_path / "new"), from_run=str(source))
    assert Trainer(build(SOURCE), IMAGES, **asdict(config)).train()
    checkpoint = load_newest(tmp_path / "new").checkpoint
    assert checkpoint.step == 3
    start, now = arrays(21), checkpoint.tensors["model"]
    moved = max(float(np.abs(now[name] - array).max()) for name, array in start.items())
    assert 0 < moved < 0.1  # of parameters of about 1: it went on from those
    opened = open_run(tmp_path / "new")
    assert opened.config.trainer.from_run == str(source / "checkpoints" / "step-00000020")
