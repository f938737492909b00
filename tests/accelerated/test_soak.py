"""Training for an hour: memory and open files stay as they are after the first minutes.

DDPM_SOAK_SECONDS changes for how long.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ddpm_mindspore.accelerated.runs.folder import RunFolder

SECONDS = float(os.environ.get("DDPM_SOAK_SECONDS", "3600"))
TRAIN = (
    *("train", "--data", "photos", "--data-memory-gb", "0", "--channels", "1", "--seed", "1"),
    *("--dim", "8", "--dim-mults", "1", "--attn-heads", "1", "--attn-dim-head", "8"),
    *("--image-size", "8", "--batch-size", "8", "--timesteps", "50", "--sampling-timesteps", "3"),
    *("--num-samples", "4", "--gradient-accumulate-every", "2", "--dropout", "0.1"),
    *("--self-condition", "--augment-horizontal-flip"),
    *("--steps", "100000000", "--save-every", "200", "--results-folder", "run"),
)


def resident(pid: int) -> float:
    """Memory of a process in MB."""
    found = re.search(r"VmRSS:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    assert found
    return int(found[1]) / 1024


@pytest.mark.nightly
def test_memory_and_open_files_stay_flat(tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    rng = np.random.default_rng(0)
    for i in range(40):
        image = Image.fromarray(rng.integers(0, 256, (20, 24), np.uint8))
        image.save(tmp_path / "photos" / f"{i}.png")
    command = [sys.executable, "-m", "ddpm_mindspore.accelerated.cli", *TRAIN]
    log = tmp_path / "log"
    with log.open("w") as output:
        process = subprocess.Popen(command, cwd=tmp_path, stdout=output, stderr=output)
    memory, files = [], []
    try:
        # Once two checkpoints with samples are there, everything has been done at least once.
        while len(list(tmp_path.glob("run/samples/*"))) < 2:
            assert process.poll() is None, log.read_text()
            time.sleep(0.2)
        end = time.monotonic() + SECONDS
        while time.monotonic() < end:
            assert process.poll() is None, log.read_text()
            memory.append(resident(process.pid))
            files.append(len(list(Path(f"/proc/{process.pid}/fd").iterdir())))
            time.sleep(SECONDS / 400)
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 130
    finally:
        process.kill()
        process.wait()
    third = len(memory) // 3
    first, last = np.median(memory[:third]), np.median(memory[-third:])
    early, late = max(files[:third]), max(files[-third:])
    steps = RunFolder(tmp_path / "run").progress.read()["step"]
    print(f"{steps:,} steps: {first:.0f} to {last:.0f} MB, {early} to {late} open files")
    assert last < first * 1.02 + 5
    assert late <= early + 2
