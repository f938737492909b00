"""Where the time of a training run goes."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

ACTIVITIES = ("steps", "compiling", "data", "drawing", "saving")


class Timings:
    """Adds up the seconds of each activity of the training loop, one after the other.

    steps: the device works; compiling: the first step; data: waiting for images; drawing: samples
    and pictures; saving: checkpoints.

    Args:
        before: the seconds of earlier sessions of the run.
    """

    def __init__(self, before: Mapping[str, float]) -> None:
        self.seconds = {name: float(before.get(name, 0.0)) for name in ACTIVITIES}

    @contextmanager
    def __call__(self, name: str) -> Iterator[None]:
        """Count the time within as that of an activity."""
        begin = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[name] += time.perf_counter() - begin


def shares(seconds: Mapping[str, float]) -> dict[str, float]:
    """The share of each activity, 0 to 1; compiling is once and left out."""
    lasting = {name: value for name, value in seconds.items() if name != "compiling"}
    total = sum(lasting.values())
    return {name: value / total if total else 0.0 for name, value in lasting.items()}
