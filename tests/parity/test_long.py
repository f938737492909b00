"""Long runs of the command, in processes of their own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.nightly


def check(folder: Path, *options: str, **environment: str) -> None:
    command = ["-m", "ddpm_mindspore.accelerated.cli", "parity", "--report", str(folder), *options]
    env = {**os.environ, **environment}
    done = subprocess.run([sys.executable, *command], capture_output=True, text=True, env=env)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-1000:]


@pytest.mark.parametrize("kernels", ["auto", "stock"])
@pytest.mark.parametrize("instructions", ["SSE41", "AVX", "AVX2", "AVX512_CORE", "DEFAULT"])
def test_every_instruction_set_computes_the_same(
    tmp_path: Path, instructions: str, kernels: str
) -> None:
    options = ("--only", "exact or effective", "--device", "CPU")
    environment = {"ONEDNN_MAX_CPU_ISA": instructions, "DDPM_MINDSPORE_KERNELS": kernels}
    check(tmp_path, *options, **environment)


@pytest.mark.parametrize("only", ["forward_compiled", "gradients_compiled", "steps_compiled"])
def test_compiled_networks_agree_however_many_there_are(tmp_path: Path, only: str) -> None:
    check(tmp_path, "--only", only, "--examples", "5000")
