"""Real trainings whose terminal, reader or disk goes, and names that it cannot show."""

from __future__ import annotations

import fcntl
import io
import json
import os
import pty
import signal
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from ddpm_mindspore.accelerated.cli import main

NAME = os.fsdecode("种".encode("gbk"))  # bytes that are no UTF-8
# As in test_cli, so that the graph is compiled once for all.
TINY = (
    *("--dim", "8", "--dim-mults", "1", "--attn-heads", "1", "--attn-dim-head", "8"),
    *("--image-size", "8", "--batch-size", "8", "--timesteps", "50", "--sampling-timesteps", "3"),
    *("--num-samples", "4", "--channels", "1"),
)


@pytest.fixture
def here(tmp_path: Path) -> Path:
    """A folder with images, whose names, and one of which, are as they should not be."""
    data = tmp_path / f"data {NAME}"
    data.mkdir()
    for i in range(8):
        pixels = np.random.default_rng(i).integers(0, 256, (8, 8), np.uint8)
        Image.fromarray(pixels).save(data / f"{NAME}{i}.png")
    (data / f"{NAME} broken.png").write_bytes(b"\x89PNG, but no more")
    return tmp_path


def train(here: Path, *options: str, **given: Any) -> subprocess.Popen[bytes]:
    """Start a training that would go on for ever, unless the options say otherwise."""
    command = [sys.executable, "-m", "ddpm_mindspore.accelerated.cli", "train", *TINY]
    command += ["--data", f"data {NAME}", "--results-folder", f"run {NAME}"]
    command += ["--steps", "1000000", "--save-every", "1000000", *options]
    environment = os.environ | {"PYTHONIOENCODING": "ascii"}
    STARTED.append(subprocess.Popen(command, cwd=here, env=environment, **given))
    return STARTED[-1]


STARTED: list[subprocess.Popen[bytes]] = []


@pytest.fixture(autouse=True)
def nothing_goes_on() -> Iterator[None]:
    """A test that fails leaves no training behind."""
    yield
    while STARTED:
        process = STARTED.pop()
        if process.poll() is None:
            process.kill()
            process.wait()


def wait(process: subprocess.Popen[bytes], condition: Callable[[], bool]) -> None:
    begin = time.monotonic()
    while not condition():
        assert process.poll() is None and time.monotonic() - begin < 300
        time.sleep(0.05)


def trains(run: Path) -> Callable[[], bool]:
    metrics = run / "metrics.jsonl"
    return lambda: metrics.exists() and metrics.stat().st_size > 0


def test_a_training_whose_reader_has_gone_is_stopped_with_a_checkpoint(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As of ``2>&1 | tee log``, where Ctrl-C ends tee as well."""
    run = here / f"run {NAME}"
    process = train(here, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    assert process.stdout is not None
    said = b"".join(process.stdout.readline() for _ in range(2))
    process.stdout.close()
    wait(process, trains(run))
    process.send_signal(signal.SIGINT)
    assert process.wait(60) == 130
    assert b"8 images of 1x8x8" in said
    assert rb"data \udcd6\udcd6/\udcd6\udcd6 broken.png" in said
    (checkpoint,) = run.glob("checkpoints/step-*")

    # What was written of these names is read again, and shown in a terminal that lacks them.
    assert json.loads((run / "config.json").read_text())["data"] == f"data {NAME}"
    assert f"{NAME}3.png" in json.loads((run / "images.json").read_text())
    monkeypatch.chdir(here)
    for options in ((), ("--json",)):
        shown = io.BytesIO()
        with monkeypatch.context() as patch:
            patch.setattr(sys, "stdout", io.TextIOWrapper(shown, "ascii"))
            assert main(["status", run.name, *options]) == 0
            text = shown.getvalue()
        assert rb"run \udcd6\udcd6" in text
    assert json.loads(text)["checkpoint"].endswith(checkpoint.name)
    error = io.BytesIO()
    with monkeypatch.context() as patch:
        patch.setattr(sys, "stderr", io.TextIOWrapper(error, "latin-1"))
        assert main(["sample", f"é {NAME}"]) == 2
        assert error.getvalue().startswith(
            rb"ddpm-mindspore: '" + b"\xe9" + rb" \udcd6\udcd6' is not a run f"
        )


@pytest.mark.slow
def test_a_training_whose_terminal_is_closed_is_stopped_with_a_checkpoint(here: Path) -> None:
    person, terminal = pty.openpty()
    process = train(
        here,
        stdin=terminal,
        stdout=terminal,
        stderr=terminal,
        start_new_session=True,
        preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
    )
    os.close(terminal)
    run = here / f"run {NAME}"
    wait(process, trains(run))
    os.close(person)
    assert process.wait(60) == 130
    assert len(list(run.glob("checkpoints/step-*"))) == 1


@pytest.mark.slow
def test_a_training_under_nohup_goes_on_to_its_end_whatever_goes(here: Path) -> None:
    """Its terminal, its errors, and the room for its log."""
    run = here / f"run {NAME}"
    log = os.open("/dev/full", os.O_WRONLY)

    def nohup() -> None:
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        os.close(2)

    process = train(here, "--steps", "200", stdout=log, preexec_fn=nohup)
    os.close(log)
    wait(process, trains(run))
    process.send_signal(signal.SIGHUP)
    assert process.wait(300) == 0
    assert (run / "checkpoints" / "step-00000200").exists()
    assert (run / "samples" / "step-00000200.png").exists()


@pytest.mark.parametrize("command", ["train --help", "--help", "status nowhere", "trane"])
@pytest.mark.parametrize("redirection", [">&- 2>&-", "2>/dev/full"])
def test_a_command_without_its_streams_ends_as_it_would(
    here: Path, command: str, redirection: str
) -> None:
    expected = 0 if "help" in command else 2
    program = f"{sys.executable} -m ddpm_mindspore.accelerated.cli {command} {redirection}"
    done = subprocess.run(["bash", "-c", program], cwd=here, stdout=subprocess.DEVNULL)
    assert done.returncode == expected


def test_a_file_that_cannot_take_an_answer_is_an_error(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with open("/dev/full", "w") as full, monkeypatch.context() as patch:  # noqa: PTH123
        patch.setattr(sys, "stdout", full)
        assert main(["--help"]) == 1
    assert "No space left on device" in capsys.readouterr().err
