"""What a planted bug is: a piece of the accelerated code, and what stands there instead."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

TESTS = "tests/"


@dataclass(frozen=True)
class Bug:
    """A bug, and who has to catch it.

    Attributes:
        name: what is wrong.
        where: the function that has it, as "networks.attention.Attention.construct", below
            ``accelerated``; or a whole file, as "randomness", or in C++ "kernels/winograd.cpp".
            What the host computes once for both sides is below ``reference``, as
            "reference.optimizer.learning_rate".
        old: a piece of that function's source, without its indentation, which occurs there once.
        new: what stands there instead.
        caught_by: the file and name of the property, as "layers: gelu"; or, for what no property
            runs, an ordinary test, as "tests/accelerated/test_ema.py::test_it_moves".
        example: what the property is given instead of its usual arguments where it is tried on one
            small example (``test_planted_bugs.py``). The command draws its own.
    """

    name: str
    where: str
    old: str
    new: str
    caught_by: str
    example: Mapping[str, Any] = field(default_factory=dict)

    @property
    def by_test(self) -> bool:
        """Whether an ordinary test has to catch it, and not the command."""
        return self.caught_by.startswith(TESTS)


def place_of(where: str, house: Path) -> tuple[Path, tuple[str, ...]]:
    """The file that ``where`` means, below the folder of the three parts, and what in it.

    Raises:
        AssertionError: there is no such file.
    """
    if "/" in where and (house / "accelerated" / where).is_file():
        return house / "accelerated" / where, ()
    parts = tuple(where.split("."))
    if parts[0] != "reference":
        parts = ("accelerated", *parts)
    for count in range(len(parts), 1, -1):
        path = house.joinpath(*parts[:count])
        for file in (path.with_suffix(".py"), path / "__init__.py"):
            if file.is_file():
                return file, parts[count:]
    raise AssertionError(f"no file of {house} is meant by {where!r}")


def changed(source: str, bug: Bug) -> str:
    """A dedented piece of source with the bug in it.

    Raises:
        AssertionError: ``old`` is not there once, because the code has changed since.
    """
    count = source.count(bug.old)
    assert count == 1, f"{bug.where} has {count} times {bug.old!r}: the bug {bug.name!r} is stale"
    return source.replace(bug.old, bug.new)
