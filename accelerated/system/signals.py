"""Being asked to stop: the first time for an orderly end, the second time at once."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from .say import say


@contextmanager
def asked_as_by_ctrl_c() -> Iterator[None]:
    """Within it SIGTERM, and SIGHUP where it is not ignored, are a KeyboardInterrupt: for commands.

    So temporary folders are removed, and whoever waits is told.
    """
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGHUP)}
    for number, handler in before.items():
        if number == signal.SIGTERM or handler is signal.SIG_DFL:
            signal.signal(number, signal.default_int_handler)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, signal.SIG_DFL if handler is None else handler)


@contextmanager
def first_interrupt_waits(notice: str = "") -> Iterator[threading.Event]:
    """Turn the first Ctrl-C or SIGTERM into an event; the second one acts as usual.

    A terminal that is closed (SIGHUP) asks too, and may do so more than once: the shell passes it
    on, and the kernel sends it again. It is never the second time. A process that ignores it, as
    ``nohup`` has it, goes on; an answer that the user has set stays.

    Args:
        notice: what to tell a person who asks (default: nothing).
    """
    event = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield event  # signals reach the main thread only
        return
    # Not Python's (None) cannot be put back by Python.
    asking = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    hanging_up = signal.getsignal(signal.SIGHUP)
    asked_so = hanging_up in (signal.SIG_DFL, signal.default_int_handler)

    def usual() -> None:
        for number, handler in asking.items():
            signal.signal(number, signal.SIG_DFL if handler is None else handler)

    def note(*_: Any) -> None:
        event.set()
        usual()
        if notice:
            say(notice, error=True)

    for number in asking:
        signal.signal(number, note)
    if asked_so:
        signal.signal(signal.SIGHUP, lambda *_: event.set())
    try:
        yield event
    finally:
        usual()
        if asked_so:
            signal.signal(signal.SIGHUP, hanging_up)
