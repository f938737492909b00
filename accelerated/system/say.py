"""Saying something to people: the one place that writes to the terminal, or what stands for it.

A reader may go (``| head``), a terminal be closed, a log's disk run full, a name hold what an
encoding lacks, and ``sys.stderr`` be None. None of it is a reason to end a training: what cannot be
written is lost, what comes later is tried again, and what cannot be shown is escaped.
"""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

# Signs that move a terminal's cursor or clear its screen, in the name of a file, say. A line ends
# as it did, and a bar returns to its beginning.
_ESCAPED = {i: f"\\x{i:02x}" for i in (*range(32), 127, *range(128, 160)) if chr(i) not in "\t\n\r"}


_TO_THE_RIGHT = "" if os.environ.get("TERM", "dumb") == "dumb" else "\x1b[K"
"""Clears what is there yet of a line, such as the ^C of who has pressed it."""


class Stream:
    """``sys.stdout`` or ``sys.stderr``, whatever that is at the time, as a file that never fails.

    Args:
        name: of the stream in ``sys``.
    """

    def __init__(self, name: str) -> None:
        self._name = name

    @property
    def encoding(self) -> str:
        """How the stream writes letters; ASCII is what every one can."""
        return getattr(getattr(sys, self._name, None), "encoding", "ascii") or "utf-8"

    def write(self, text: str) -> int:
        """Write what can be written; the number of letters, as if it were all."""
        self.failure(text)
        return len(text)

    def flush(self) -> None:
        """Do nothing: all is written at once."""

    def isatty(self) -> bool:
        """Whether a person watches."""
        try:
            return bool(getattr(sys, self._name).isatty())
        except Exception:
            return False

    def fileno(self) -> int:
        """The descriptor, from which a bar reads the width of the terminal.

        Raises:
            OSError: the stream has none.
        """
        try:
            return int(getattr(sys, self._name).fileno())
        except Exception:
            raise OSError(errno.EBADF, f"{self._name} has no descriptor") from None

    def failure(self, text: str) -> Exception | None:
        """Write a text; why it could not be, if so."""
        stream = getattr(sys, self._name, None)
        if stream is None:
            return None
        data = text.encode(self.encoding, "backslashreplace")
        try:  # whatever kind of stream this is, and however it is broken
            stream.flush()
            raw = getattr(getattr(stream, "buffer", None), "raw", None)
            if raw is None:
                stream.write(data.decode(self.encoding))
                stream.flush()
            else:  # a buffer would keep what it could not write, and fail with it once more at exit
                _write_all(raw, data)
        except Exception as error:
            return error
        return None


def _write_all(raw: Any, data: bytes) -> None:
    while data:
        written = raw.write(data)
        if not written:
            raise BlockingIOError(errno.EAGAIN, "the reader does not keep up")
        data = data[written:]


OUT, ERR = Stream("stdout"), Stream("stderr")


def say(text: str, *, error: bool = False) -> None:
    """Write a line, or several, above any bar; to ``stderr`` if it is an error. Never fails."""
    stream = ERR if error else OUT
    with _bars_aside():
        stream.write(text.translate(_ESCAPED) + (_TO_THE_RIGHT if stream.isatty() else "") + "\n")


def answer(text: str) -> None:
    """Write what a command was asked for. Where the reader has gone, it has what it wanted.

    Raises:
        OSError: it cannot be written.
    """
    failure = OUT.failure(text.translate(_ESCAPED) + "\n")
    if isinstance(failure, OSError) and not isinstance(failure, BrokenPipeError):
        raise failure


def can_show(text: str) -> bool:
    """Whether ``stdout`` has these letters."""
    with suppress(UnicodeEncodeError, LookupError):
        return bool(text.encode(OUT.encoding)) or not text
    return False


def bar(*arguments: Any, **options: Any) -> Any:
    """A tqdm bar on ``stderr``, as wide as the terminal; in a file it is seldom drawn anew."""
    from tqdm import tqdm

    often = 0.1 if ERR.isatty() else 10.0  # seconds; days of training would fill a log with it
    usual = {"file": ERR, "dynamic_ncols": True, "mininterval": often}
    return tqdm(*arguments, **{**usual, **options})


def counted(count: int, plural: str) -> str:
    """So many of something."""
    return f"{count:,} {plural.removesuffix('s') if count == 1 else plural}"


def open_streams() -> None:
    """Put something where streams are closed: for commands, at their start.

    Else files would be opened under the numbers 0 to 2, to which other libraries write messages;
    and those in Python expect a stream.
    """
    while (descriptor := os.open(os.devnull, os.O_RDWR)) <= 2:
        pass
    os.close(descriptor)
    for name, number in (("stdout", 1), ("stderr", 2)):
        if getattr(sys, name) is None:
            setattr(sys, name, os.fdopen(number, "w", closefd=False))


def settle() -> None:
    """Leave nothing in the buffers that could fail when Python ends: it would change the exit code.

    For commands, whose process ends after it.
    """
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name, None)
        try:
            if stream is not None:
                stream.flush()
        except Exception:
            setattr(sys, name, None)


def close_bars() -> None:
    """End what is on the screen of bars whose work has failed, so that a message can follow."""
    for shown in _bars():
        shown.close()


@contextmanager
def _bars_aside() -> Iterator[None]:
    """Within it, bars are off the screen."""
    bars = _bars()
    for shown in bars:
        shown.clear()
    yield
    for shown in bars:
        shown.refresh()


def _bars() -> list[Any]:
    """The bars that are on the screen; where tqdm was never imported, there are none."""
    try:
        bars = list(getattr(sys.modules["tqdm"].tqdm, "_instances", ()))
        # One that waits a while before it shows itself has been drawn when its time has moved.
        return [b for b in bars if b.fp == ERR and (b.delay <= 0 or b.last_print_t > b.start_t)]
    except Exception:  # half made, or Python is about to end
        return []
