"""What each process of a job on latents runs: two updates, and two more after a resume.

    msrun ... python latents_job.py FOLDER OPTION ...

OPTIONs are those of ``train``; after the first two updates nothing is drawn. Each process writes to
FOLDER/rank-<number>.json how many pictures and texts it computed, and a digest of its weights after
each training. The first one is slow to start, so that another would be before it.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

from ddpm_mindspore.accelerated.cli import main
from ddpm_mindspore.accelerated.commands import train as commands
from ddpm_mindspore.accelerated.data.rows import Rows
from ddpm_mindspore.accelerated.system import runtime
from ddpm_mindspore.accelerated.trainer.loop import Trainer
from ddpm_mindspore.accelerated.trainer.place import Place


def run(folder: Path, options: list[str]) -> None:
    rank = int(os.environ["RANK_ID"])
    found: dict[str, Any] = {"written": 0, "weights": []}
    write, train, turn, draw = Rows.__setitem__, Trainer.train, Place.turn, Trainer._draw

    def written(self: Rows, place: int, row: np.ndarray) -> None:
        found["written"] += 1
        write(self, place, row)

    def trained(self: Trainer) -> bool:
        ends = train(self)
        found["weights"].append(hashlib.sha256(self._optimizer.own().tobytes()).hexdigest())
        return ends

    def drawn(self: Trainer, *args: Any) -> None:
        if self.step > 2:
            draw(self, *args)

    def late(self: Place) -> Any:
        time.sleep(0.0 if rank else 2.0)
        return turn(self)

    Rows.__setitem__, Place.turn = written, late  # type: ignore[method-assign]
    Trainer.train, Trainer._draw = trained, drawn  # type: ignore[method-assign]
    results = ["--distributed", "--results-folder", str(folder / "two"), "--steps"]
    runtime.select_device("CPU")
    commands.select_device = lambda name: name  # which is chosen once
    for more in ([*options, "2"], ["--resume", "4"]):
        assert main(["train", *more[:-1], *results, more[-1]]) == 0
    (folder / f"rank-{rank}.json").write_text(json.dumps(found))


if __name__ == "__main__":
    run(Path(sys.argv[1]), sys.argv[2:])
