"""A pytest plug-in that turns the run of a suite into outcomes."""

from __future__ import annotations

import re
from collections.abc import Generator
from itertools import islice
from pathlib import Path
from traceback import extract_tb

import pytest

from ..judgement.compare import Record
from ..judgement.explain import Finding, explain
from .earlier import Earlier
from .outcomes import FAIL, PASS, SKIP, Outcome, bare
from .progress import Progress

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
        "likelihood",
        "samplers",
        "guidance",
        "tasks",
        "optimizer",
        "ema",
        "accumulation",
    ),
    *("training", "randomness", "train_batches", "diffusion", "trainer", "commands"),
)
MESSAGE_LINES = 12


class Collector:
    """The pytest plug-in.

    Args:
        records: what the properties measured, by node id.
        library: the folder that holds ``accelerated`` and ``reference``.
        progress: where to say how far the run is.
        earlier: a run to compare errors with.

    Attributes:
        outcomes: what is known so far, in the order of the run.
        broken: (file, message) of each file that could not be read.
        total: properties that were chosen.
    """

    def __init__(
        self,
        records: dict[str, Record],
        library: Path,
        progress: Progress,
        earlier: Earlier | None = None,
    ) -> None:
        self.earlier = earlier
        self.records, self.library, self.progress = records, library, progress
        self.outcomes: list[Outcome] = []
        self.broken: list[tuple[str, str]] = []
        self.total = 0
        self._clear()

    def _clear(self) -> None:
        self._status, self._message, self._example, self._seconds = PASS, "", "", 0.0
        self._finding: Finding | None = None

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        items.sort(key=lambda item: _rung(item.path.stem))

    @pytest.hookimpl(wrapper=True)
    def pytest_make_collect_report(
        self, collector: pytest.Collector
    ) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
        report = yield
        if report.failed:
            lines = str(report.longrepr).strip().splitlines() or [""]
            self.broken.append((collector.name, lines[-1].removeprefix("E").strip()))
        return report

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        self.total = len(session.items)
        if self.total and not self.broken:
            self.progress.start(self.total)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Generator[None, object, object]:
        topic, name = _topic(item.path.stem), item.name.removeprefix("test_")
        self._clear()
        self.progress.begin(f"{topic}: {name}")
        result = yield
        outcome = self._outcome(item, topic, name)
        self.outcomes.append(outcome)
        self.progress.end(outcome)
        return result

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        report = yield
        self._seconds += call.duration
        if report.passed and report.when == "call" and (grown := self._growth(item.nodeid)):
            report.outcome, report.longrepr = "failed", grown
            self._status, self._message = FAIL, grown
        if report.failed and call.excinfo is not None:
            error = _leaf(call.excinfo.value)
            self._status, self._message = FAIL, message_of(error, self.library)
            self._example, self._finding = example_of(error), explain(error)
        elif report.skipped and call.excinfo is not None and self._status == PASS:
            self._status, self._message = SKIP, str(call.excinfo.value)
        return report

    def _growth(self, nodeid: str) -> str:
        """That an error has grown since the earlier run, "" if it has not."""
        record = self.records.get(nodeid)
        if self.earlier is None or record is None or not record.cases:
            return ""
        if not self.earlier.has_grown(nodeid, record.worst_share):
            return ""
        return self.earlier.growth_text(nodeid, record.worst_share)

    def _outcome(self, item: pytest.Item, topic: str, name: str) -> Outcome:
        record = self.records.get(item.nodeid)
        record = record if record and record.cases else None
        reproduce = record.reproduce if record else ""
        example = "" if reproduce else self._example
        doc = getattr(getattr(item, "function", None), "__doc__", None) or ""
        return Outcome(
            nodeid=item.nodeid,
            topic=topic,
            name=name,
            formula=next(iter(doc.strip().splitlines()), ""),
            status=self._status,
            seconds=round(self._seconds, 3),
            cases=record.cases if record else 0,
            worst_share=float(record.worst_share) if record else None,
            worst_example=record.worst_example if record else "",
            failed_at=record.failed_at if record else None,
            earlier_share=self.earlier.shares.get(item.nodeid) if self.earlier else None,
            message="\n".join(filter(None, (self._message, example, text_of(self._finding)))),
            reproduce=reproduce,
            sources=(
                *sources_of(self._finding),
                *sources(topic, name, self.library),
                f"{item.path}:{_line(item)}",
            ),
        )


def text_of(finding: Finding | None) -> str:
    """What was found to be the first part that is wrong, for a message."""
    return finding.text() if finding else ""


def sources_of(finding: Finding | None) -> tuple[str, ...]:
    """Where it is."""
    return (finding.source,) if finding and finding.source else ()


def sources(topic: str, name: str, root: Path) -> tuple[str, ...]:
    """The files of both sides that a property is about, by the rule that they share its names.

    ``unet_gradients`` finds ``unet.py`` when there is no ``unet_gradients.py``; a function with the
    property's name adds its line, as in ``process.py:68``.

    Args:
        topic: name of a parity file without ``test_`` and ``.py``.
        name: of a property in it, without ``test_``.
        root: the folder that holds ``accelerated`` and ``reference``.
    """
    words = topic.split("_")
    found: list[str] = []
    for side in ("accelerated", "reference"):
        stems = ("_".join(words[:n]) for n in range(len(words), 0, -1))
        places = [root / side, root / side / "networks"]
        paths = (p / end for s in stems for p in places for end in (f"{s}.py", s))
        found += [_at(p, name) for p in paths if p.exists()][:1]
    return tuple(found)


def _at(path: Path, name: str) -> str:
    definition = re.compile(rf" *def {re.escape(bare(name))}\(")
    lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
    numbers = (n for n, line in enumerate(lines, 1) if definition.match(line))
    return ":".join([str(path), *(str(n) for n in islice(numbers, 1))])


def _line(item: pytest.Item) -> int:
    return (item.location[1] or 0) + 1  # pytest counts from 0


def _topic(stem: str) -> str:
    return stem.removeprefix("test_")


def _rung(stem: str) -> int:
    topic = _topic(stem)
    names = (name for name in (topic, topic.partition("_")[0]) if name in LADDER)
    return next((LADDER.index(name) for name in names), len(LADDER))


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
