"""Ctrl-C stays Python's, whatever MindSpore does.

With every graph that it runs, and with every thread that it starts, MindSpore makes SIGINT its own:
its answer is to send SIGTERM to the process, which dies with all that is in memory. A session in
Python wants a ``KeyboardInterrupt``, or what it has set itself. Putting Python's answer back after
each call would leave the call itself, where most of the time is spent, and other threads' calls.

So the calls that take SIGINT are led elsewhere. Libraries call each other through tables of
addresses; there the address of each of the three functions below is replaced by that of a function
that does nothing. What sends SIGTERM to the process from outside is not touched.
"""

from __future__ import annotations

import ctypes
import mmap
import os
import signal
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

# Where they are called, where they are, and their names as the linker knows them.
_CALLERS = ("mindspore_ms_backend", "mindspore_ge_backend", "mindspore_runtime_pipeline")
_HOME = "mindspore_common"
_TAKING = (
    "_ZN9mindspore27RegisterGlobalSignalHandlerEPFviP9siginfo_tPvE",  # bool, true: it is done
    "_ZN9mindspore11SignalGuardC1EPFviP9siginfo_tPvE",
    "_ZN9mindspore11SignalGuardD1Ev",  # puts back what the one before has found
)

_done: set[str] = set()  # the callers whose tables have been looked through


def keep_interrupts() -> int:
    """Let SIGINT be answered as Python has it, from now on; the number of calls led elsewhere.

    MindSpore has to be imported. Calling it again is harmless, and serves libraries that MindSpore
    has loaded since. Where it is built in another way, nothing is done.
    """
    regions = list(_tables())
    new = {path for path, *_ in regions if any(name in path for name in _CALLERS)} - _done
    if not new:
        return 0
    _done.update(new)
    replaced = 0
    with suppress(StopIteration, OSError, AttributeError, ValueError):
        home = ctypes.CDLL(next(path for path, *_ in regions if _HOME in path))
        # It takes nothing, returns 1, and needs no lock.
        nothing = _address(ctypes.pythonapi.Py_IsInitialized)
        for taking in (_address(getattr(home, name)) for name in _TAKING):
            for path, start, end, writable in regions:
                if path in new:
                    replaced += _replace(start, end, writable, taking, nothing)
    if replaced and threading.current_thread() is threading.main_thread():
        handler = signal.getsignal(signal.SIGINT)
        if handler is not None:
            signal.signal(signal.SIGINT, handler)  # MindSpore may have been at work before
    return replaced


def _tables() -> Iterator[tuple[str, int, int, bool]]:
    """File, start, end and whether it may be written, of MindSpore's memory that is no program."""
    with suppress(OSError):
        for line in os.fsdecode(Path("/proc/self/maps").read_bytes()).splitlines():
            where, rights, _, _, _, *path = line.split(maxsplit=5)
            if path and "libmindspore_" in path[0] and "r" in rights and "x" not in rights:
                start, end = (int(part, 16) for part in where.split("-"))
                yield path[0], start, end, "w" in rights


def _address(function: object) -> int:
    address = ctypes.cast(function, ctypes.c_void_p).value  # type: ignore[arg-type]
    if address is None:
        raise ValueError("a function without an address")
    return address


def _replace(start: int, end: int, writable: bool, old: int, new: int) -> int:
    """Write one address over another wherever it is in a region; how often it was there."""
    size, count = ctypes.sizeof(ctypes.c_void_p), 0
    memory, wanted = ctypes.string_at(start, end - start), old.to_bytes(size, "little")
    place = memory.find(wanted)
    while place >= 0:
        if place % size == 0:
            _write(start + place, new, writable)
            count += 1
        place = memory.find(wanted, place + 1)
    return count


def _write(place: int, address: int, writable: bool) -> None:
    page = place - place % mmap.PAGESIZE
    protect = ctypes.CDLL(None, use_errno=True).mprotect
    protect.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)
    read, write = mmap.PROT_READ, mmap.PROT_WRITE
    if not writable and protect(page, mmap.PAGESIZE, read | write):
        raise OSError(ctypes.get_errno(), "memory cannot be made writable")
    ctypes.c_void_p.from_address(place).value = address
    if not writable:
        protect(page, mmap.PAGESIZE, read)
