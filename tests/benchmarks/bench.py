"""How one comparison is made: what both sides are told to build, and who measures it.

A specification is JSON: both sides build the same network, diffusion and batch from it. Its names
are those of this package's public constructors.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from processes import Measured, in_turn
from rows import Row

HERE = Path(__file__).parent
THREADS = "2"
KERNELS = "DDPM_MINDSPORE_KERNELS"

NETWORK_A = {"dim": 64, "dim_mults": [1, 2, 4], "channels": 3}
NETWORK_C = {"dim": 64, "dim_mults": [1, 2, 4, 8], "channels": 3}

Spec = dict[str, Any]


@dataclass(frozen=True)
class Bench:
    """How to measure.

    Attributes:
        ours, peer: each side's Python.
        pairs: rounds that count.
        scale: factor of the steps of each measurement.
        both_kernels: measure A with MindSpore's operators too.
    """

    ours: str
    peer: str
    pairs: int
    scale: float
    both_kernels: bool

    @property
    def program(self) -> str:
        """This package's command."""
        return str(Path(self.ours).with_name("ddpm-mindspore"))

    def steps(self, count: int) -> int:
        """So many steps, scaled."""
        return max(1, round(count * self.scale))

    def few(self, count: int) -> int:
        """Fewer rounds, for what takes long."""
        return min(self.pairs, count)

    def peer_has(self, *modules: str) -> bool:
        """Whether the peer's environment has these."""
        command = [self.peer, "-c", f"import {', '.join(modules)}"]
        return subprocess.run(command, capture_output=True).returncode == 0

    def compare(self, sides: Mapping[str, Spec], steps: int) -> Measured:
        """Measure sides in turn: "ours..." and "stock" are ours, the others the peer's."""
        commands = {name: self._command(name, spec) for name, spec in sides.items()}
        return in_turn(commands, rounds=self.pairs, steps=self.steps(steps))

    def _command(self, side: str, spec: Spec) -> tuple[list[str], dict[str, str]]:
        mine = side.startswith(("ours", "stock"))
        python, script = (self.ours, "worker_ours.py") if mine else (self.peer, "worker_peer.py")
        variables = {"OMP_NUM_THREADS": THREADS}
        if side == "stock":
            variables[KERNELS] = "stock"
        return [python, str(HERE / script), json.dumps(spec)], variables


def told(*command: str) -> str:
    """What a command prints."""
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout


def training(unet: Spec, image_size: int, batch_size: int, **more: Any) -> Spec:
    """A training step: gradient, clipping at a norm of 1, Adam, moving average."""
    trainer = {
        "train_batch_size": batch_size,
        "train_lr": 1e-4,
        "ema_decay": 0.995,
        "ema_update_every": 10,
    }
    return {
        "task": "train",
        "unet": unet,
        "image_size": image_size,
        "diffusion": {"timesteps": 1000},
        "trainer": trainer,
        "images": 256,
    } | more


def sampling(unet: Spec, image_size: int, batch_size: int, **more: Any) -> Spec:
    """DDIM steps from noise to images."""
    return {
        "task": "sample",
        "unet": unet,
        "image_size": image_size,
        "diffusion": {"timesteps": 1000},
        "batch_size": batch_size,
        "num_samples": batch_size,
    } | more


def details(measured: Measured) -> dict[str, Any]:
    """What goes to the JSON file besides the times."""
    ready = measured.ready
    return {
        "parameters": next(message["parameters"] for message in ready.values()),
        "seconds_to_first_steps": {s: round(m["prepared"], 2) for s, m in ready.items()},
        "peak_bytes": measured.peak,
    }


def versus(letter: str, what: str, measured: Measured, limit: float | None, note: str = "") -> Row:
    """Seconds of a step of both sides."""
    ours, peer = measured.seconds["ours"], measured.seconds["peer"]
    return Row(letter, what, ours, peer, "s", limit, note, details=details(measured))


def memory(letter: str, what: str, measured: Measured, limit: float | None) -> Row:
    """Peak resident memory of both sides."""
    return Row(letter, what, [measured.peak["ours"]], [measured.peak["peer"]], "bytes", limit)
