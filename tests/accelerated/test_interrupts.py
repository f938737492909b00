"""Ctrl-C in a Python session that computes with MindSpore, which would rather have it SIGTERM."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

# A session, as a notebook is one: it is interrupted again and again, at what the name says, and
# goes on. What it prints is compared.
SESSION = """
import os, signal, sys, threading, time
import numpy as np
from ddpm_mindspore.accelerated import GaussianDiffusion, Trainer, Unet

images = np.zeros((2, 3, 8, 8), np.uint8)

def made():
    network = Unet(dim=8, dim_mults=[1], attn_heads=1, attn_dim_head=8)
    return GaussianDiffusion(network, image_size=8, timesteps=20000, sampling_timesteps=2)

def interrupted(name, function):
    done = threading.Event()

    def interrupt():
        # Once more after a while, as a person would: Python drops what is raised in a __del__.
        if not done.wait(0.3):
            os.kill(os.getpid(), signal.SIGINT)
        while not done.wait(2.0):
            os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=interrupt, daemon=True).start()
    try:
        function()
        print(name, "ended by itself")
    except BaseException as error:
        done.set()
        print(name, type(error).__name__, flush=True)

def again_and_again(function):
    while True:
        function()

diffusion = made()
"""

INTERRUPTED = """
interrupted("compiling", lambda: diffusion.sample(2))
first = diffusion.sample(2)
interrupted("sampling", lambda: diffusion.sample(2, sampling_timesteps=20000))
interrupted("waiting", lambda: time.sleep(20))
thread = threading.Thread(target=diffusion.sample, args=(2,), kwargs={"sampling_timesteps": 600})
thread.start()
interrupted("another thread's sampling", lambda: time.sleep(20))
thread.join()

class MineError(Exception):
    pass

def mine(number, frame):
    raise MineError

signal.signal(signal.SIGTERM, lambda *_: print("SIGTERM"))
signal.signal(signal.SIGINT, mine)
interrupted("with an answer of one's own", lambda: diffusion.sample(2, sampling_timesteps=20000))
signal.signal(signal.SIGINT, signal.default_int_handler)
print("the same pictures:", np.array_equal(first, diffusion.sample(2)))
"""

TRAINED = """
diffusion(images)
interrupted("losses", lambda: again_and_again(lambda: diffusion(images)))
Trainer(diffusion, images, train_batch_size=2, train_num_steps=2, num_samples=1,
        results_folder=sys.argv[1]).train()
interrupted("after training", lambda: time.sleep(20))
"""

TERMINATED = """
diffusion.sample(2)
threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGTERM)).start()
diffusion.sample(2, sampling_timesteps=20000)
"""


def session(program: str, *args: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", SESSION + program, *args],
        capture_output=True,
        text=True,
        timeout=600,
        # As in a terminal, wherever these tests run: what ignores SIGINT passes it on.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )


def test_a_session_is_interrupted_and_lives_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    done = session(INTERRUPTED)
    assert done.stdout.splitlines() == [
        "compiling KeyboardInterrupt",
        "sampling KeyboardInterrupt",
        "waiting KeyboardInterrupt",
        "another thread's sampling KeyboardInterrupt",
        "with an answer of one's own MineError",
        "the same pictures: True",
    ], done.stderr
    assert done.returncode == 0
    assert not list(tmp_path.iterdir())  # MindSpore leaves nothing of its own


@pytest.mark.slow
def test_a_session_that_has_trained_is_interrupted_and_lives_on(tmp_path: Path) -> None:
    done = session(TRAINED, str(tmp_path / "run"))
    ends = ("Interrupt", "ended by itself")
    lines = [line for line in done.stdout.splitlines() if line.endswith(ends)]
    assert lines == ["losses KeyboardInterrupt", "after training KeyboardInterrupt"], done.stderr
    assert done.returncode == 0


@pytest.mark.slow
def test_a_session_that_is_terminated_ends(tmp_path: Path) -> None:
    """What answers Ctrl-C is not in the way of who wants the process to end."""
    assert session(TERMINATED).returncode == -signal.SIGTERM
