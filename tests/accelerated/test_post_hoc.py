"""Making an average of any length from the checkpoints of a run."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ddpm_mindspore.accelerated.cli import main
from ddpm_mindspore.accelerated.commands import batches as commands
from ddpm_mindspore.accelerated.config import DIGITS
from ddpm_mindspore.accelerated.diffusion import GaussianDiffusion
from ddpm_mindspore.accelerated.ema import power_name
from ddpm_mindspore.accelerated.runs.averages import load_average
from ddpm_mindspore.accelerated.runs.checkpoint import Checkpoint, save
from ddpm_mindspore.accelerated.runs.folder import RunFolder
from ddpm_mindspore.accelerated.runs.opened import build
from ddpm_mindspore.accelerated.runs.provenance import facts
from ddpm_mindspore.reference.config import UnetConfig
from ddpm_mindspore.reference.ema import power_weight

WIDTHS = (0.05, 0.1)


def make_run(path: Path, steps: range, widths: tuple[float, ...] = WIDTHS) -> np.ndarray:  # type: ignore[type-arg]
    """A run whose parameter is a random walk; returns its path."""
    run = RunFolder(path)
    run.prepare(resume=False)
    trainer = replace(DIGITS.trainer, ema_sigma_rels=widths, results_folder=str(path))
    run.config.write(replace(DIGITS, trainer=trainer))
    walk = np.cumsum(np.random.default_rng(0).standard_normal(steps[-1])).astype(np.float32)
    averages = dict.fromkeys(widths, np.float32(0))
    for step, p in enumerate(walk, start=1):
        for width in widths:
            weight = np.float32(power_weight(step, width))
            averages[width] = weight * averages[width] + (1 - weight) * p
        if step in steps:
            groups = {
                power_name(w): {"p": np.array([a, 2.0], np.float32)} for w, a in averages.items()
            }
            save(path, Checkpoint(step, {"ema": {"p": np.zeros(2, np.float32)}, **groups}, {}))
    return walk


def direct(walk: np.ndarray, sigma_rel: float) -> float:  # type: ignore[type-arg]
    average = 0.0
    for step, p in enumerate(walk, start=1):
        weight = power_weight(step, sigma_rel)
        average = weight * average + (1 - weight) * float(p)
    return average


@pytest.mark.parametrize("sigma_rel", [0.05, 0.08, 0.15])
def test_it_is_the_average_that_training_would_have_kept(tmp_path: Path, sigma_rel: float) -> None:
    walk = make_run(tmp_path, range(20, 401, 20))
    average = load_average(RunFolder(tmp_path), sigma_rel)
    assert (average.step, average.snapshots, average.refused) == (400, 40, [])
    assert average.error < 0.02
    expected = direct(walk, sigma_rel)
    others = [abs(direct(walk, w) - expected) for w in (0.03, 0.2)]
    assert abs(average.arrays["p"][0] - expected) < 0.02 * min(others)
    assert average.arrays["p"][1] == 2.0
    assert average.arrays["p"].dtype == np.float32


def test_a_damaged_checkpoint_is_passed_over(tmp_path: Path) -> None:
    walk = make_run(tmp_path, range(20, 401, 20))
    for step in (200, 400):
        path = tmp_path / "checkpoints" / f"step-{step:08d}" / "ema_0_1.safetensors"
        data = bytearray(path.read_bytes())
        data[-1] ^= 1
        path.write_bytes(data)
    average = load_average(RunFolder(tmp_path), 0.08)
    assert (average.step, average.snapshots) == (380, 36)
    assert len(average.refused) == 2 and all("damaged" in reason for reason in average.refused)
    expected = direct(walk[:380], 0.08)
    assert average.arrays["p"][0] == pytest.approx(expected, abs=0.05 * abs(expected))


def test_too_few_checkpoints_for_a_length_are_refused(tmp_path: Path) -> None:
    make_run(tmp_path, range(400, 401))
    assert load_average(RunFolder(tmp_path), 0.1).error < 1e-6
    with pytest.raises(ValueError, match=r"ema 0\.25 cannot be made from 1 checkpoint.*% off"):
        load_average(RunFolder(tmp_path), 0.25)


def test_a_run_without_averages_says_what_to_do(tmp_path: Path) -> None:
    make_run(tmp_path, range(1, 3), widths=())
    with pytest.raises(ValueError, match=r"trained without --ema-sigma-rels .*--ema default"):
        load_average(RunFolder(tmp_path), 0.1)


def test_a_run_whose_checkpoints_are_all_damaged(tmp_path: Path) -> None:
    make_run(tmp_path, range(1, 3))
    for path in tmp_path.rglob("ema_0_05.safetensors"):
        path.write_bytes(b"")
    with pytest.raises(ValueError, match=r"no checkpoint to make an average from: .*damaged"):
        load_average(RunFolder(tmp_path), 0.1)


def test_sample_draws_with_the_average_that_is_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    net = UnetConfig(dim=4, dim_mults=(1,), channels=1, attn_heads=1, attn_dim_head=4)
    trainer = replace(DIGITS.trainer, ema_sigma_rels=WIDTHS)
    config = replace(DIGITS, network=net, trainer=trainer)
    run = RunFolder(tmp_path)
    run.prepare(resume=False)
    run.config.write(config)
    start = build(config).model.arrays()
    for step in range(1, 11):
        groups = {
            power_name(width): {n: p * np.float32(step + i) for n, p in start.items()}
            for i, width in enumerate(WIDTHS)
        }
        save(tmp_path, Checkpoint(step, {"ema": start, **groups}, {}))
    drawn = []

    def sample(self: GaussianDiffusion, *_: object, **__: object) -> np.ndarray:  # type: ignore[type-arg]
        drawn.append(self.model.arrays())
        return np.zeros((1, 1, 8, 8), np.float32)

    monkeypatch.setattr(GaussianDiffusion, "sample", sample)
    monkeypatch.setattr(commands, "select_device", lambda name: name)
    for ema in ("default", "0.05", "0.08"):
        assert main(["sample", str(tmp_path), "--num-samples", "1", "--ema", ema]) == 0
        with Image.open(tmp_path / "drawn" / "grid.png") as grid:
            said = grid.text  # type: ignore[attr-defined]
        average = "average" if ema == "default" else f"average over {ema} of training"
        more = {"Images": "0-0", "Batch size": "1"}
        assert said == facts(config, 10, average, config.sampling, 0) | more
    expected = [start, groups["ema_0_05"], load_average(run, 0.08).arrays]
    for got, wanted in zip(drawn, expected, strict=True):
        for name, array in wanted.items():
            np.testing.assert_allclose(got[name], array, rtol=1e-6, err_msg=name)
    said = capsys.readouterr().err
    assert "an average over 0.08 of training, of 20 snapshots; its profile is" in said
    assert main(["sample", str(tmp_path), "--ema", "0.01"]) == 2
    assert "ema 0.01 cannot be made from 10 checkpoint(s)" in capsys.readouterr().err
