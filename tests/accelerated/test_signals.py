"""Being asked to stop, by Ctrl-C, SIGTERM, or a terminal that is closed."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator

import pytest

from ddpm_mindspore.accelerated.system.signals import asked_as_by_ctrl_c, first_interrupt_waits

NUMBERS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@pytest.fixture(autouse=True)
def _as_in_a_terminal() -> Iterator[None]:
    before = {number: signal.getsignal(number) for number in NUMBERS}
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("number", NUMBERS)
def test_the_first_one_waits_and_is_told(
    number: signal.Signals, capsys: pytest.CaptureFixture[str]
) -> None:
    before = [signal.getsignal(each) for each in NUMBERS]
    with first_interrupt_waits("stopping") as interrupted:
        assert not interrupted.is_set()
        signal.raise_signal(number)
        assert interrupted.is_set()
    assert [signal.getsignal(each) for each in NUMBERS] == before
    told = "" if number == signal.SIGHUP else "stopping\n"  # no one is there to read it
    assert capsys.readouterr() == ("", told)


def test_the_second_one_acts_as_usual() -> None:
    with first_interrupt_waits(), pytest.raises(KeyboardInterrupt):
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)


def test_a_terminal_that_is_closed_asks_as_often_as_it_likes() -> None:
    """And is no first time for Ctrl-C or SIGTERM, which a system sends that shuts down."""
    with first_interrupt_waits() as interrupted:
        for number in (signal.SIGHUP, signal.SIGHUP, signal.SIGTERM, signal.SIGHUP):
            signal.raise_signal(number)
        assert interrupted.is_set()


def test_what_ignores_a_closed_terminal_goes_on_ignoring_it() -> None:
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    with first_interrupt_waits() as interrupted:
        signal.raise_signal(signal.SIGHUP)
        assert not interrupted.is_set()
    assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN


def test_ones_own_answer_to_a_closed_terminal_stays() -> None:
    heard: list[int] = []
    signal.signal(signal.SIGHUP, lambda number, _: heard.append(number))
    with first_interrupt_waits() as interrupted:
        signal.raise_signal(signal.SIGHUP)
    assert heard == [signal.SIGHUP] and not interrupted.is_set()


@pytest.mark.parametrize("number", NUMBERS)
def test_a_command_is_asked_by_any_of_them_as_by_ctrl_c(number: signal.Signals) -> None:
    before = [signal.getsignal(each) for each in NUMBERS]
    with asked_as_by_ctrl_c():
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(number)
        with first_interrupt_waits() as interrupted:
            signal.raise_signal(number)
        assert interrupted.is_set()
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(number)
    assert [signal.getsignal(each) for each in NUMBERS] == before


def test_a_command_under_nohup_stays_there() -> None:
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    with asked_as_by_ctrl_c():
        signal.raise_signal(signal.SIGHUP)


def test_another_thread_changes_nothing() -> None:
    before = [signal.getsignal(each) for each in NUMBERS]
    seen: list[object] = []

    def work() -> None:
        with first_interrupt_waits() as interrupted:
            seen.extend([signal.getsignal(each) for each in NUMBERS])
            seen.append(interrupted.is_set())

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [*before, False]
