"""Rows of results: medians, spread, ratios of pairs, goals; as JSON and as a table."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

UNITS = {
    "s": ((1.0, "s"), (1e-3, "ms"), (1e-6, "us")),
    "bytes": ((2**30, "GiB"), (2**20, "MiB")),
    "share": ((0.01, "%"),),
    "": ((1.0, ""),),
}

HEAD = ("workload", "ours", "PyTorch", "ours / PyTorch", "goal", "")


@dataclass(frozen=True)
class Row:
    """One quantity, measured on one side or on both.

    Attributes:
        workload: its letter.
        what: what was measured.
        ours, peer: one number a round; without a peer the goal is for ours, else for the ratio.
        unit: a key of UNITS.
        limit: the goal: at most this much. None where there is none.
        note: what has to be known about it.
        failed: why there are no numbers.
        details: more numbers, for the JSON file.
    """

    workload: str
    what: str
    ours: Sequence[float] = ()
    peer: Sequence[float] = ()
    unit: str = "s"
    limit: float | None = None
    note: str = ""
    failed: str = ""
    details: dict[str, Any] = field(default_factory=dict)

    def judged(self) -> list[float]:
        """What the goal is about: the ratio of each pair, or ours where there is no peer."""
        return ratios(self.ours, self.peer) if self.peer else list(self.ours)

    def passed(self) -> bool | None:
        """Whether the median reaches the goal; None where there is no goal or no number."""
        judged = self.judged()
        if self.limit is None or not judged:
            return None
        return statistics.median(judged) <= self.limit

    def as_json(self) -> dict[str, Any]:
        """Everything about it."""
        result: dict[str, Any] = {"workload": self.workload, "what": self.what, "unit": self.unit}
        values = {"ours": self.ours, "peer": self.peer, "ratio": ratios(self.ours, self.peer)}
        result.update({name: summary(v) for name, v in values.items() if v})
        result.update(limit=self.limit, passed=self.passed())
        texts = {"note": self.note, "failed": self.failed, "details": self.details}
        return result | {name: value for name, value in texts.items() if value}


def ratios(ours: Sequence[float], peer: Sequence[float]) -> list[float]:
    """Ours / theirs, round by round."""
    return [a / b for a, b in zip(ours, peer, strict=False)]


def quartiles(values: Sequence[float]) -> tuple[float, float, float]:
    """First quartile, median and third quartile, of what is between two values its share."""
    if len(values) == 1:
        return values[0], values[0], values[0]
    low, middle, high = statistics.quantiles(values, n=4, method="inclusive")
    return low, middle, high


def summary(values: Sequence[float]) -> dict[str, Any]:
    """Median, quartiles, and the values themselves."""
    low, middle, high = quartiles(values)
    return {"median": middle, "low": low, "high": high, "values": list(values)}


def slope(x: Sequence[float], y: Sequence[float]) -> float:
    """The exponent a of the least-squares fit y ~ x^a (a straight line between logarithms)."""
    return statistics.linear_regression(list(map(math.log, x)), list(map(math.log, y))).slope


def show(values: Sequence[float], unit: str) -> str:
    """A median with its quartiles, in a unit that suits it: ``812 ms (805 to 830)``."""
    low, middle, high = quartiles(values)
    size, name = next((u for u in UNITS[unit] if abs(middle) >= u[0]), UNITS[unit][-1])
    texts = [_number(value / size) for value in (low, middle, high)]
    median = f"{texts[1]} {name}".strip()
    return median if len(values) == 1 else f"{median} ({texts[0]} to {texts[2]})"


def table(rows: Iterable[Row]) -> str:
    """All rows as a Markdown table; what is to be known of them is below it."""
    lines = ["| " + " | ".join(HEAD) + " |", "|" + "---|" * len(HEAD)]
    notes: dict[str, int] = {}  # each is said once, however many rows it is about
    for row in rows:
        mark = f" [{notes.setdefault(row.note, len(notes) + 1)}]" if row.note else ""
        lines.append("| " + " | ".join((f"{row.workload}. {row.what}{mark}", *_cells(row))) + " |")
    return "\n".join([*lines, "", *(f"[{i}] {note}  " for note, i in notes.items())]).strip()


def _cells(row: Row) -> tuple[str, ...]:
    goal = "" if row.limit is None else f"at most {_goal(row)}"
    if not row.ours:
        return "not measured", "", "", goal, row.failed.replace("|", "/")[:200]
    verdict = {True: "pass", False: "**miss**", None: ""}[row.passed()]
    peer = show(row.peer, row.unit) if row.peer else ""
    ratio = show(ratios(row.ours, row.peer), "") if row.peer else ""
    return show(row.ours, row.unit), peer, ratio, goal, verdict


def _goal(row: Row) -> str:
    assert row.limit is not None
    return show([row.limit], "" if row.peer or row.unit == "bytes" else row.unit)


def _number(value: float) -> str:
    """Three digits that count."""
    digits = max(0, 3 - len(str(int(abs(value))))) if abs(value) >= 1 else 2
    return f"{value:,.{digits}f}"
