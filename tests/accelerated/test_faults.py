"""Faults, with real processes: what is left on the disk, and that training ends as if undisturbed.

Each process takes seconds to start, so one undisturbed run is what all others are compared with.
"""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from numpy.typing import NDArray

from ddpm_mindspore.accelerated.cli import main
from ddpm_mindspore.accelerated.commands.status import gather
from ddpm_mindspore.accelerated.runs.checkpoint import load, load_newest
from ddpm_mindspore.accelerated.runs.folder import RunFolder

COMMAND = (sys.executable, "-m", "ddpm_mindspore.accelerated.cli")
STEPS = 24
EVERY = 2
TRAIN = (
    *("train", "--dim", "8", "--dim-mults", "1", "--attn-heads", "1", "--attn-dim-head", "8"),
    *("--image-size", "8", "--batch-size", "4", "--timesteps", "20", "--sampling-timesteps", "2"),
    *("--num-samples", "4", "--gradient-accumulate-every", "2", "--dropout", "0.1"),
    *("--self-condition", "--augment-horizontal-flip", "--ema-update-after-step", "3"),
    *("--steps", str(STEPS), "--save-every", str(EVERY), "--keep-last", "2", "--seed", "6"),
)
Tensors = dict[str, dict[str, NDArray[np.float32]]]


def start(folder: Path, *options: str) -> subprocess.Popen[str]:
    """A process that trains in ``folder``, going on where a checkpoint is."""
    resume = ("--resume",) if any(folder.glob("checkpoints/step-*")) else ()
    command = [*COMMAND, *TRAIN, "--results-folder", str(folder), *resume, *options]
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=folder.parent
    )


def finish(process: subprocess.Popen[str], *, code: int = 0) -> str:
    out, err = process.communicate(timeout=600)
    assert process.returncode == code, err
    return out + err


def wait_for(process: subprocess.Popen[str], what: Callable[[], Any]) -> bool:
    """Wait until ``what`` holds; False when the process ended first."""
    deadline = time.monotonic() + 300
    while not what():
        if process.poll() is not None:
            return False
        assert time.monotonic() < deadline
        time.sleep(0.0005)
    return True


def kill(process: subprocess.Popen[str]) -> None:
    process.kill()
    process.communicate()


def losses(folder: Path) -> list[tuple[float, ...]]:
    rows = RunFolder(folder).metrics.read()
    return [(row["step"], row["loss"], row["grad_norm"], row["lr"]) for row in rows]


def pictures_of(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.glob("samples/*.png")}


def assert_same(one: Tensors, other: Tensors) -> None:
    assert one.keys() == other.keys() >= {"model", "ema", "adam_m", "adam_v"}
    for group, tensors in one.items():
        assert tensors.keys() == other[group].keys()
        for name, array in tensors.items():
            np.testing.assert_array_equal(array, other[group][name], err_msg=f"{group} {name}")


class Undisturbed(NamedTuple):
    folder: Path
    tensors: dict[int, Tensors]
    losses: list[tuple[float, ...]]
    pictures: dict[str, bytes]


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Undisturbed:
    folder = tmp_path_factory.mktemp("runs") / "undisturbed"
    finish(start(folder, "--keep-last", "None"))
    steps = range(EVERY, STEPS + 1, EVERY)
    tensors = {n: load(folder / f"checkpoints/step-{n:08d}").tensors for n in steps}
    return Undisturbed(folder, tensors, losses(folder), pictures_of(folder))


def assert_ends_undisturbed(folder: Path, undisturbed: Undisturbed) -> None:
    loaded = load_newest(folder)
    assert loaded.checkpoint.step == STEPS and loaded.refused == []
    assert_same(loaded.checkpoint.tensors, undisturbed.tensors[STEPS])
    assert losses(folder) == undisturbed.losses
    assert pictures_of(folder) == undisturbed.pictures
    assert len(list(folder.glob("checkpoints/*"))) == 2  # two are kept, and nothing half-written
    assert not list(folder.rglob("*.tmp"))


