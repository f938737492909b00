"""Compare two results, remember how close each comparison came to its bound, say what failed.

A property is a function of plain numbers, strings and tuples (its arrays come from a seed), marked
with ``reproducible``: any example that it was given can be written as one line of Python.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import wraps
from typing import Any, ParamSpec, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

P = ParamSpec("P")
Array: TypeAlias = NDArray[Any]


@dataclass
class Record:
    """What one property measured.

    Attributes:
        cases: number of comparisons.
        worst_share: the largest error as a share of its bound; more than 1 is a failure.
        worst_example: what was compared then, and the arguments of the property.
        reproduce: a line of Python that compares it again.
        examples: number of examples, each of one or more comparisons.
        failed_at: the number, from 1, of the first example that failed.
    """

    cases: int = 0
    worst_share: float = 0.0
    worst_example: str = ""
    reproduce: str = ""
    examples: int = 0
    failed_at: int | None = None


@dataclass
class Ledger:
    """The records of a run, by pytest's node id ("" for calls outside of pytest)."""

    records: dict[str, Record] = field(default_factory=dict)
    _nodeid: str = ""
    _example: str = ""
    _line: str = ""

    def start(self, nodeid: str) -> None:
        """What follows belongs to this property, from nothing."""
        self._nodeid = nodeid
        self.records[nodeid] = Record()

    def enter(self, example: str, line: str) -> None:
        """What follows compares this example, which ``line`` reproduces."""
        self._example, self._line = example, line
        self._record.examples += 1

    def fail(self) -> None:
        """The example that is compared has failed."""
        if self._record.failed_at is None:
            self._record.failed_at = self._record.examples

    @property
    def _record(self) -> Record:
        return self.records.setdefault(self._nodeid, Record())

    def note(self, name: str, share: float) -> str:
        """Record one comparison; return the line that reproduces it.

        Hypothesis tries the smallest failing example last, so the last failure is kept.
        """
        record = self._record
        record.cases += 1
        better = share > record.worst_share and record.worst_share <= 1.0
        if better or share > 1.0 or not record.worst_example:
            record.worst_share = share
            record.worst_example = f"{name}: {self._example}"
            record.reproduce = self._line
        return self._line


LEDGER = Ledger()


def reproducible(function: Callable[P, None]) -> Callable[P, None]:
    """Mark a property: its keyword arguments are plain literals, and name the example it compares.

    An error other than a failed comparison (an operator that the device lacks, say) is recorded as
    a failure of infinite size, so that it too has its line.
    """
    module = function.__module__.rpartition(".")[2]

    @wraps(function)
    def compare(*args: P.args, **kwargs: P.kwargs) -> None:
        example = ", ".join(f"{name}={value!r}" for name, value in kwargs.items())
        name = function.__name__
        line = f"from ddpm_mindspore.parity.{module} import {name}; {name}({example})"
        LEDGER.enter(example, line)
        try:
            function(*args, **kwargs)
        except AssertionError:
            LEDGER.fail()
            raise
        except Exception as error:
            LEDGER.note(type(error).__name__, float("inf"))
            LEDGER.fail()
            raise

    return compare


def check(name: str, actual: Any, expected: ArrayLike, bound: ArrayLike, **inputs: Any) -> None:
    """Raise AssertionError unless |actual - expected| <= bound everywhere; record it either way.

    Args:
        name: what is compared, with its formula.
        actual: from the device, of the shape of ``expected``.
        expected: float64, the truth.
        bound: the error allowed, of a shape that broadcasts to that of ``expected``.
        inputs: what the message shows in compact form beside the worst element.
    """
    __tracebackhide__ = True
    actual, expected = np.asarray(actual), np.asarray(expected)
    if actual.shape != expected.shape:
        line = LEDGER.note(name, float("inf"))
        raise AssertionError(
            f"{name}: the device returns shape {actual.shape}, the reference {expected.shape}\n"
            f"{_describe(inputs)}\nreproduce: {line}"
        )
    if not actual.size:
        return
    error = np.abs(actual.astype(np.float64) - expected)
    shares = _shares(error, np.broadcast_to(np.asarray(bound, np.float64), error.shape))
    worst = np.unravel_index(np.argmax(shares), shares.shape)
    share = float(shares[worst])
    line = LEDGER.note(name, share)
    if share > 1.0:
        allowed = np.broadcast_to(np.asarray(bound), error.shape)[worst]
        raise AssertionError(
            f"{name}\n"
            f"at {_index(worst)} the device has {actual[worst]:.9g}, the reference "
            f"{expected[worst]:.9g}\n"
            f"error {error[worst]:.3g} is {share:.3g} times its bound {allowed:.3g}; "
            f"{int(np.sum(shares > 1.0))} of {shares.size} values are beyond theirs\n"
            f"{_describe(inputs)}\nreproduce: {line}"
        )


def _shares(error: Array, bound: Array) -> Array:
    """error / bound; 0 where both are 0; infinite where the error is no number."""
    with np.errstate(divide="ignore", invalid="ignore"):
        shares = np.where(error == 0.0, 0.0, error / bound)
    return np.where(np.isnan(shares), np.inf, shares)


def _index(position: tuple[Any, ...]) -> str:
    return f"[{', '.join(str(int(i)) for i in position)}]"


def _describe(inputs: dict[str, Any]) -> str:
    return "with " + "; ".join(f"{name} {_compact(value)}" for name, value in inputs.items())


def _compact(value: Any) -> str:
    array = np.asarray(value)
    if array.ndim == 0 or array.size <= 8:
        return str(value).replace("\n", "")
    return f"{array.shape} in [{array.min():.3g}, {array.max():.3g}]"
