"""Where a run is, seen from outside: its facts, its loss curve, its events for TensorBoard."""

from __future__ import annotations

import json
import os
import re
import resource
import signal
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ddpm_mindspore.accelerated.cli import main
from ddpm_mindspore.accelerated.commands.status import duration, gather, plot
from ddpm_mindspore.accelerated.config import DIGITS
from ddpm_mindspore.accelerated.runs.checkpoint import Checkpoint, save
from ddpm_mindspore.accelerated.runs.folder import RunFolder
from ddpm_mindspore.accelerated.trainer.tensorboard import EventFile, check_tensorboard
from ddpm_mindspore.accelerated.trainer.timing import Timings, shares


def make_run(path: Path, *, step: int = 250, saved: int | None = 200) -> RunFolder:
    """A run of 1,000 steps that has got to ``step``."""
    run = RunFolder(path)
    run.prepare(resume=False)
    run.config.write(replace(DIGITS, trainer=replace(DIGITS.trainer, train_num_steps=1000)))
    run.metrics.append({"step": i, "loss": 1 / i, "seconds": 0.5} for i in range(1, step + 1))
    run.progress.write(
        {
            "step": step,
            "steps": 1000,
            "seconds_per_step": 0.5,
            "images_per_second": 128.0,
            "seconds": {"steps": 80, "compiling": 50, "data": 0, "drawing": 15, "saving": 5},
            "skipped": 3,
            "written": 0.0,
        }
    )
    if saved:
        save(path, Checkpoint(saved, {}, {}))
    return run


def test_a_run_that_is_trained_now(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = make_run(tmp_path / "run")
    with run.lock:
        facts = gather(run)
        assert main(["status", str(run.path)]) == 0
    assert facts["running"] and facts["process"]["pid"] == os.getpid()
    # 750 steps of half a second are eight tenths of what is still to do.
    assert facts["seconds_left"] == pytest.approx(750 * 0.5 / 0.8)
    assert facts["shares"] == {"steps": 0.8, "data": 0.0, "drawing": 0.15, "saving": 0.05}
    assert facts["loss"] == pytest.approx(np.mean([1 / i for i in range(151, 251)]))
    assert facts["checkpoint_step"] == 200 and facts["skipped_images"] == 3
    out = capsys.readouterr().out
    assert re.search(rf"run: training \(process {os.getpid()} on .+\), heard of", out)
    assert "  step        250 of 1,000 (25%), about 8 min left" in out
    assert "  speed       128 images/s" in out
    assert "  checkpoint  step 200, 0 s ago" in out
    assert "  time        steps 80.0%, drawing 15.0%, saving 5.0%, data 0.0%" in out
    assert "  skipped     3 images that cannot be decoded" in out
    assert "█" in out


def test_the_newest_evaluations_are_shown(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = make_run(tmp_path / "run")
    run.evaluations.append(
        {"step": 50 * i, "frechet": 4 / i, "precision": 0.25 * i, "samples": 500}
        for i in range(1, 5)
    )
    assert main(["status", str(run.path)]) == 0
    found = re.findall(
        r"(?m)^  (?:evaluation|          )  (step \d+: .*)$", capsys.readouterr().out
    )
    assert found == [
        "step 200: Fréchet 1, precision 1",
        "step 150: Fréchet 1.33, precision 0.75",
        "step 100: Fréchet 2, precision 0.5",
    ]
    assert [row["step"] for row in gather(run)["evaluations"]] == [100, 150, 200]


@pytest.mark.parametrize(
    ("step", "saved", "said"),
    [
        (250, 200, "not running; --resume goes on from step 200"),
        (90, None, "not running, and it has no checkpoint to go on from"),
        (1000, 1000, "run: finished"),
    ],
)
def test_a_run_that_is_not(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], step: int, saved: int | None, said: str
) -> None:
    run = make_run(tmp_path / "run", step=step, saved=saved)
    assert main(["status", str(run.path)]) == 0
    out = capsys.readouterr().out
    assert said in out and "left" not in out and f"{step:,} of 1,000" in out


def test_a_run_of_which_little_is_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = make_run(tmp_path / "run", saved=20)
    run.progress.path.unlink()
    run.metrics.path.unlink()
    assert main(["status", str(run.path)]) == 0
    assert "step        20 of 1,000" in capsys.readouterr().out
    run.progress.path.write_text("{")
    assert gather(run)["step"] == 20
    assert main(["status", str(tmp_path)]) == 2
    assert "is not a run folder" in capsys.readouterr().err


def test_the_facts_as_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = make_run(tmp_path / "run")
    assert main(["status", str(run.path), "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert (facts["step"], facts["steps"], facts["running"]) == (250, 1000, False)


def test_a_long_run_is_read_in_stretches(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", step=1)
    run.metrics.path.unlink()
    run.metrics.append({"step": i, "loss": 2.0} for i in range(1, 100_001))
    rows = run.metrics.read(200_000)
    assert len(rows) < 10_000  # 200 kB of 3 MB
    steps = [row["step"] for row in rows]
    assert steps == sorted(set(steps)) and steps[0] == 1 and steps[-1] == 100_000
    assert np.diff(steps).max() < 100_000 / 200
    assert len(run.metrics.read()) == 100_000
    for step in (99_999, 50_000, 7, 0):
        run.metrics.rewind(step)
        assert [row["step"] for row in run.metrics.read()] == list(range(1, step + 1))


def test_the_loss_is_the_mean_of_the_last_hundred_steps_however_long_the_run(
    tmp_path: Path,
) -> None:
    run = make_run(tmp_path / "run", step=1)
    run.metrics.path.unlink()
    padding = {f"other {i}": 1.0 for i in range(100)}  # a long line: a hundred are 0.2 MB
    run.metrics.append({"step": i, "loss": float(i), **padding} for i in range(1, 1001))
    assert run.metrics.path.stat().st_size > 1.5 * 2**20
    with run.metrics.path.open("ab") as file:
        file.write(b'{"step": 1001, "lo')  # as a reader may find it
    assert gather(run)["loss"] == np.mean(np.arange(901, 1001))
    for count in (1, 99, 1000, 2000):
        steps = [row["step"] for row in run.metrics.last(count)]
        assert steps == list(range(1001 - min(count, 1000), 1001))


def test_losses_that_are_not_finite_are_counted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = make_run(tmp_path / "run", step=250)
    run.metrics.append([{"step": 251, "loss": float("nan")}, {"step": 252, "loss": 7.0}])
    assert main(["status", str(run.path)]) == 0
    mean = np.mean([*(1 / i for i in range(153, 251)), 7.0])
    said = capsys.readouterr().out
    assert f"  loss        {mean:.4f}, mean of the last 100 steps, without 1 that a" in said
    run.metrics.path.unlink()
    assert (gather(run)["loss"], run.metrics.last(3)) == (None, [])


def test_metrics_stay_whole_when_the_disk_is_full(tmp_path: Path) -> None:
    """A write that fails in the middle of a line leaves no half line before the next."""
    run = make_run(tmp_path / "run", step=3)
    size = run.metrics.path.stat().st_size
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (size + 10, limits[1]))
        with pytest.raises(OSError, match=r"No space left|File too large"):
            run.metrics.append([{"step": 4, "loss": 0.25}])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, before)
    assert run.metrics.path.stat().st_size == size
    run.metrics.append([{"step": 4, "loss": 0.25}])
    assert [row["step"] for row in run.metrics.read()] == [1, 2, 3, 4]


def test_seconds_go_on_where_an_earlier_session_ended() -> None:
    spent = Timings({"saving": 5.0, "sleeping": 1.0})
    with spent("saving"), pytest.raises(ZeroDivisionError):
        _ = 1 / 0
    assert 5.0 < spent.seconds["saving"] < 6.0 and spent.seconds["steps"] == 0.0
    assert shares(spent.seconds)["saving"] == 1.0
    assert set(shares({}).values()) <= {0.0}


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.4, "0 s"),
        (99, "99 s"),
        (100, "2 min"),
        (5999 - 60, "99 min"),
        (7800, "2 h 10 min"),
        (86400 * 4 + 3 * 3600, "4 days 3 h"),
    ],
)
def test_durations(seconds: float, text: str) -> None:
    assert duration(seconds) == text


