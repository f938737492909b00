"""Giving memory back to the machine: what Python lets go of stays with the C library otherwise."""

from __future__ import annotations

import ctypes
import gc
from contextlib import suppress

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3
"""Of ``mallopt``: https://man7.org/linux/man-pages/man3/mallopt.3.html"""


def give_back() -> None:
    """Let the machine have what is free, as after large weights; nothing where there is no way."""
    gc.collect()
    with suppress(OSError, AttributeError):  # of GNU's library alone
        ctypes.CDLL(None).malloc_trim(0)


def return_large_blocks() -> None:
    """From now on, give back each block of a megabyte or more when it is freed.

    The C library does so until one is freed, and keeps as large ones afterwards: compiling leaves
    holes between what stays.
    """
    with suppress(OSError, AttributeError):
        library = ctypes.CDLL(None)
        library.mallopt(M_MMAP_THRESHOLD, 2**20)
        library.mallopt(M_TRIM_THRESHOLD, 2**23)  # it stays small otherwise: many calls
