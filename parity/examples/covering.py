"""Few examples for many options: every two values of any two options meet in one of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations, product
from typing import Any, TypeAlias

Value: TypeAlias = tuple[str, int]
"""An option, and the number of one of its values."""

Pair: TypeAlias = frozenset[Value]


def covering(options: Mapping[str, Sequence[Any]]) -> list[dict[str, Any]]:
    """Rows with a value for each option: a covering array of strength two.

    Most faults of a configurable system are of one option, or of two together (Kuhn et al. 2004,
    doi 10.1109/TSE.2004.24). A row begins with a missing pair of what occurs in the fewest of them;
    then it takes, again and again, the value that completes the most (of several, the one that
    occurs in most). The result is a function of ``options`` alone.
    """
    values = {name: range(len(choices)) for name, choices in options.items()}
    missing = dict.fromkeys(_pairs(values))
    rows = []
    while missing:
        row = _row(values, missing)
        for pair in _pairs({name: (i,) for name, i in row.items()}):
            missing.pop(pair, None)
        rows.append({name: choices[row[name]] for name, choices in options.items()})
    return rows


def _pairs(values: Mapping[str, Sequence[int]]) -> Iterator[Pair]:
    for a, b in combinations(values, 2):
        for i, j in product(values[a], values[b]):
            yield frozenset(((a, i), (b, j)))


def _row(values: Mapping[str, Sequence[int]], missing: Mapping[Pair, None]) -> dict[str, int]:
    occurs = Counter(value for pair in missing for value in pair)
    row = dict(sorted(min(missing, key=lambda pair: sum(occurs[value] for value in pair))))

    def gain(value: Value) -> tuple[int, int]:
        return sum(frozenset((value, other)) in missing for other in row.items()), occurs[value]

    while left := [(name, i) for name in values if name not in row for i in values[name]]:
        name, i = max(left, key=gain)
        row[name] = i
    return row
