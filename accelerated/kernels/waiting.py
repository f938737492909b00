"""Waiting for a training step's result without taking a core from it.

Asking for a result that is not there yet makes MindSpore wait in a busy loop, beside its operators.
"""

from __future__ import annotations

import ctypes
import time
from typing import Protocol

from mindspore import Tensor

from .. import kernels
from ..system import runtime


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


class AnnouncementWaiter:
    """Waits for what is announced after it was made, asleep."""

    # What fails is never announced: MindSpore is asked after so many seconds, and says so.
    _limit = 60.0

    def __init__(self) -> None:
        library = runtime.kernel_library()
        assert library is not None
        self._announcements = kernels.loaded(library).ddpm_kernels_announcements
        self._announcements.argtypes = (ctypes.c_int64, ctypes.c_int)
        self._announcements.restype = ctypes.c_int64
        self._known = self._announcements(-1, 0)

    def wait(self, result: Tensor) -> None:
        """Return when ``result`` is there, which is the next one that is announced."""
        end = time.monotonic() + self._limit
        # In slices of 50 ms, between which Python heeds signals.
        while self._announcements(self._known, 50) == self._known:
            if time.monotonic() > end:
                self._limit *= 2.0
                break
        result.asnumpy()
        self._known = self._announcements(-1, 0)


def waiter(announced: bool) -> Waiter:
    """What to wait with for results of graphs not yet started, which announce them or do not."""
    return AnnouncementWaiter() if announced else AdaptiveSleep()
