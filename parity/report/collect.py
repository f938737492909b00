"""A pytest plug-in that turns the reports of a run into outcomes."""

from __future__ import annotations

import re
from collections.abc import Generator, Iterable
from itertools import islice
from pathlib import Path

import pytest

from .earlier import Earlier
from .outcomes import FAIL, PASS, SKIP, Outcome, bare
from .progress import Progress
from .properties import Measured, rung, topic_of


class Collector:
    """The plug-in of the process that is told what all of them found.

    Args:
        suite: the folder of the properties.
        library: the folder that holds ``accelerated`` and ``reference``.
        progress: where to say how far the run is.
        earlier: a run to compare errors with.

    Attributes:
        broken: (file, message) of each file that could not be read.
        total: properties that were chosen.
    """

    def __init__(
        self, suite: Path, library: Path, progress: Progress, earlier: Earlier | None = None
    ) -> None:
        self.suite, self.library = suite, library
        self.progress, self.earlier = progress, earlier
        self.broken: list[tuple[str, str]] = []
        self._places: dict[str, int] = {}
        self._reports: dict[str, list[pytest.TestReport]] = {}
        self._outcomes: list[Outcome] = []

    @property
    def total(self) -> int:
        return len(self._places)

    @property
    def outcomes(self) -> tuple[Outcome, ...]:
        """What is known so far, up the ladder, in whatever order it was found."""
        return tuple(sorted(self._outcomes, key=lambda o: (rung(o.topic), self._places[o.nodeid])))

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        file = report.nodeid
        if report.failed and file not in dict(self.broken):
            lines = str(report.longrepr).strip().splitlines() or [""]
            self.broken.append((file, lines[-1].removeprefix("E").strip()))

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        self._start(item.nodeid for item in session.items)

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_node_collection_finished(self, ids: list[str]) -> None:
        self._start(ids)

    def _start(self, chosen: Iterable[str]) -> None:
        if self._places:
            return  # another process has the same
        self._places = {nodeid: place for place, nodeid in enumerate(chosen)}
        if self.total and not self.broken:
            self.progress.start(self.total)

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        path, name = self._place(nodeid)
        self.progress.begin(f"{topic_of(path)}: {name}")

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_logreport(
        self, report: pytest.TestReport
    ) -> Generator[None, object, object]:
        nodeid = report.nodeid
        if report.when == "call" and report.passed and (grown := self._growth(report)):
            report.outcome, report.longrepr = "failed", grown
        result = yield
        self._reports.setdefault(nodeid, []).append(report)
        # A process that has died reports in one piece, with a ``when`` of its own.
        if report.when not in ("setup", "call"):
            outcome = self._outcome(nodeid, self._reports.pop(nodeid))
            self._outcomes.append(outcome)
            self.progress.end(outcome)
        return result

    def _growth(self, report: pytest.TestReport) -> str:
        """That an error has grown since the earlier run, "" if it has not."""
        record = Measured.of(report).record
        if self.earlier is None or record is None:
            return ""
        if not self.earlier.has_grown(report.nodeid, record["worst_share"]):
            return ""
        return self.earlier.growth_text(report.nodeid, record["worst_share"])

    def _outcome(self, nodeid: str, reports: list[pytest.TestReport]) -> Outcome:
        failed = next((r for r in reports if r.failed), None)
        skipped = next((r for r in reports if r.skipped), None)
        deciding = failed or skipped or reports[-1]
        status = FAIL if failed else SKIP if skipped else PASS
        measured = Measured.of(deciding)
        record = measured.record or {}
        message = measured.message
        if failed and not message:  # grown, or the process has died
            message = str(failed.longrepr)
        reproduce = record.get("reproduce", "")
        path, name = self._place(nodeid)
        line = (deciding.location[1] or 0) + 1  # pytest counts from 0
        found = (measured.source,) if measured.source else ()
        return Outcome(
            nodeid=nodeid,
            topic=topic_of(path),
            name=name,
            formula=measured.formula,
            status=status,
            seconds=round(sum(r.duration for r in reports), 3),
            cases=record.get("cases", 0),
            worst_share=float(record["worst_share"]) if record else None,
            worst_example=record.get("worst_example", ""),
            failed_at=record.get("failed_at"),
            earlier_share=self.earlier.shares.get(nodeid) if self.earlier else None,
            message="\n".join(filter(None, (message, "" if reproduce else measured.example))),
            reproduce=reproduce,
            sources=(*found, *sources(topic_of(path), name, self.library), f"{path}:{line}"),
        )

    def _place(self, nodeid: str) -> tuple[Path, str]:
        file, _, name = nodeid.partition("::")
        return self.suite / file, name.removeprefix("test_")


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