def assert_goes_on_from_here(folder: Path, undisturbed: Undisturbed) -> int:
    """See that what lies in a folder is a state of the undisturbed run; its step."""
    if not any(folder.glob("checkpoints/step-*")):
        RunFolder(folder).prepare(resume=False)
        return 0
    run = RunFolder(folder)
    run.prepare(resume=True)
    loaded = load_newest(folder)
    assert loaded.refused == []
    step = loaded.checkpoint.step
    assert_same(loaded.checkpoint.tensors, undisturbed.tensors[step])
    run.metrics.rewind(step)
    assert losses(folder) == undisturbed.losses[:step]
    return step


# ---- kill -9


@pytest.mark.slow
def test_what_a_kill_leaves_at_any_moment_is_a_state_of_the_undisturbed_run(
    undisturbed: Undisturbed, tmp_path: Path
) -> None:
    """A process that is stopped has on the disk what it would have if it were killed."""
    folder = tmp_path / "run"
    process = start(folder)
    copies: list[Path] = []
    half_written = 0
    wait_for(process, (folder / "metrics.jsonl").exists)
    pause = 0.0
    while process.poll() is None:
        time.sleep(pause)
        process.send_signal(signal.SIGSTOP)
        copy = tmp_path / f"copy-{len(copies)}"
        shutil.copytree(folder, copy)
        copies.append(copy)
        half_written += any(copy.glob("checkpoints/.*.tmp"))
        process.send_signal(signal.SIGCONT)
        # Every other time within a checkpoint that is being written, which takes 2 ms.
        if len(copies) % 2:
            wait_for(process, lambda: any(folder.glob("checkpoints/.*.tmp")))
            pause = 0.0
        else:
            pause = random.uniform(0.0, 0.2)
    finish(process)
    steps = [assert_goes_on_from_here(copy, undisturbed) for copy in copies]
    assert steps == sorted(steps)
    assert len(steps) >= 10 and half_written >= 1
    assert_ends_undisturbed(folder, undisturbed)


class Kills(NamedTuple):
    """Where processes were killed, and how many steps each kill lost."""

    moments: list[str]
    lost: list[int]


def in_a_checkpoint(folder: Path, before: int) -> bool:
    """One is being written, and it is not the first of this life."""
    return newest_step(folder) > before and any(folder.glob("checkpoints/.*.tmp"))


def in_a_drawing(folder: Path, before: int) -> bool:
    """A checkpoint is there and its samples are not."""
    step = newest_step(folder)
    return step > before and not (folder / f"samples/step-{step:08d}.png").exists()


def in_a_step(folder: Path, before: int) -> bool:
    rows = RunFolder(folder).metrics.read()
    return bool(rows) and rows[-1]["step"] > before


MOMENTS = {"step": in_a_step, "checkpoint": in_a_checkpoint, "drawing": in_a_drawing}


def kill_again_and_again(folder: Path, moments: list[str], rng: random.Random) -> Kills:
    """Train, and be killed, until the run has got to its end or no moment is left."""
    kills = Kills([], [])
    for moment in moments:
        before = newest_step(folder)
        process = start(folder)
        # Each gets one checkpoint further than the one before it, but for one in three.
        alive = wait_for(process, partial(MOMENTS[moment], folder, before))
        if moment == "step":
            time.sleep(rng.uniform(0.0, 0.3))
        if not alive or process.poll() is not None:
            finish(process)
            break
        kill(process)
        kills.moments.append(moment)
        rows = RunFolder(folder).metrics.read()
        kills.lost.append(max(0, (rows[-1]["step"] if rows else 0) - newest_step(folder)))
    return kills


def newest_step(folder: Path) -> int:
    names = [path.name.removesuffix(".old") for path in folder.glob("checkpoints/step-*")]
    return max((int(name.removeprefix("step-")) for name in names), default=0)


@pytest.mark.nightly
def test_a_process_that_is_killed_again_and_again_ends_as_if_undisturbed(
    undisturbed: Undisturbed, tmp_path: Path
) -> None:
    folder = tmp_path / "run"
    kills = kill_again_and_again(folder, ["checkpoint", "drawing", "step"], random.Random())
    assert len(kills.moments) == 3 and max(kills.lost) <= EVERY
    finish(start(folder))
    assert_ends_undisturbed(folder, undisturbed)


