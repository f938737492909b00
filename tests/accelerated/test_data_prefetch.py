from __future__ import annotations

import gc
import subprocess
import sys
import threading
import time
import weakref
from itertools import islice

import pytest

from ddpm_mindspore.accelerated.data.prefetch import Prefetch


class Maker:
    """Notes which numbers were asked for; lets as many through as it is told."""

    def __init__(self) -> None:
        self.begun: list[int] = []
        self.threads: set[int] = set()
        self.gate = threading.Semaphore(0)

    def __call__(self, n: int) -> int:
        self.begun.append(n)
        self.threads.add(threading.get_ident())
        assert self.gate.acquire(timeout=30)
        return n * n

    def wait_for(self, count: int) -> None:
        deadline = time.monotonic() + 30
        while len(self.begun) < count and time.monotonic() < deadline:
            time.sleep(0.001)


def prefetching() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name.startswith("prefetch")]


@pytest.mark.parametrize("depth", [0, 1, 2, 5])
def test_results_come_in_order_from_the_start_that_was_asked_for(depth):
    with Prefetch(lambda n: n * n, 7, depth=depth) as squares:
        assert list(islice(squares, 100)) == [n * n for n in range(7, 107)]


def test_it_works_ahead_in_one_other_thread_and_no_further_than_the_depth():
    make = Maker()
    make.gate.release(1000)
    with Prefetch(make, 1, depth=2) as squares:
        make.wait_for(2)
        time.sleep(0.05)
        assert make.begun == [1, 2]
        assert next(squares) == 1
        make.wait_for(3)
        time.sleep(0.05)
        assert make.begun == [1, 2, 3]
    assert len(make.threads) == 1 and threading.get_ident() not in make.threads


def test_an_exception_comes_in_its_place():
    def make(n: int) -> int:
        if n == 3:
            raise OSError("no disk")
        return n

    with Prefetch(make, 1) as numbers:
        assert [next(numbers), next(numbers)] == [1, 2]
        with pytest.raises(OSError, match="no disk"):
            next(numbers)
        assert next(numbers) == 4


def test_closing_ends_the_thread_and_computes_no_more():
    make = Maker()
    squares = Prefetch(make, 1, depth=5)
    make.wait_for(1)
    threading.Timer(0.3, make.gate.release, (1000,)).start()  # 1 is running: it may finish
    squares.close()
    assert make.begun == [1]
    assert prefetching() == []
    squares.close()
    with pytest.raises(RuntimeError):
        next(squares)


def test_an_error_of_the_consumer_closes_it_too():
    with pytest.raises(KeyError), Prefetch(abs, 1) as numbers:
        next(numbers)
        raise KeyError
    assert prefetching() == []


def test_delivered_results_are_not_kept():
    class Batch:
        pass

    with Prefetch(lambda n: Batch(), 1) as batches:
        gone = [weakref.ref(next(batches)) for _ in range(5)]
        gc.collect()
        assert [batch() for batch in gone] == [None] * 5


def test_a_program_that_forgets_to_close_it_ends_all_the_same():
    code = (
        "from ddpm_mindspore.accelerated.data.prefetch import Prefetch\n"
        "print(next(Prefetch(abs, 3)))"
    )
    run = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True
    )
    assert run.stdout.strip() == "3"
