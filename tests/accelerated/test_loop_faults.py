"""The loop when something goes wrong: it is interrupted or killed, or a file cannot be written."""

from __future__ import annotations

import errno
import math
import signal
from pathlib import Path
from typing import Any

import pytest

from ddpm_mindspore.accelerated import GaussianDiffusion
from ddpm_mindspore.accelerated.reports import pictures
from ddpm_mindspore.accelerated.runs.checkpoint import Checkpoint, load
from ddpm_mindspore.accelerated.trainer import state as train_state

from .quick_trainer import (
    Quick,
    drawn,
    saved,
)

LOSS_CURVE = pictures.loss_curve


def test_ctrl_c_saves_after_the_step_and_draws_nothing(
    quick: Quick, capsys: pytest.CaptureFixture[str]
) -> None:
    trainer, step = quick()
    before = signal.getsignal(signal.SIGINT)
    step.at[5] = lambda: signal.raise_signal(signal.SIGINT)
    assert not trainer.train()
    assert trainer.step == 5 and saved(trainer) == [3, 5] and drawn(trainer) == [3]
    assert [row["step"] for row in trainer.run.metrics.read()] == [1, 2, 3, 4, 5]
    assert signal.getsignal(signal.SIGINT) is before
    assert "Traceback" not in capsys.readouterr().err

    again, _ = quick(resume=True)
    assert again.step == 5
    assert again.train() and saved(again) == [3, 5, 6, 7]


def test_a_second_ctrl_c_ends_at_once(quick: Quick) -> None:
    trainer, step = quick()

    def twice() -> None:
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)

    step.at[5] = twice
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        trainer.train()
    assert saved(trainer) == [3]
    assert signal.getsignal(signal.SIGINT) is before


def test_ctrl_c_ends_a_drawing_under_way(
    quick: Quick, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    steps = []

    def sample(self: GaussianDiffusion, batch_size: int, **options: Any) -> None:
        for i in range(100):
            steps.append(i)
            if i == 1:
                signal.raise_signal(signal.SIGINT)
            options["on_step"]()

    monkeypatch.setattr(GaussianDiffusion, "sample", sample)
    trainer, _ = quick()
    assert not trainer.train()
    assert steps == [0, 1]
    assert 3 in saved(trainer) and trainer.step <= 4 and trainer.step in saved(trainer)
    assert "no samples at step 3" in capsys.readouterr().out


def test_pictures_that_fail_end_no_run(
    quick: Quick, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise OSError("disk of pictures is full")

    monkeypatch.setattr(pictures, "comparison", fail)
    trainer, _ = quick()
    assert trainer.train()
    assert saved(trainer) == [3, 6, 7] and drawn(trainer) == []
    out = capsys.readouterr().out
    assert out.count("disk of pictures is full") == 3
    assert "no samples at step 6: OSError: disk of pictures is full" in out


def test_a_loss_that_is_not_a_number_is_written_as_null(
    quick: Quick, monkeypatch: pytest.MonkeyPatch
) -> None:
    trainer, step = quick(save_and_sample_every=10)
    monkeypatch.setattr(pictures, "loss_curve", LOSS_CURVE)
    step.wrong = {2: (math.nan, 2.0), 4: (math.inf, 2.0)}
    assert trainer.train()
    lost = [row["step"] for row in trainer.run.metrics.read() if row["loss"] is None]
    assert lost == [2, 4] and len(trainer.run.metrics.read()) == 7
    assert drawn(trainer) == [7] and trainer.run.loss_curve.exists()


def test_a_full_disk_ends_no_run_that_can_still_be_saved_later(
    quick: Quick,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    real = train_state.save

    def save(run: Path, checkpoint: Checkpoint) -> Path:
        if checkpoint.step in full:
            raise OSError(errno.ENOSPC, "No space left on device")
        return real(run, checkpoint)

    monkeypatch.setattr(train_state, "save", save)
    full = {3}
    assert quick(results_folder=str(tmp_path / "passing"))[0].train()
    assert "no checkpoint at step 3: [Errno 28] No space left on device" in capsys.readouterr().out
    full = {6, 7}
    trainer, _ = quick()
    with pytest.raises(OSError, match=r"could not be saved \(No space.*\), the newest is .*00003"):
        trainer.train()
    assert saved(trainer) == [3] and trainer.step == 7
    assert [row["step"] for row in trainer.run.metrics.read()] == list(range(1, 8))


def test_samples_that_a_kill_prevented_are_drawn_by_the_resumed_run(quick: Quick) -> None:
    trainer, _ = quick()
    trainer.train()
    picture = trainer.run.path / "samples" / "step-00000007.png"
    content = picture.read_bytes()
    picture.unlink()
    assert quick(resume=True)[0].train() and picture.read_bytes() == content
    # Ctrl-C at a step where none are due leaves nothing to catch up on.
    trainer, step = quick(results_folder=str(trainer.run.path) + "-stopped")
    step.at[4] = lambda: signal.raise_signal(signal.SIGINT)
    assert not trainer.train()
    again, _ = quick(results_folder=str(trainer.run.path), resume=True)
    assert again.train() and drawn(again) == [3, 6, 7]


def test_a_damaged_checkpoint_is_passed_over_and_told(
    quick: Quick, capsys: pytest.CaptureFixture[str]
) -> None:
    trainer, _ = quick()
    trainer.train()
    file = trainer.run.path / "checkpoints" / "step-00000007" / "ema.safetensors"
    data = bytearray(file.read_bytes())
    data[-1] ^= 1
    file.write_bytes(data)
    again, _ = quick(resume=True)
    assert again.step == 6
    assert "passed over a checkpoint" in capsys.readouterr().out
    assert again.train() and saved(again) == [3, 6, 7]
    assert load(file.parent).step == 7


def test_metrics_of_a_run_killed_before_its_first_checkpoint_are_dropped(quick: Quick) -> None:
    trainer, step = quick()

    def die() -> None:
        raise SystemExit

    step.at[2] = die
    trainer.run.metrics.append([{"step": 1, "loss": 9.0}])
    with pytest.raises(SystemExit):
        trainer.train()
    again, _ = quick()
    again.train()
    assert [row["step"] for row in again.run.metrics.read()] == [1, 2, 3, 4, 5, 6, 7]
    assert again.run.metrics.read()[0]["loss"] == 1.0
