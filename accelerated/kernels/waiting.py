"""Waiting for a training step's result without taking a core from it.

Asking for a result that is not there yet makes MindSpore wait in a busy loop, beside its operators.
"""

from __future__ import annotations

import time
from typing import Protocol

from mindspore import Tensor

from .. import kernels


class Waiter(Protocol):
    """Waits for one result after another."""

    def wait(self, result: Tensor) -> None:
        """Return when ``result`` is there."""


class AdaptiveSleep:
    """Sleeps through most of a step before its result is asked for.

    The sleep grows by a part of what is left to wait, and shrinks slowly while nothing is.
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


def waiter(announced: bool) -> Waiter:
    """What to wait with for results of graphs not yet started, which announce them or do not."""
    return kernels.AnnouncementWaiter() if announced else AdaptiveSleep()
