"""Ctrl-C and SIGTERM: the first asks for an orderly end, the second ends at once."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def first_interrupt_waits() -> Iterator[threading.Event]:
    """Turn the first Ctrl-C or SIGTERM into an event; the second one acts as usual.

    MindSpore's threads replace Python's answer to Ctrl-C by one of their own, which sends SIGTERM
    to the process. So SIGTERM has to be caught for Ctrl-C's sake; job schedulers send it too.
    """
    event = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield event  # signals reach the main thread only
        return
    previous = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def restore() -> None:
        for number, handler in previous.items():
            signal.signal(number, handler)

    def note(*_: Any) -> None:
        event.set()
        restore()

    for number in previous:
        signal.signal(number, note)
    try:
        yield event
    finally:
        restore()
