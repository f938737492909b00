"""One process of a machine at a time: who comes later waits."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager, suppress


@contextmanager
def alone(descriptor: int) -> Iterator[None]:
    """Within it no other process is that asks for the same file or folder.

    Where a file system has no locks, or none for folders, all are.
    """
    with suppress(OSError):
        fcntl.flock(descriptor, fcntl.LOCK_EX)
    try:
        yield
    finally:
        with suppress(OSError):
            fcntl.flock(descriptor, fcntl.LOCK_UN)