@pytest.mark.parametrize("count", [1, 2, 59, 60, 61, 1000])
def test_the_loss_curve_falls_from_left_to_right(count: int) -> None:
    lines = plot(list(range(1, count + 1)), [1 / i for i in range(1, count + 1)]).splitlines()
    assert len(lines) == 9 and max(map(len, lines)) <= 72
    bars = [line.partition("┤")[2] for line in lines[:-1]]
    heights = [
        sum(row[i] != " " for row in bars if i < len(row)) for i in range(max(map(len, bars)))
    ]
    assert heights == sorted(heights, reverse=True)
    assert len(heights) == min(count, 60)
    assert heights[-1] >= 1 and (count == 1 or heights[0] == 8)
    assert lines[-1].split()[0] == "step" and lines[-1].endswith(f"{count:,}")


def test_losses_that_are_negative_or_equal_are_drawn_too() -> None:
    for losses in ([-1.0, -2.0, -3.0], [2.0, 2.0, 2.0]):
        assert "█" in plot([1, 2, 3], losses) or "▁" in plot([1, 2, 3], losses)


def events(folder: Path) -> list[Any]:
    """Read event files, oldest first."""
    from tensorboardX.proto.event_pb2 import Event

    found = []
    for path in sorted(folder.glob("events*"), key=lambda path: path.stat().st_mtime_ns):
        data, at = path.read_bytes(), 0
        while at < len(data):
            size = int.from_bytes(data[at : at + 8], "little")
            found.append(Event.FromString(data[at + 12 : at + 12 + size]))
            at += 16 + size
    return found


def test_metrics_for_tensorboard(tmp_path: Path) -> None:
    pytest.importorskip("tensorboardX")
    check_tensorboard()
    board = EventFile(tmp_path / "tensorboard", 0)
    board.add([{"step": 1, "loss": 0.5, "lr": 1e-3}, {"step": 2, "loss": 0.25, "lr": 1e-3}])
    board.close()
    first = events(tmp_path / "tensorboard")
    scalars = {
        (event.step, value.tag): value.simple_value
        for event in first
        for value in event.summary.value
    }
    assert scalars[1, "loss"] == 0.5 and scalars[2, "loss"] == 0.25
    assert scalars[2, "lr"] == pytest.approx(1e-3) and len(scalars) == 4
    assert [event.step for event in first if event.HasField("session_log")] == [1]


def test_tensorboard_is_asked_for_before_long_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ValueError, match=r"pip install 'ddpm-mindspore\[tensorboard\]'"):
        check_tensorboard()
