"""Results computed ahead of time, beside the work that consumes them."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import Generic, TypeVar

Item = TypeVar("Item")


class Prefetch(Generic[Item]):
    """Iterate over make(start), make(start + 1), ... without end, computed in one other thread.

    At most ``depth`` results are ahead of the one that was delivered last, so memory is bounded.
    As one thread computes them in order, ``make`` need not be thread-safe. An exception of
    ``make(n)`` is raised where its result would have been delivered; the iteration can go on
    behind it.

        with Prefetch(make, 1) as batches:
            first = next(batches)

    Args:
        make: computes result number n.
        start: the first n.
        depth: results to compute ahead; 0 computes each when it is asked for.
    """

    def __init__(self, make: Callable[[int], Item], start: int, *, depth: int = 2) -> None:
        self._make, self._n = make, start
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="prefetch")
        self._ahead: deque[Future[Item]] = deque()
        for _ in range(depth):
            self._submit()

    def _submit(self) -> None:
        self._ahead.append(self._pool.submit(self._make, self._n))
        self._n += 1

    def __iter__(self) -> Iterator[Item]:
        return self

    def __next__(self) -> Item:
        """Return the next result, waiting for it if need be.

        Raises:
            RuntimeError: closed already.
            Exception: what ``make`` raised.
        """
        self._submit()
        return self._ahead.popleft().result()

    def close(self) -> None:
        """Forget what is ahead, and end the thread; waits for the one ``make`` that is running."""
        self._pool.shutdown(cancel_futures=True)

    def __enter__(self) -> Prefetch[Item]:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
