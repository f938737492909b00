"""The worker's end of the pipe: one measurement at a time, blocked in a read in between.

The parent sends lines of JSON, ``{"steps": 5}``; the worker answers ``{"seconds": 4.1, ...}``. The
first line a worker sends, when it has done everything once, says what it has made.
"""

from __future__ import annotations

import importlib.metadata
import json
import os
import platform
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

SKIPPED = 2
"""Training steps before the clock starts: the first may find its batch made, and caches cold."""


class Pipe:
    """Messages on what was the standard output; what others print there goes to the log."""

    def __init__(self) -> None:
        self._out = os.fdopen(os.dup(sys.stdout.fileno()), "w", buffering=1)
        os.dup2(sys.stderr.fileno(), sys.stdout.fileno())

    def say(self, **message: Any) -> None:
        """Send one message, with the peak of resident memory so far."""
        self._out.write(json.dumps({**message, "peak": peak_memory()}) + "\n")

    def hear(self) -> int:
        """Wait for the next order: how many steps. When no more come, the process ends."""
        line = sys.stdin.readline()
        if not line:
            sys.stderr.flush()
            os._exit(0)  # also out of a trainer's loop, which would save and draw first
        return int(json.loads(line)["steps"])


def serve(pipe: Pipe, made: dict[str, Any], block: Callable[[int], float]) -> None:
    """Answer orders with the seconds that ``block(steps)`` reports, for ever."""
    block(2)
    pipe.say(**made)
    while True:
        pipe.say(seconds=block(pipe.hear()))


def describe(parameters: int, packages: Sequence[str]) -> dict[str, Any]:
    """What the first message says: the size of the network, and versions."""
    versions = {name: importlib.metadata.version(name) for name in packages}
    return {"parameters": parameters, "versions": {"python": platform.python_version(), **versions}}


def peak_memory() -> int:
    """The most memory that this process has had resident, in bytes (0 where it is not told)."""
    try:
        status = Path("/proc/self/status").read_text(encoding="utf-8")
    except OSError:
        return 0
    sizes = [line.split()[1] for line in status.splitlines() if line.startswith("VmHWM:")]
    return int(sizes[0]) * 1024 if sizes else 0


def wait_until_idle(patience: float = 20.0) -> bool:
    """Wait until no thread of this process is at work; False when that never came."""
    deadline = time.perf_counter() + patience
    while time.perf_counter() < deadline:
        before = time.process_time()
        time.sleep(0.05)
        if time.process_time() - before < 0.005:
            return True
    return False
