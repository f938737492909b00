"""The worker's end of the pipe: one measurement at a time, blocked in a read in between.

The parent sends lines of JSON, ``{"steps": 5}``; the worker answers ``{"seconds": 4.1, ...}``. The
first line a worker sends, when it has done everything once, says how many parameters it trains.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any


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


def serve(pipe: Pipe, parameters: int, block: Callable[[int], float], **more: Any) -> None:
    """Say the size of the network, then answer orders with the seconds of ``block(steps)``."""
    block(2)
    pipe.say(parameters=parameters, **more)
    while True:
        pipe.say(seconds=block(pipe.hear()))


def peak_memory() -> int:
    """The most memory that this process has had resident, in bytes (0 where it is not told)."""
    try:
        status = Path("/proc/self/status").read_text(encoding="utf-8")
    except OSError:
        return 0
    sizes = [line.split()[1] for line in status.splitlines() if line.startswith("VmHWM:")]
    return int(sizes[0]) * 1024 if sizes else 0


def idle_since(quiet: float = 0.1, patience: float = 60.0) -> float:
    """Wait until no thread of this process has been at work for a while; when that began.

    Args:
        quiet: how long that while is, in seconds.
        patience: seconds after which to give up.

    Returns:
        A time of ``time.perf_counter``.

    Raises:
        RuntimeError: it never came.
    """
    began = last = before = time.perf_counter()
    used = time.process_time()
    while before - began < patience:
        time.sleep(0.002)
        now, used_now = time.perf_counter(), time.process_time()
        # A quarter of a core is more than this loop takes. After a long gap nothing is known.
        if used_now - used > (now - before) / 4 or now - before > quiet / 2:
            last = now
        elif now - last > quiet:
            return last
        before, used = now, used_now
    raise RuntimeError(f"a thread kept a core busy for {patience:.0f} s while nothing was to do")
