"""Giving memory back to the machine: what Python lets go of stays with the C library otherwise."""

from __future__ import annotations

import ctypes
import gc
from contextlib import suppress


def give_back() -> None:
    """Let the machine have what is free, as after large weights; nothing where there is no way."""
    gc.collect()
    with suppress(OSError, AttributeError):  # of GNU's library alone
        ctypes.CDLL(None).malloc_trim(0)
