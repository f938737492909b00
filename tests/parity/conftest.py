"""Say at the end which property caught each planted bug."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from .planting import Bug

_caught: list[tuple[str, str, float]] = []


@pytest.fixture
def caught() -> Callable[[Bug, float], None]:
    """Note down that a bug was caught, and by how much it went beyond the bound."""
    return lambda bug, share: _caught.append((bug.name, bug.caught_by, share))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if not _caught:
        return
    terminalreporter.section(f"{len(_caught)} planted bugs were caught")
    widths = [max(len(row[i]) for row in _caught) for i in (0, 1)]
    for name, by, share in _caught:
        times = "no number" if share == float("inf") else f"{share:.2g} times its bound"
        terminalreporter.write_line(f"{name:<{widths[0]}}  {by:<{widths[1]}}  {times}")
