"""How long commands take: to help, to an import, to the first training step, to be fed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

HERE = Path(__file__).parent
LONGEST = 600.0


def seconds_of(command: Sequence[str], rounds: int) -> list[float]:
    """Run a command so often, and once before that does not count.

    Raises:
        subprocess.CalledProcessError: it failed.
    """
    taken = []
    for _ in range(rounds + 1):
        begin = time.perf_counter()
        subprocess.run(command, cwd=HERE, check=True, capture_output=True, timeout=LONGEST)
        taken.append(time.perf_counter() - begin)
    return taken[1:]


def first_steps(program: str, rounds: int) -> tuple[list[float], list[float]]:
    """Seconds from ``ddpm-mindspore train`` to its first step: with empty caches, and again.

    Each round has a home folder of its own, in which the first run finds nothing and the second
    what the first has left. The files of the program itself have been read before.
    """
    cold, warm = [], []
    for _ in range(rounds):
        with tempfile.TemporaryDirectory(prefix="benchmark-") as home:
            cold.append(first_step(program, Path(home), "first"))
            warm.append(first_step(program, Path(home), "second"))
    return cold, warm


def waiting(
    program: str, images: Path, size: int, steps: int, options: Sequence[str]
) -> tuple[float, float]:
    """Train a small network on a folder of images with ``ddpm-mindspore train``.

    Returns:
        The share of the steps' time in which the trainer waited for images, and the seconds of a
        step.

    Raises:
        subprocess.CalledProcessError: it failed.
    """
    with tempfile.TemporaryDirectory(prefix="benchmark-") as home:
        run = Path(home, "run")
        command = [program, "train", "--data", str(images), "--image-size", str(size)]
        command += ["--dim", "16", "--dim-mults", "1", "2", "4", "--batch-size", "16"]
        command += ["--steps", str(steps), "--save-every", str(steps), "--num-samples", "1"]
        command += ["--sampling-timesteps", "1", "--results-folder", str(run), *options]
        subprocess.run(command, cwd=home, check=True, capture_output=True, timeout=LONGEST)
        progress = json.loads((run / "progress.json").read_text(encoding="utf-8"))
    seconds = progress["seconds"]
    share = seconds["data"] / (seconds["data"] + seconds["steps"])
    return share, seconds["steps"] / (steps - 1)  # the first is compiled, and counted apart


def first_step(program: str, home: Path, run: str) -> float:
    """Seconds until the run's metrics.jsonl has a line. The run then goes on to its end.

    Raises:
        RuntimeError: it ended, or took too long, without a step.
    """
    command = [program, "train", "--steps", "1", "--num-samples", "1", "--sampling-timesteps", "2"]
    command += ["--results-folder", str(home / run)]
    environment = {**os.environ, "HOME": str(home), "XDG_CACHE_HOME": str(home / ".cache")}
    environment.pop("DDPM_MINDSPORE_CACHE", None)
    begin = time.perf_counter()
    with (home / f"{run}.log").open("wb") as log:
        process = subprocess.Popen(
            command,
            stdout=log,
            stderr=log,
            cwd=home,
            env=environment,
            start_new_session=True,
        )
    try:
        seconds = _until_filled(home / run / "metrics.jsonl", process, begin)
        process.wait(LONGEST)
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    return seconds


def _until_filled(file: Path, process: subprocess.Popen[bytes], begin: float) -> float:
    while (seconds := time.perf_counter() - begin) < LONGEST:
        ended = process.poll() is not None  # asked first: it may write, then end
        if file.exists() and file.stat().st_size:
            return seconds
        if ended:
            raise RuntimeError(f"{process.args!r} ended with {process.returncode} before a step")
        time.sleep(0.01)
    raise RuntimeError(f"{process.args!r} made no step in {LONGEST:.0f} s")
