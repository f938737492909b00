"""What this program has written, later versions have to go on with.

``fixtures/run-1`` is a run of format version 1, stopped after three updates; its metrics go on to
the sixth. ``python tests/accelerated/test_format.py FOLDER`` writes one like it.
"""

from __future__ import annotations

import json
import shutil
import sys
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from ddpm_mindspore.accelerated import Trainer
from ddpm_mindspore.accelerated.config import DIGITS
from ddpm_mindspore.accelerated.runs.checkpoint import load
from ddpm_mindspore.accelerated.runs.folder import RunFolder
from ddpm_mindspore.accelerated.runs.opened import build, open_run
from ddpm_mindspore.reference.config import SamplingConfig, UnetConfig

FIXTURE = Path(__file__).parent / "fixtures" / "run-1"
STOP, STEPS = 3, 6


def pictures() -> NDArray[np.uint8]:
    y, x = np.mgrid[0:4, 0:4] / 4
    return np.asarray([[127.5 + 120 * np.sin(5 * x + i * y)] for i in range(7)], np.uint8)


def write(folder: Path) -> None:
    """Make the fixture."""
    config = replace(
        DIGITS,
        image_size=4,
        network=UnetConfig(
            dim=4,
            dim_mults=(1,),
            channels=1,
            attn_heads=1,
            attn_dim_head=4,
            self_condition=True,
            random_fourier_features=True,
        ),
        diffusion=replace(DIGITS.diffusion, timesteps=20),
        sampling=SamplingConfig(sampling_timesteps=2),
        trainer=replace(
            DIGITS.trainer,
            train_num_steps=STEPS,
            train_batch_size=4,
            warmup_steps=2,
            lr_schedule="cosine",
            weight_decay=0.01,
            ema_sigma_rels=(0.1,),
            amp_level="O1",
            save_and_sample_every=STOP,
            num_samples=2,
            results_folder=str(folder),
        ),
    )
    Trainer(build(config), pictures(), **asdict(config.trainer)).train()
    shutil.rmtree(folder / "samples")
    shutil.rmtree(folder / "checkpoints" / f"step-{STEPS:08d}")
    for name in ("loss.png", ".lock", "progress.json"):
        (folder / name).unlink()
    config = RunFolder(folder).config.read()
    named = replace(config, trainer=replace(config.trainer, results_folder=folder.name))
    RunFolder(folder).config.write(named)


def go_on(folder: Path) -> list[dict[str, Any]]:
    """Train a run of the fixture's kind to its end; its metrics."""
    config = RunFolder(folder).config.read()
    trainer = replace(config.trainer, results_folder=str(folder), resume=True)
    resumed = Trainer(build(config), pictures(), **asdict(trainer))
    assert resumed.step == STOP
    assert resumed.train()
    return RunFolder(folder).metrics.read()


@pytest.mark.slow
def test_a_run_of_version_1_is_opened_and_trained_on(tmp_path: Path) -> None:
    before = [json.loads(line) for line in (FIXTURE / "metrics.jsonl").open()]
    run = tmp_path / "run"
    shutil.copytree(FIXTURE, run)
    opened = open_run(run)
    assert opened.step == STOP and opened.diffusion.shape == (1, 4, 4)
    now = go_on(run)
    assert [row["step"] for row in now] == list(range(1, STEPS + 1))
    for old, new in zip(before, now, strict=True):
        # Other processors round otherwise; another optimiser state would be far off.
        assert new["loss"] == pytest.approx(old["loss"], rel=1e-3)
        assert new["grad_norm"] == pytest.approx(old["grad_norm"], rel=1e-2)
        assert new["lr"] == pytest.approx(old["lr"], rel=1e-9, abs=1e-20)
    last = load(run / "checkpoints" / f"step-{STEPS:08d}")
    groups = {"model", "ema", "adam_m", "adam_v"}
    assert groups < last.tensors.keys()
    assert load(FIXTURE / "checkpoints" / f"step-{STOP:08d}").tensors.keys() == last.tensors.keys()


def test_what_version_1_said_of_sampling_is_not_lost(tmp_path: Path) -> None:
    document = json.loads((FIXTURE / "config.json").read_text())
    changed = {"sampling_timesteps": 7, "ddim_sampling_eta": 0.25, "clip_denoised": False}
    document["diffusion"] |= changed
    (tmp_path / "config.json").write_text(json.dumps(document))
    run = RunFolder(tmp_path)
    config = run.config.read()
    expected = SamplingConfig("ddim", 7, "uniform", 0.25, clip_denoised=False)
    assert config.sampling == expected
    assert config.network.dim == 4 and config.diffusion.timesteps == 20
    run.config.write(config)
    written = json.loads((tmp_path / "config.json").read_text())
    assert written["version"] == 2 and "unet" not in written
    assert run.config.read() == config


def test_the_fixture_is_small() -> None:
    assert sum(path.stat().st_size for path in FIXTURE.rglob("*") if path.is_file()) < 150_000


if __name__ == "__main__":
    write(Path(sys.argv[1]))
