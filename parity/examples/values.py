"""What examples are made of: plain literals.

Everything drawn is a plain number, string or tuple, so that an example can be written in one line;
arrays come from a seed. Shapes and lengths of schedules come from short lists, which hold the edge
cases and keep the number of compiled graphs small; seeds, times and scales roam freely.

What is drawn depends on chance, and the default is few: a value of a short list may come late or
never, and an error that shows with it alone would pass. So a property is given fixed examples
first, of each kind of what it is about, with values that hide nothing: several images at unequal
times, other weights at each, estimates beyond the clip; times beyond 2048, where float16 knows even
numbers only: there t or t - 1 is odd.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from hypothesis import example
from hypothesis import strategies as st

Case = dict[str, Any]


def first(cases: Iterable[Case]) -> Callable[[Any], Any]:
    """Give a property these cases first, in their order, whatever the number of examples."""

    def mark(test: Any) -> Any:
        for case in reversed(list(cases)):
            test = example(case=case)(test)
        return test

    return mark


def seeds() -> st.SearchStrategy[int]:
    return st.integers(0, 2**16)


def scales() -> st.SearchStrategy[float]:
    """From exactly nothing to far beyond any image."""
    return st.sampled_from((1.0, 0.0, 1e-30, 1e-3, 1e6))


def shapes() -> st.SearchStrategy[tuple[int, int, int]]:
    """(C, H, W)."""
    return st.sampled_from(((1, 1, 1), (1, 2, 2), (3, 4, 4), (2, 3, 5), (3, 8, 6)))
