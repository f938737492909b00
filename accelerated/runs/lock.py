"""One trainer in a run folder at a time."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import platform
import time
import weakref
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any

from ..system.files import make_folder

# What file systems answer that have no locks: training there goes on without.
_NO_LOCKS = (errno.ENOLCK, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS)


class RunLock:
    """Holds RUN/.lock while within it; the operating system lets go when the process dies.

    A lock of the kernel, not a file that is there or not: nothing is left behind by ``kill -9``,
    and a copied folder is free.

    Raises:
        ValueError: another process holds it; the message names the process and its machine.
        OSError: the file cannot be made.
    """

    def __init__(self, run: Path) -> None:
        self._run, self._path = run, run / ".lock"
        self._descriptor: int | None = None
        _all.add(self)

    def __enter__(self) -> RunLock:
        descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        try:
            if not (_lock(descriptor) or _once_more(descriptor)):
                raise self._refusal(_read(self._path))
            me = {"pid": os.getpid(), "host": platform.node()}
            os.truncate(descriptor, 0)
            os.pwrite(descriptor, json.dumps(me).encode(), 0)
        except BaseException:
            os.close(descriptor)
            raise
        self._descriptor = descriptor
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._descriptor is not None:  # for those too who were forked and have it still
            fcntl.flock(self._descriptor, fcntl.LOCK_UN)
        self.forget()

    def forget(self) -> None:
        """Close the file: this process no longer holds the lock, others that share it do."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def is_ours(self) -> bool:
        """Whether RUN/.lock was made by a trainer, or is not there."""
        # Empty: killed before it was written.
        made = self._path.is_file() and (
            self._path.stat().st_size == 0 or "pid" in _read(self._path)
        )
        return made or not os.path.lexists(self._path)

    def check_free(self) -> None:
        """Raise ValueError when another process trains in this folder."""
        if (holder := self.holder()) is not None:
            raise self._refusal(holder)

    def _refusal(self, holder: dict[str, Any]) -> ValueError:
        who = f"process {holder['pid']} on {holder['host']}" if holder else "another process"
        return ValueError(
            f"results_folder {str(self._run)!r} is being trained in by {who}: wait for it or stop "
            "it, or choose another (--results-folder)"
        )

    def holder(self) -> dict[str, Any] | None:
        """Who trains in this folder now, as {"pid": ..., "host": ...}; None: no one."""
        try:
            descriptor = os.open(self._path, os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            return None
        try:
            return None if _lock(descriptor, fcntl.LOCK_SH) else _read(self._path)
        finally:
            os.close(descriptor)


_all: weakref.WeakSet[RunLock] = weakref.WeakSet()


def _forget_all() -> None:
    for lock in _all:
        lock.forget()


# Workers that a data pipeline forks would hold the lock for as long as they outlive the trainer.
os.register_at_fork(after_in_child=_forget_all)


def _lock(descriptor: int, kind: int = fcntl.LOCK_EX) -> bool:
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        if error.errno not in _NO_LOCKS:
            raise
    return True


def lock_output(folder: Path) -> int:
    """Make a folder that is drawn into; a descriptor that keeps it to this process until closed.

    Raises:
        ValueError: another process draws into it.
        OSError: it cannot be made or opened.
    """
    make_folder(folder)
    descriptor = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    with suppress(OSError):  # file systems that have locks, but not for folders
        if not _lock(descriptor):
            os.close(descriptor)
            raise ValueError(
                f"output {str(folder)!r} is being drawn into by another process: wait for it, or "
                "choose another folder (--output)"
            )
    return descriptor


def _once_more(descriptor: int) -> bool:
    """Try again, in case someone was just asking for the holder."""
    time.sleep(0.1)
    return _lock(descriptor)


def _read(path: Path) -> dict[str, Any]:
    try:
        return dict(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):  # taken this very moment
        return {}