@pytest.mark.nightly
def test_a_hundred_kills_lose_nothing(undisturbed: Undisturbed, tmp_path: Path) -> None:
    rng = random.Random()
    moments, lost, runs = Counter[str](), Counter[str](), 0
    while moments.total() < 100:
        folder = tmp_path / f"run-{runs}"
        kills = kill_again_and_again(folder, rng.choices(list(MOMENTS), k=10), rng)
        finish(start(folder))
        assert_ends_undisturbed(folder, undisturbed)
        shutil.rmtree(folder)
        moments.update(kills.moments)
        for moment, steps in zip(kills.moments, kills.lost, strict=True):
            assert steps <= EVERY
            lost[moment] += steps
        runs += 1
    print(f"killed in {dict(moments)}, steps lost {dict(lost)}, in {runs} runs")


# ---- signals, two trainers, another place


@pytest.mark.slow
def test_a_run_is_stopped_by_signals_moved_and_ends_as_if_undisturbed(
    undisturbed: Undisturbed, tmp_path: Path
) -> None:
    folder = tmp_path / "run"
    process = start(folder)
    assert wait_for(process, lambda: newest_step(folder) > 0)
    assert gather(RunFolder(folder))["process"]["pid"] == process.pid
    for resume in (True, False):
        with pytest.raises(ValueError, match=f"is being trained in by process {process.pid} on"):
            RunFolder(folder).prepare(resume=resume)
    process.send_signal(signal.SIGTERM)
    said = finish(process, code=130)
    step = newest_step(folder)
    assert f"stopped at step {step} of {STEPS}; a checkpoint is in" in said
    assert losses(folder) == undisturbed.losses[:step] and 0 < step < STEPS
    assert not gather(RunFolder(folder))["running"]

    moved = tmp_path / "elsewhere" / "moved"
    moved.parent.mkdir()
    shutil.move(folder, moved)
    process = start(moved)
    assert wait_for(process, lambda: in_a_step(moved, step))
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGINT):  # impatient
        process.send_signal(number)
        time.sleep(0.002)
    process.communicate(timeout=60)
    assert process.returncode in (130, -signal.SIGTERM, -signal.SIGINT)
    assert load_newest(moved).refused == []

    assert "done" in finish(start(moved))
    assert_ends_undisturbed(moved, undisturbed)


def test_workers_that_outlive_a_trainer_do_not_hold_its_folder(tmp_path: Path) -> None:
    run = RunFolder(tmp_path)
    reading, writing = os.pipe()
    with run.lock:
        assert run.lock.holder() is not None
        if (worker := os.fork()) == 0:
            os.read(reading, 1)
            os._exit(0)
    try:
        assert run.lock.holder() is None
        RunFolder(tmp_path).prepare(resume=False)
    finally:
        os.write(writing, b"x")
        os.waitpid(worker, 0)


# ---- full and read-only disks


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 8 MB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", str(folder)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True).returncode != 0:
        pytest.skip("only root may mount a small disk")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def fill(disk: Path) -> Path:
    """Leave no byte on a disk."""
    ballast = disk / "ballast"
    with ballast.open("wb", buffering=0) as file, pytest.raises(OSError, match="No space left"):
        while True:
            file.write(bytes(4096))
    return ballast


@pytest.mark.slow
def test_a_disk_that_runs_full_ends_no_training_and_harms_no_checkpoint(
    undisturbed: Undisturbed, small_disk: Path
) -> None:
    folder = small_disk / "run"
    process = start(folder)
    assert wait_for(process, lambda: newest_step(folder) >= EVERY)
    process.send_signal(signal.SIGSTOP)
    ballast = fill(small_disk)
    process.send_signal(signal.SIGCONT)
    said = finish(process, code=1)
    assert "no checkpoint at step" in said and "No space left on device" in said
    assert "Traceback" not in said
    last = said.strip().splitlines()[-1]
    assert "the last checkpoint could not be saved (No space left on device), the newest is" in last
    assert 0 < assert_goes_on_from_here(folder, undisturbed) < STEPS

    ballast.unlink()
    finish(start(folder))
    assert_ends_undisturbed(folder, undisturbed)


def test_a_read_only_disk_is_refused(small_disk: Path, capsys: pytest.CaptureFixture[str]) -> None:
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    assert main(["train", "--results-folder", str(small_disk / "run")]) == 2
    assert "run' cannot be written (Read-only file system): choose" in capsys.readouterr().err
