"""A core for each of several runners at once (``pytest -n``, by pytest-xdist)."""

from __future__ import annotations

import os

# Each process takes more than a gigabyte.
MOST_JOBS = 4


def take_a_core() -> None:
    """Keep a worker of pytest-xdist, and all that it starts, to one core; nothing elsewhere.

    Two MindSpore processes on the same cores wait for each other's spinning threads: they take
    longer than one after the other. Call it before MindSpore is imported, which counts the cores.
    """
    worker = os.environ.get("PYTEST_XDIST_WORKER", "")
    if worker.startswith("gw") and hasattr(os, "sched_setaffinity"):
        cores = sorted(os.sched_getaffinity(0))
        os.sched_setaffinity(0, {cores[int(worker[2:]) % len(cores)]})
