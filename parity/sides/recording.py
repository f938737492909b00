"""Which streams were drawn from, and how far: every Philox generator is watched."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any, NamedTuple
from unittest import mock

import numpy as np

from ..sides.random_table import Stream

PHILOX: Any = np.random.Philox


class Use(NamedTuple):
    """One draw: the stream, and its blocks from ``first`` on, as many as it took."""

    stream: Stream
    first: int
    blocks: int


class Recorder:
    """Within ``watching``, notes down every draw; ``uses()`` are those so far."""

    def __init__(self) -> None:
        self._done: list[Use] = []
        self._open: list[tuple[Any, Stream, int]] = []

    @contextlib.contextmanager
    def watching(self) -> Iterator[None]:
        recorder = self

        class Watched(PHILOX):
            """Philox, whose counter is looked at whenever it is set to another place."""

            def __init__(self, *args: Any, **options: Any) -> None:
                super().__init__(*args, **options)
                recorder._begin(self)

            @property
            def state(self) -> Any:
                return super().state

            @state.setter
            def state(self, value: Any) -> None:
                recorder._end(self)
                PHILOX.state.__set__(self, value)
                recorder._begin(self)

        with mock.patch.object(np.random, "Philox", Watched):
            yield

    def uses(self) -> list[Use]:
        """All draws; a generator that was made and not used is none."""
        for generator, _, _ in [*self._open]:
            self._end(generator)
        return [use for use in self._done if use.blocks]

    def _begin(self, generator: Any) -> None:
        stream, first = _place(generator)
        self._open.append((generator, stream, first))

    def _end(self, generator: Any) -> None:
        for entry in [e for e in self._open if e[0] is generator]:
            self._open.remove(entry)
            _, stream, first = entry
            self._done.append(Use(stream, first, _place(generator)[1] - first))


def _place(generator: Any) -> tuple[Stream, int]:
    inner = PHILOX.state.__get__(generator)["state"]
    seed, word = map(int, inner["key"])
    block, index, step, layer = map(int, inner["counter"])
    return Stream(seed, word, index, step, layer), block


def overlaps(uses: list[Use]) -> list[Use]:
    """Draws of which a block had been drawn before."""
    ends: dict[Stream, int] = {}
    found = []
    for use in sorted(uses):
        if use.first < ends.get(use.stream, 0):
            found.append(use)
        ends[use.stream] = max(ends.get(use.stream, 0), use.first + use.blocks)
    return found
