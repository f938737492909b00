"""What is known of each update, shown and written down."""

from __future__ import annotations

import time
from contextlib import suppress
from typing import Any, NamedTuple

import numpy as np

from ..config import TrainerConfig
from ..data import Images, note_broken, skipped_text
from ..runs.folder import RunFolder
from ..system.say import say
from .tensorboard import EventFile
from .timing import Timings


class Measured(NamedTuple):
    """What is known of one update; ``seconds`` from its launch to its end."""

    step: int
    loss: float
    grad_norm: float
    lr: float
    seconds: float


class TrainLog:
    """Shows progress, and about once a second writes down metrics and where the run is.

    progress.json: ``step`` of ``steps``, ``seconds_per_step`` and ``images_per_second`` now, the
    ``seconds`` of each activity since the run began, how many images were ``skipped``, and when it
    was ``written``.

    Args:
        run: where it is written down (None: nowhere, as in all processes but the first).
        bar: tqdm's.
        step: where this session starts from.
    """

    def __init__(
        self,
        run: RunFolder | None,
        bar: Any,
        config: TrainerConfig,
        images: Images,
        images_per_step: int,
        step: int,
    ) -> None:
        self._run, self._bar, self._steps = run, bar, config.train_num_steps
        self._images, self._images_per_step = images, images_per_step
        self.spent = Timings(run.progress.read().get("seconds", {}) if run and step else {})
        self._events = EventFile(run.tensorboard, step) if run and config.tensorboard else None
        self._rows: list[Measured] = []
        self._step, self._seconds = step, 0.0
        self._written = 0.0
        self._told = len(images.skipped)
        self._failing = False

    def add(self, measured: Measured) -> None:
        """Note one update."""
        self._rows.append(measured)
        if time.perf_counter() - self._written > 1.0:
            self.write()
        self._bar.update(measured.step - self._bar.n)

    def write(self) -> None:
        """Write what has not been written yet; a disk that is full is told once, and waited for."""
        if self._rows:
            self._step = self._rows[-1].step
            self._seconds = float(np.median([row.seconds for row in self._rows]))
            loss = np.mean([row.loss for row in self._rows])
            speed = self._images_per_step / self._seconds
            self._bar.set_postfix_str(f"loss {loss:.4f}, {speed:.0f} images/s", refresh=False)
        try:
            self._write_files()
            self._failing = False
        except OSError as error:
            if not self._failing:
                say(f"metrics cannot be written ({error.strerror}); training goes on")
            self._failing = True
        self._written = time.perf_counter()
        self._tell_skipped()

    def close(self) -> None:
        """Write the rest."""
        self.write()
        if self._events:
            with suppress(OSError):  # write has told
                self._events.close()

    def _write_files(self) -> None:
        rows, self._rows = self._rows, []
        if self._run is None:
            return
        try:
            self._run.metrics.append(row._asdict() for row in rows)
        except OSError:
            self._rows = rows
            raise
        if self._events:
            self._events.add(
                row._asdict() | {"images_per_second": self._images_per_step / row.seconds}
                for row in rows
            )
        self._run.progress.write(
            {
                "step": self._step,
                "steps": self._steps,
                "seconds_per_step": self._seconds,
                "images_per_second": self._images_per_step / self._seconds if self._seconds else 0,
                "seconds": {name: round(value, 2) for name, value in self.spent.seconds.items()},
                "skipped": len(self._images.skipped),
                "written": time.time(),
            }
        )

    def _tell_skipped(self) -> None:
        """Name images that turned out broken meanwhile; each process those that it has met."""
        skipped = self._images.skipped
        if new := skipped[self._told :]:
            say(skipped_text(new))
            if self._run:
                note_broken(self._run.path, new)
        self._told = len(skipped)
