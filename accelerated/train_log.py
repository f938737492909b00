"""Waiting for a training step without spinning, and writing down what came of it."""

from __future__ import annotations

import time
from typing import Any, NamedTuple

import numpy as np
from mindspore import Tensor

from .run_folder import RunFolder


class Patience:
    """Sleeps through most of a step before its result is asked for.

    Asking for a result that is not there yet makes MindSpore wait in a busy loop, which takes one
    core from the kernels. The sleep grows by a part of what is left to wait, and shrinks slowly
    while nothing is.
    """

    def __init__(self) -> None:
        self._seconds = 0.0

    def wait(self, result: Tensor) -> None:
        """Return when ``result`` is there."""
        time.sleep(self._seconds)
        begin = time.perf_counter()
        result.asnumpy()
        waited = time.perf_counter() - begin
        if waited > 0.001:
            self._seconds += waited / 4
        else:
            self._seconds *= 0.95


class Measured(NamedTuple):
    """What is known of one update; ``seconds`` from its launch to its end."""

    step: int
    loss: float
    grad_norm: float
    lr: float
    seconds: float


class Launched(NamedTuple):
    """One update under way since ``begin`` (of ``time.perf_counter``)."""

    step: int
    lr: float
    loss: Tensor
    grad_norm: Tensor
    begin: float

    def wait(self, patience: Patience) -> Measured:
        """Wait for it."""
        patience.wait(self.loss)
        loss, norm = float(self.loss.asnumpy()), float(self.grad_norm.asnumpy())
        seconds = round(time.perf_counter() - self.begin, 4)
        return Measured(self.step, loss, norm, self.lr, seconds)


class TrainLog:
    """Shows progress, and writes metrics down about once a second."""

    def __init__(self, run: RunFolder, bar: Any, images_per_step: int) -> None:
        self._run, self._bar, self._images = run, bar, images_per_step
        self._rows: list[Measured] = []
        self._written = 0.0

    def add(self, measured: Measured) -> None:
        """Note one update."""
        self._rows.append(measured)
        if time.perf_counter() - self._written > 1.0:
            self.write()
        self._bar.update(measured.step - self._bar.n)

    def write(self) -> None:
        """Write what has not been written yet."""
        if self._rows:
            self._run.append_metrics(row._asdict() for row in self._rows)
            loss = np.mean([row.loss for row in self._rows])
            speed = self._images / np.median([row.seconds for row in self._rows])
            self._bar.set_postfix_str(f"loss {loss:.4f}, {speed:.0f} images/s", refresh=False)
        self._rows = []
        self._written = time.perf_counter()
