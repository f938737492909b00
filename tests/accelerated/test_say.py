"""Streams that cannot be written, and names that cannot be shown, are no one's end."""

from __future__ import annotations

import io
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TextIO

import pytest

from ddpm_mindspore.accelerated.system.say import ERR, OUT, answer, bar, can_show, close_bars, say

GBK = os.fsdecode("种.png".encode("gbk"))
STREAMS = pytest.mark.parametrize("name", ["stdout", "stderr"])


def closed() -> TextIO:
    stream = io.TextIOWrapper(io.BytesIO())
    stream.close()
    return stream


def without_reader() -> TextIO:
    end, start = os.pipe()
    os.close(end)
    return os.fdopen(start, "w")


def full() -> TextIO:
    return open("/dev/full", "w")  # noqa: PTH123 - closing it is what fails


class Odd:
    """What a notebook or a test may put there."""

    encoding = None

    def write(self, text: str) -> None:
        raise RuntimeError("the kernel is gone")


LOST: dict[str, Callable[[], object]] = {
    "none": lambda: None,
    "closed": closed,
    "its reader has gone": without_reader,
    "its disk is full": full,
    "odd": Odd,
}


EACH_LOST = pytest.mark.parametrize("kind", LOST)


@contextmanager
def lost(kind: str, patch: pytest.MonkeyPatch) -> Iterator[None]:
    """Both streams are of a kind that cannot be written to."""
    streams = [LOST[kind]() for _ in range(2)]
    with patch.context() as within:
        within.setattr(sys, "stdout", streams[0])
        within.setattr(sys, "stderr", streams[1])
        yield
    for stream in streams:
        with suppress(OSError, AttributeError):
            stream.close()  # type: ignore[attr-defined]


@EACH_LOST
def test_what_cannot_be_written_is_lost_and_nothing_else(
    monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    with lost(kind, monkeypatch), bar(total=1000, mininterval=0) as shown:
        for _ in range(1000):
            shown.update()
        say("a message")
        say("an error", error=True)
        shown.set_postfix_str("loss 0.1")
        OUT.write("x" * 100_000)
        ERR.flush()
        ERR.isatty()
    assert shown.n == 1000


@EACH_LOST
def test_an_answer_that_is_lost_is_an_error_unless_no_one_reads(
    monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    with lost(kind, monkeypatch):
        if kind == "its disk is full":
            with pytest.raises(OSError, match="No space left"):
                answer("42")
        else:
            answer("42")


def test_a_stream_is_the_one_of_the_moment(monkeypatch: pytest.MonkeyPatch) -> None:
    with bar(total=3, mininterval=0) as shown:
        for _ in range(3):
            monkeypatch.setattr(sys, "stderr", io.StringIO())
            shown.update()
            assert "/3" in sys.stderr.getvalue()  # type: ignore[attr-defined]


def test_a_log_goes_on_when_there_is_room_again(tmp_path: Path) -> None:
    """What could not be written is not tried for ever: it would be in the way."""
    program = (
        "import os\nfrom ddpm_mindspore.accelerated.system.say import say\n"
        "say('first'); log = os.dup(1); os.dup2(os.open('/dev/full', os.O_WRONLY), 1)\n"
        "say('lost' * 5000); os.dup2(log, 1); say('third')"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "first\nthird\n", "")


@pytest.mark.parametrize("watched", [True, False])
def test_a_bar_does_not_fill_a_log(monkeypatch: pytest.MonkeyPatch, watched: bool) -> None:
    file = io.StringIO()
    monkeypatch.setattr(file, "isatty", lambda: watched)
    monkeypatch.setattr(sys, "stderr", file)
    with bar(total=6) as shown:
        for _ in range(6):
            time.sleep(0.11)
            shown.update()
    drawn = file.getvalue().count("/6")
    assert drawn > 5 if watched else drawn <= 3  # at its beginning and its end


def test_a_bar_that_is_left_open_does_not_change_the_exit_code() -> None:
    program = (
        "import sys\nfrom ddpm_mindspore.accelerated.system.say import bar, say\n"
        "shown = bar(total=9, mininterval=0); shown.update(); say('x' * 9000); sys.exit(7)"
    )
    done = subprocess.run([sys.executable, "-c", program], stdout=full(), stderr=full())
    assert done.returncode == 7


@STREAMS
@pytest.mark.parametrize(
    ("encoding", "shown"),
    [
        ("utf-8", "é \\udcd6\\udcd6.png 照"),
        ("latin-1", "é \\udcd6\\udcd6.png \\u7167"),
        ("ascii", "\\xe9 \\udcd6\\udcd6.png \\u7167"),
    ],
)
@pytest.mark.parametrize("buffered", [True, False])
def test_what_a_terminal_does_not_have_is_escaped(
    monkeypatch: pytest.MonkeyPatch, name: str, encoding: str, shown: str, buffered: bool
) -> None:
    file = io.BufferedRandom(io.FileIO(os.memfd_create("terminal"), "r+"))
    written = file if buffered else io.BytesIO()
    monkeypatch.setattr(sys, name, io.TextIOWrapper(written, encoding))
    say(f"é {GBK} 照", error=name == "stderr")
    written.seek(0)
    assert written.read().decode(encoding) == shown + "\n"


def test_signs_that_move_the_cursor_are_escaped(capsys: pytest.CaptureFixture[str]) -> None:
    say("a\x1b[2Jb\x07c\x9bd\tcolumn\nline")
    assert capsys.readouterr().out == "a\\x1b[2Jb\\x07c\\x9bd\tcolumn\nline\n"


def test_a_message_moves_a_bar_aside(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    with bar(total=3, desc="training", mininterval=0) as shown:
        shown.update()
        say("a message", error=True)
    *_, cleared, after = sys.stderr.getvalue().rpartition("a message\n")  # type: ignore[attr-defined]
    assert cleared == "a message\n"
    assert "training" in after  # drawn again below it


def test_a_bar_that_is_not_shown_yet_stays_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    with bar(total=3, desc="decoding", delay=60) as shown:
        shown.update()
        say("a message", error=True)
        assert sys.stderr.getvalue() == "a message\n"  # type: ignore[attr-defined]


def test_a_bar_whose_work_has_failed_is_ended_by_a_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    shown = bar(total=3, desc="decoding", mininterval=0)
    shown.update()
    close_bars()
    say("a message", error=True)
    *_, last, message = sys.stderr.getvalue().splitlines()  # type: ignore[attr-defined]
    assert message == "a message" and "1/3" in last


@pytest.mark.parametrize(("encoding", "expected"), [("utf-8", True), ("latin-1", False)])
def test_who_asks_is_told_whether_letters_can_be_shown(
    monkeypatch: pytest.MonkeyPatch, encoding: str, expected: bool
) -> None:
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(io.BytesIO(), encoding))
    assert can_show("▁▂▃") is expected
