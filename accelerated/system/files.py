"""Writing files so that a reader finds the old content or the new, and never half of either."""

from __future__ import annotations

import errno
import json
import os
from pathlib import Path
from typing import Any


def write_json(path: Path, value: Any) -> None:
    """Write JSON that survives a power failure; ``path`` holds the old or the new value, whole.

    Raises:
        ValueError: a value that JSON cannot hold (NaN and infinity included).
        OSError: the file cannot be written. What was there is unharmed.
    """
    replace_file(path, json_bytes(path.name, value))


def replace_file(path: Path, data: bytes, *, flush: bool = True) -> None:
    """Write ``path`` in one go: under a temporary name, flushed to the disk, then renamed.

    Without ``flush`` it is much faster, and may be lost in a power failure.

    Raises:
        OSError: the file cannot be written. What was there is unharmed.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        temporary.unlink(missing_ok=True)
        write_new(temporary, data, flush=flush)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    if flush:
        flush_folder(path.parent)


def write_new(path: Path, data: bytes, *, flush: bool = True) -> None:
    """Write a file that does not exist yet and flush it to the disk."""
    with path.open("xb") as file:
        file.write(data)
        if flush:
            file.flush()
            os.fsync(file.fileno())


def make_folder(folder: Path) -> None:
    """Make a folder and the parents that it lacks; all are on the disk when this returns."""
    if not folder.is_dir():
        make_folder(folder.parent)
        folder.mkdir(exist_ok=True)
        flush_folder(folder.parent)


def flush_folder(folder: Path) -> None:
    """Make the names of the files in a folder survive a power failure."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        # Some file systems cannot flush a folder. The files themselves are flushed.
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):
            raise
    finally:
        os.close(descriptor)


def json_bytes(name: str, value: Any) -> bytes:
    """Write ``value`` as strict, indented JSON; ValueError, naming ``name``, when it cannot be."""
    try:
        return (json.dumps(value, indent=2, allow_nan=False) + "\n").encode()
    except (TypeError, ValueError) as error:
        raise ValueError(f"{name} cannot be written as JSON: {error}") from None
