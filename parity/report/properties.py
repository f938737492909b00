"""A pytest plug-in for each process that runs properties: their order, and what they measured.

What a property measured travels with pytest's own report of it, as plain values: the process that
shows and writes it may be another one (``collect``).
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import asdict, dataclass
from pathlib import Path
from traceback import extract_tb
from typing import Any

import pytest

from ..judgement.compare import LEDGER
from ..judgement.explain import Finding, explain

# From what is computed first to what is built of it: with one broken formula several properties
# fail, and the first of them in this order is the nearest to the cause.
LADDER = (
    *(
        "levels",
        "process",
        "objective",
        "bound",
        "library",
        "effective",
        "exact",
        "alone",
        "layers",
    ),
    *(
        "unet",
        "networks",
        "text",
        "captions",
        "efficientnet",
        "inception",
        "likelihood",
        "samplers",
        "guidance",
        "tasks",
        "optimizer",
        "ema",
        "accumulation",
    ),
    *("gradients", "precision", "training", "distributed", "randomness", "train_batches"),
    *("diffusion", "trainer", "commands", "operators"),
)
LIBRARY = Path(__file__).parents[2]
MESSAGE_LINES = 12
NAME = "measured"


@dataclass(frozen=True)
class Measured:
    """What goes with pytest's report of a property.

    Attributes:
        formula: first line of its docstring.
        record: the fields of its `compare.Record`; empty when nothing was compared.
        message: why it failed, or was skipped.
        example: the smallest failing one, for lack of a line that reproduces it.
        source: where the first part that is wrong is.
    """

    formula: str = ""
    record: dict[str, Any] | None = None
    message: str = ""
    example: str = ""
    source: str = ""

    @classmethod
    def of(cls, report: pytest.TestReport) -> Measured:
        """What travelled with a report; nothing with that of a process that has died."""
        return cls(**getattr(report, NAME, {}))


def rung(topic: str) -> int:
    """Where a topic stands on the ladder; those that it does not name come last."""
    names = (name for name in (topic, topic.partition("_")[0]) if name in LADDER)
    return next((LADDER.index(name) for name in names), len(LADDER))


def topic_of(path: Path) -> str:
    """``process`` for ``test_process.py``."""
    return path.stem.removeprefix("test_")


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Up the ladder; down where several processes share it, so that the longest come first."""
    together = hasattr(config, "workerinput")
    items.sort(key=lambda item: rung(topic_of(item.path)), reverse=together)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Put what the property measured beside pytest's report."""
    report = yield
    record = LEDGER.records.get(item.nodeid)
    doc = getattr(getattr(item, "function", None), "__doc__", None) or ""
    message = example = ""
    finding: Finding | None = None
    if report.failed and call.excinfo is not None:
        error = _leaf(call.excinfo.value)
        finding = explain(error)
        lines = (message_of(error, LIBRARY), finding.text() if finding else "")
        message, example = "\n".join(filter(None, lines)), example_of(error)
    elif report.skipped and call.excinfo is not None:
        message = str(call.excinfo.value)
    measured = Measured(
        formula=next(iter(doc.strip().splitlines()), ""),
        record=asdict(record) if record and record.cases else None,
        message=message,
        example=example,
        source=(finding.source or "") if finding else "",
    )
    setattr(report, NAME, asdict(measured))
    return report


def _leaf(error: BaseException) -> BaseException:
    while isinstance(inner := getattr(error, "exceptions", None), tuple):  # an ExceptionGroup
        error = inner[0]
    return error


def message_of(error: BaseException, library: Path) -> str:
    """What an error says, in a few lines; where it was raised, unless it is a comparison's."""
    comparison = isinstance(error, AssertionError)
    said = str(error) if comparison else f"{type(error).__name__}: {error}"
    # A failed comparison ends with the line that reproduces it, which is shown on its own.
    lines = [s for s in said.splitlines() if s.strip() and not s.startswith("reproduce: ")]
    lines = lines[:MESSAGE_LINES] + (["..."] if len(lines) > MESSAGE_LINES else [])
    frames = [
        f for f in extract_tb(error.__traceback__) if Path(f.filename).is_relative_to(library)
    ]
    if frames and not comparison:
        lines.append(f"raised in {frames[-1].name}, {frames[-1].filename}:{frames[-1].lineno}")
    return "\n".join(lines)


def example_of(error: BaseException) -> str:
    """The smallest failing example as Hypothesis writes it, for lack of a line that reproduces."""
    notes = (str(note) for note in getattr(error, "__notes__", ()))
    return next((note for note in notes if note.startswith(("Falsifying", "Failing"))), "")
