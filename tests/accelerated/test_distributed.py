"""Several processes: real ones, started by msrun, and what of them can be seen in one.

A job takes half a minute, so one serves many tests, and another is killed.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import mindspore.dataset as ds
import numpy as np
import psutil
import pytest
from PIL import Image

from ddpm_mindspore.accelerated import GaussianDiffusion, Unet
from ddpm_mindspore.accelerated.cli import main
from ddpm_mindspore.accelerated.commands import train as commands
from ddpm_mindspore.accelerated.commands.exit_codes import INTERRUPTED
from ddpm_mindspore.accelerated.config import TrainerConfig
from ddpm_mindspore.accelerated.data import open_images
from ddpm_mindspore.accelerated.runs.checkpoint import load
from ddpm_mindspore.accelerated.system.distributed import ALONE, World
from ddpm_mindspore.accelerated.trainer.batches import Batches

from .distributed_job import DIFFUSION, NET, STEPS, STOPPED, make_trainer

# ---- in one process


@pytest.mark.parametrize("streamed", [False, True])
def test_processes_together_see_what_one_sees(streamed: bool) -> None:
    diffusion = GaussianDiffusion(Unet(**NET), image_size=(4, 8), **DIFFUSION)
    pixels = np.random.default_rng(0).integers(0, 256, (10, 4, 8, 2), np.uint8)

    def batches(size: int, rank: int) -> Batches:
        rows = ds.GeneratorDataset([(p,) for p in pixels], ["image"], shuffle=False)
        data = rows if streamed else pixels.transpose(0, 3, 1, 2)
        images = open_images(data, (4, 8), 2, memory_limit=0 if streamed else 2**31)
        assert images.sequential == streamed
        config = TrainerConfig(
            train_batch_size=6 // size,
            gradient_accumulate_every=2,
            augment_horizontal_flip=True,
            seed=3,
        )
        return Batches(images, diffusion, config, World(rank, size))

    alone = batches(1, 0)
    for size in (2, 3, 6):
        parts = [batches(size, rank) for rank in range(size)]
        assert all(part.images_per_step == alone.images_per_step == 12 for part in parts)
        for step in (1, 2, 5):
            for i, whole in enumerate(alone(step)):
                shares = [part(step)[i] for part in parts]
                for name in ("x_0", "t", "noise", "self_cond_mask"):
                    joined = np.concatenate([getattr(share, name) for share in shares])
                    np.testing.assert_array_equal(joined, getattr(whole, name), err_msg=name)
                for layer, mask in enumerate(whole.dropout_masks or ()):
                    masks = [share.dropout_masks[layer] for share in shares]
                    np.testing.assert_array_equal(np.concatenate(masks), mask)


def test_alone_there_is_nobody_to_wait_for() -> None:
    ALONE.wait()
    ALONE.check_same({"anything": b""})
    np.testing.assert_array_equal(ALONE.gather(np.arange(3)), [[0, 1, 2]])
    assert ALONE.leads and ALONE.share(5) == range(5)
    assert not World(1, 2).leads and World(1, 2).share(5) == range(5, 10)


def test_training_together_needs_msrun(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(commands, "select_device", lambda name: name)
    folder = tmp_path / "run"
    assert main(["train", "--distributed", "--results-folder", str(folder)]) == 2
    assert "is started by msrun" in capsys.readouterr().err
    monkeypatch.setenv("MS_WORKER_NUM", "2")
    assert main(["train", "--results-folder", str(folder)]) == 2
    assert "add --distributed" in capsys.readouterr().err
    assert not folder.exists()


# ---- in two


class Job(NamedTuple):
    """A job that is over: its folder, and what each of its processes found."""

    folder: Path
    found: list[dict[str, Any]]


def metrics(run: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (run / "metrics.jsonl").open()]


def start(
    folder: Path, command: Sequence[str], patience: int = 120, processes: int = 2
) -> subprocess.Popen[str]:
    """``msrun``, with processes that run ``python COMMAND``.

    ``patience``: after how many seconds a process that gives no sign of life is given up; on a busy
    machine a healthy one may take its time.
    """
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    tools = str(Path(sys.executable).parent)
    environment = {
        **os.environ,
        "PATH": tools + os.pathsep + os.environ["PATH"],  # msrun starts what is called python
        "MS_NODE_TIMEOUT": str(patience),
    }
    options = [
        f"--worker_num={processes}",
        f"--local_worker_num={processes}",
        f"--master_port={port}",
        f"--log_dir={folder / 'log'}",
        "--join=True",
        "--cluster_time_out=120",
    ]
    return subprocess.Popen(
        [f"{tools}/msrun", *options, "python", *command],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        cwd=folder,
        env=environment,
    )


@pytest.fixture(scope="module")
def job(tmp_path_factory: pytest.TempPathFactory) -> Job:
    """Two processes with batches of two; beside it, one with batches of four."""
    folder = tmp_path_factory.mktemp("job")
    process = start(folder, [str(Path(__file__).with_name("distributed_job.py")), str(folder)])
    output, _ = process.communicate(timeout=600)
    assert process.returncode == 0, output
    found = [json.loads((folder / f"rank-{rank}.json").read_text()) for rank in (0, 1)]
    make_trainer(folder / "one", train_batch_size=4, gradient_accumulate_every=2).train()
    make_trainer(folder / "parts", train_batch_size=2, gradient_accumulate_every=4).train()
    return Job(folder, found)


@pytest.mark.slow
def test_they_meet_and_see_whether_they_are_alike(job: Job) -> None:
    for found in job.found:
        assert found["size"] == 2
        assert found["gathered"] == [[[0.0] * 3] * 2, [[1.0] * 3] * 2]
        assert found["the same"] == ""
        assert "b of process 1 differs from that of process 0" in found["not the same"]


@pytest.mark.slow
def test_all_stop_after_the_same_update_when_one_is_told_to(job: Job) -> None:
    for found in job.found:
        assert found["stopped"] == [False, STOPPED]
        # The first one has saved before the other one went on.
        assert found["saved"] == [f"step-{STOPPED:08d}"]
        assert found["went on"] == [True, STEPS]


def share_of_the_bound(run: Path, one: Path, parts: Path, step: int) -> float:
    """The largest difference between a run and that of one process, as a share of its bound.

    Both add up the same numbers in another order. How much that changes is seen in a second run of
    one process, ``parts``, which has twice as many gradients of half as many images: as the two
    processes have, but one after the other. The bound is 16 times the largest difference of these
    two in each group of tensors, and one rounding: the factor with which ``parity`` compares every
    deep computation to another run of it.
    """
    worst = 0.0
    expected, order, actual = (
        load(folder / "checkpoints" / f"step-{step:08d}").tensors for folder in (one, parts, run)
    )
    assert expected.keys() == actual.keys() and len(expected) >= 4
    for group, tensors in expected.items():
        yardstick = max(float(np.abs(x - order[group][n]).max()) for n, x in tensors.items())
        rounding = 2.0**-24 * max(float(np.abs(x).max()) for x in tensors.values())
        error = max(float(np.abs(x - actual[group][n]).max()) for n, x in tensors.items())
        worst = max(worst, error / (16.0 * (yardstick + rounding)))
    return worst


@pytest.mark.slow
def test_two_processes_are_one_with_twice_the_batch(job: Job) -> None:
    two, one, parts = (job.folder / name for name in ("two", "one", "parts"))
    assert share_of_the_bound(two, one, parts, STEPS) <= 1.0
    assert [row["step"] for row in metrics(two)] == list(range(1, STEPS + 1))
    for row, expected in zip(metrics(two), metrics(one), strict=True):
        assert row["loss"] == pytest.approx(expected["loss"], rel=1e-5)
        assert row["grad_norm"] == pytest.approx(expected["grad_norm"], rel=1e-5)


@pytest.mark.slow
def test_the_law_catches_sums_in_the_place_of_means(job: Job) -> None:
    bug, one, parts = (job.folder / name for name in ("bug", "one", "parts"))
    assert share_of_the_bound(bug, one, parts, STEPS) > 100.0
    norms = [metrics(run)[0]["grad_norm"] for run in (bug, one)]
    assert norms[0] == pytest.approx(2.0 * norms[1], rel=1e-4)


@pytest.mark.slow
def test_each_draws_a_share_of_the_samples(job: Job) -> None:
    two, one = (
        np.asarray(Image.open(job.folder / run / "samples" / f"step-{STEPS:08d}.png"), np.int16)
        for run in ("two", "one")
    )
    assert two.shape == one.shape and one.std() > 10
    # Parameters that differ in the last bit may round a pixel the other way.
    assert np.abs(two - one).max() <= 1


@pytest.mark.slow
def test_the_first_process_alone_writes(job: Job) -> None:
    names = {p.name for p in (job.folder / "one").iterdir() if not p.name.startswith(".")}
    assert {p.name for p in (job.folder / "two").iterdir() if p.name[0] != "."} == names
    assert json.loads((job.folder / "two" / "config.json").read_text())["processes"] == 2


# ---- from the command line, with a process killed

OPTIONS = {
    "--data": "digits",
    "--dim": "8",
    "--dim-mults": "1",
    "--attn-heads": "1",
    "--attn-dim-head": "8",
    "--timesteps": "20",
    "--sampling-timesteps": "1",
    "--num-samples": "1",
    "--adam-eps": "0.01",
    "--save-every": "4",
}
COMMAND = ["-m", "ddpm_mindspore.accelerated.cli", "train"]


def flags(run: Path, **others: Any) -> list[str]:
    named = {f"--{name.replace('_', '-')}": str(value) for name, value in others.items()}
    options = {**OPTIONS, "--results-folder": str(run), **named}
    return [word for pair in options.items() for word in pair]


def alone(options: Sequence[str]) -> None:
    """Train in one process to the end."""
    subprocess.run([sys.executable, *COMMAND, *options], check=True, timeout=600)


def newest(run: Path) -> int:
    return max((int(p.name[5:]) for p in run.glob("checkpoints/step-*")), default=0)


def wait_for_checkpoint(run: Path, process: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + 600
    while not newest(run):
        assert process.poll() is None, process.communicate()[0]
        assert time.monotonic() < deadline
        time.sleep(0.2)


def workers(process: subprocess.Popen[str]) -> list[psutil.Process]:
    """The processes that train, in order; the one that introduces them is none of them."""
    found = {}
    for child in psutil.Process(process.pid).children():
        environment = child.environ()
        if environment.get("MS_ROLE") == "MS_WORKER" and "ddpm" in " ".join(child.cmdline()):
            found[int(environment["RANK_ID"])] = child
    return [found[rank] for rank in sorted(found)]


def works(process: psutil.Process) -> bool:
    """Whether it is there, and more than an entry in a table that nobody has crossed out yet."""
    return process.is_running() and process.status() != psutil.STATUS_ZOMBIE


@pytest.mark.slow
def test_a_killed_process_ends_the_job_and_one_process_goes_on(tmp_path: Path) -> None:
    run = tmp_path / "run"
    options = flags(run, batch_size=2, steps=100_000)
    process = start(tmp_path, [*COMMAND, "--distributed", *options], patience=30)
    try:
        wait_for_checkpoint(run, process)
        first, second = workers(process)
        second.kill()
        killed = time.monotonic()
        while works(first):
            assert time.monotonic() - killed < 20  # it takes a second, on a machine with time
            time.sleep(0.1)
        output, _ = process.communicate(timeout=120)
        assert process.returncode != 0 and time.monotonic() - killed < 120
    finally:
        process.kill()
    assert f"Worker process {second.pid} exit with exception. Error code: -9" in output
    assert "a process of the job has died, and the job with it" in output

    # One process takes over, with the images of both.
    steps = newest(run) + 2
    alone(["--resume", "--results-folder", str(run), "--steps", str(steps)])
    config = json.loads((run / "config.json").read_text())
    assert config["trainer"]["train_batch_size"] == 4 and config["processes"] == 1
    assert [row["step"] for row in metrics(run)] == list(range(1, steps + 1))


@pytest.mark.nightly
def test_two_stop_one_goes_on_and_two_end_it(tmp_path: Path) -> None:
    """The first two are stopped by a signal to the second of them."""
    run = tmp_path / "run"
    process = start(tmp_path, [*COMMAND, "--distributed", *flags(run, batch_size=2, steps=100_000)])
    try:
        wait_for_checkpoint(run, process)
        workers(process)[1].send_signal(signal.SIGTERM)
        output, _ = process.communicate(timeout=600)
    finally:
        process.kill()
    step = newest(run)
    assert f"stopped at step {step:,} of 100,000; a checkpoint is in" in output
    assert f"exit with exception. Error code: {INTERRUPTED}" in output
    assert metrics(run)[-1]["step"] == step

    again = ["--resume", "--results-folder", str(run), "--steps"]
    alone([*again, str(step + 3)])
    process = start(tmp_path, [*COMMAND, "--distributed", *again, str(step + 6)])
    output, _ = process.communicate(timeout=600)
    assert process.returncode == 0, output
    config = json.loads((run / "config.json").read_text())
    assert config["trainer"]["train_batch_size"] == 2 and config["processes"] == 2

    one, parts = tmp_path / "one", tmp_path / "parts"
    alone(flags(one, batch_size=4, steps=step + 6))
    alone(flags(parts, batch_size=2, steps=step + 6, gradient_accumulate_every=2))
    assert share_of_the_bound(run, one, parts, step + 6) <= 1.0
    for row, expected in zip(metrics(run), metrics(one), strict=True):
        assert row["step"] == expected["step"]
        assert row["loss"] == pytest.approx(expected["loss"], rel=1e-4)


@pytest.mark.nightly
def test_four_processes_are_one_with_four_times_the_batch_and_two_end_it(tmp_path: Path) -> None:
    run, one, parts = (tmp_path / name for name in ("run", "one", "parts"))
    jobs = (
        (4, flags(run, batch_size=1, steps=4)),
        (2, ["--resume", "--results-folder", str(run), "--steps", "8"]),
    )
    for processes, options in jobs:
        process = start(tmp_path, [*COMMAND, "--distributed", *options], processes=processes)
        output, _ = process.communicate(timeout=900)
        assert process.returncode == 0, output
        config = json.loads((run / "config.json").read_text())
        assert config["processes"] == processes
        assert config["trainer"]["train_batch_size"] == 4 // processes
    alone(flags(one, batch_size=4, steps=8))
    alone(flags(parts, batch_size=1, steps=8, gradient_accumulate_every=4))
    assert share_of_the_bound(run, one, parts, 4) <= 1.0
    assert share_of_the_bound(run, one, parts, 8) <= 1.0
    assert [row["step"] for row in metrics(run)] == list(range(1, 9))
