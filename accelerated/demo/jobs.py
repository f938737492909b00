"""Drawings that wait for their turn, one after another; each ends when nobody waits for it."""

from __future__ import annotations

import threading
from collections import deque
from typing import Any

from .asked import Asked

WAITING = 8
"""Drawings that wait at most."""


class CancelledError(Exception):
    """Nobody waits for the drawing any more."""


class FullError(Exception):
    """Too many wait."""


class Job:
    """A drawing, between the thread of its request and the one that draws.

    Attributes:
        asked: what is to be drawn.
        cancelled: set when nobody waits for it any more.
    """

    def __init__(self, asked: Asked) -> None:
        self.asked, self.cancelled = asked, threading.Event()
        self._news = threading.Condition()
        self._view: dict[str, Any] | None = None
        self._end: dict[str, Any] | None = None

    def show(self, view: dict[str, Any]) -> None:
        """Tell how far it is; what was not yet taken is forgotten.

        Raises:
            CancelledError: nobody waits for it.
        """
        if self.cancelled.is_set():
            raise CancelledError
        with self._news:
            self._view = view
            self._news.notify()

    def end(self, result: dict[str, Any]) -> None:
        """Tell what came of it."""
        with self._news:
            self._end = result
            self._news.notify()

    def news(self, patience: float) -> tuple[dict[str, Any] | None, bool]:
        """What is new, if something is after so many seconds; and whether it is the end."""
        with self._news:
            self._news.wait_for(lambda: self._view or self._end, patience)
            if self._end is not None:
                return self._end, True
            view, self._view = self._view, None
            return view, False


class Jobs:
    """A queue: the one who has come first is drawn for first."""

    def __init__(self) -> None:
        self._waiting: deque[Job] = deque()
        self._some = threading.Condition()

    def add(self, asked: Asked) -> Job:
        """Queue a drawing.

        Raises:
            FullError: too many wait.
        """
        with self._some:
            if len(self._waiting) >= WAITING:
                raise FullError
            job = Job(asked)
            self._waiting.append(job)
            self._some.notify()
            return job

    def take(self, patience: float) -> Job | None:
        """The next, if there is one within so many seconds."""
        with self._some:
            self._some.wait_for(lambda: self._waiting, patience)
            return self._waiting.popleft() if self._waiting else None

    def cancel(self, job: Job) -> None:
        """Nobody waits for it any more."""
        job.cancelled.set()
        with self._some:
            if job in self._waiting:
                self._waiting.remove(job)

    def ahead(self, job: Job) -> int | None:
        """How many wait before it; None where it waits no more."""
        with self._some:
            return self._waiting.index(job) if job in self._waiting else None
