"""What a parity run found, as data, as a table for a terminal and as JSON."""

from __future__ import annotations

import json
import math
import platform
import shlex
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from importlib import metadata
from itertools import groupby
from pathlib import Path

from ...accelerated.commands.exit_codes import DONE, FAILED, REFUSED

PASS, FAIL, SKIP = "pass", "FAIL", "skip"
PACKAGES = ("ddpm-mindspore", "mindspore", "numpy", "scipy", "autograd", "hypothesis", "pytest")


@dataclass(frozen=True)
class Outcome:
    """What one property came to.

    Attributes:
        nodeid: pytest's name of it, as in ``junit.xml``.
        topic: the file whose formulas it is about: ``process`` for ``test_process.py``.
        name: its name without ``test_``.
        formula: first line of its docstring.
        status: PASS, FAIL or SKIP.
        seconds: set-up, call and clean-up.
        cases: examples that were compared, 0 when it measures no error.
        worst_share: largest error as a share of its bound, None when it measures none.
        worst_example: the example that made it.
        message: why it failed, or was skipped.
        reproduce: one line of Python that computes the worst example again, or "".
        sources: installed files that hold the formula, with the line where it is known, and the
            property itself.
        failed_at: the number, from 1, of the first example that failed, None for none.
        earlier_share: the worst share in the run that is compared with, None for none.
    """

    nodeid: str
    topic: str
    name: str
    formula: str = ""
    status: str = PASS
    seconds: float = 0.0
    cases: int = 0
    worst_share: float | None = None
    worst_example: str = ""
    message: str = ""
    reproduce: str = ""
    sources: tuple[str, ...] = ()
    failed_at: int | None = None
    earlier_share: float | None = None


@dataclass(frozen=True)
class Report:
    """One run: its outcomes in the order of the run, and what it ran with and on.

    Attributes:
        outcomes: one for each property.
        device: what the accelerated side ran on.
        seed: of the examples.
        examples: cases for each property as asked for, None for the default.
        only: the pattern that chose the properties, or None.
        started: local time, ISO 8601 with its offset.
        seconds: of the whole run.
        environment: names and versions, see `environment`.
        suite: digest of the properties, see `digest.suite_digest`.
        compare: the file of an earlier report, or None.
        compared_with: the earlier report whose shares the outcomes have, or None.
        interrupted: the run was stopped before its end.
    """

    outcomes: tuple[Outcome, ...]
    device: str
    seed: int
    examples: int | None
    only: str | None
    started: str
    seconds: float
    environment: dict[str, str]
    suite: str = ""
    compare: str | None = None
    compared_with: str | None = None
    interrupted: bool = False

    def with_status(self, status: str) -> tuple[Outcome, ...]:
        """The outcomes that have this status."""
        return tuple(o for o in self.outcomes if o.status == status)

    @property
    def verdict(self) -> str:
        """ "pass", "fail" or "incomplete" in one sentence."""
        failed, passed = len(self.with_status(FAIL)), len(self.with_status(PASS))
        skipped = len(self.with_status(SKIP))
        tail = f" ({skipped} skipped)" if skipped else ""
        if failed:
            count = f"{failed} of {counted(failed + passed)}"
            return f"{count} {'fails' if failed == 1 else 'fail'} on {self.device}{tail}"
        if self.interrupted:
            return f"interrupted: {counted(passed)} held on {self.device} until then{tail}"
        if not passed:
            return f"nothing was checked on {self.device}{tail}"
        return f"{counted(passed)} {'holds' if passed == 1 else 'hold'} on {self.device}{tail}"

    @property
    def exit_code(self) -> int:
        """1 when a property failed, 2 when none did but the run proves nothing, else 0."""
        if self.with_status(FAIL):
            return FAILED
        return REFUSED if self.interrupted or not self.with_status(PASS) else DONE

    def command(self, outcome: Outcome | None = None) -> str:
        """The command line that repeats this run, or one property of it."""
        only = bare(outcome.name) if outcome else self.only
        parts = [f"ddpm-mindspore parity --device {self.device} --seed {self.seed}"]
        parts += [f"--examples {self.examples}"] if self.examples else []
        parts += [f"--compare {shlex.quote(self.compare)}"] if self.compare else []
        parts += [f"--only {shlex.quote(only)}"] if only else []
        return " ".join(parts)


def counted(n: int) -> str:
    """``1 property``, ``2 properties``."""
    return f"{n} property" if n == 1 else f"{n} properties"


def bare(name: str) -> str:
    """A property's name without the parameters that pytest appends."""
    return name.partition("[")[0]


def duration_text(seconds: float) -> str:
    """``12.3 s``, ``2 min 05 s``."""
    if seconds < 59.95:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02d} s"


def share_text(share: float | None) -> str:
    """An error as a share of its bound, in at most eight characters."""
    if share is None:
        return "-"
    if share == 0 or 1e-3 <= share < 1e4:
        return f"{share:.3g}"
    return f"{share:.1e}" if math.isfinite(share) else str(share)


def environment() -> dict[str, str]:
    """Python, platform, CPU model and the versions of the packages that matter."""
    found = {"python": platform.python_version(), "platform": platform.platform()}
    found["cpu"] = _cpu_model() or platform.processor() or platform.machine()
    for package in PACKAGES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            found[package] = "not installed"
    return found


def _cpu_model() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return ""
    models = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(models, "")


def to_json(report: Report) -> str:
    """Everything as JSON; a share that is no finite number is the string "inf" or "nan"."""
    data = asdict(report)
    for row in data["outcomes"]:
        for name in ("worst_share", "earlier_share"):
            if row[name] is not None and not math.isfinite(row[name]):
                row[name] = str(row[name])
    data = {"verdict": report.verdict, "exit_code": report.exit_code, **data}
    return json.dumps(data, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def to_table(outcomes: Iterable[Outcome], width: int, compared: bool = False) -> str:
    """The outcomes as lines of at most ``width`` characters, grouped by topic.

    ``compared``: with a column for the shares of an earlier run.
    """
    rows = list(outcomes)
    longest = max((len(o.name) for o in rows), default=0)
    name_width = max(20, min(longest, width - 36 - 9 * compared, max(width // 2, 44)))
    before = f" {'before':>8}" if compared else ""
    head = f"      {'property':{name_width}}  {'cases':>6} {'worst/bound':>11}{before}"
    lines = [_cut(f"{head} {'seconds':>7}  example", width)]
    for topic, group in groupby(rows, key=lambda o: o.topic):
        lines += [topic, *(_cut(_row(o, name_width, compared), width) for o in group)]
    return "\n".join(lines)


def _row(o: Outcome, name_width: int, compared: bool) -> str:
    share, cases = share_text(o.worst_share), str(o.cases or "-")
    before = f" {share_text(o.earlier_share):>8}" if compared else ""
    said = o.message if o.status == SKIP else o.worst_example
    return (
        f"{o.status:4}  {_cut(o.name, name_width):{name_width}}  {cases:>6} {share:>11}{before} "
        f"{o.seconds:>7.1f}  {said}"
    )


def _cut(text: str, width: int) -> str:
    text = " ".join(text.split("\n")).rstrip()
    return text if len(text) <= width else text[: width - 1] + "…"


def failures_text(report: Report) -> str:
    """What a reader needs to find the cause of each failure, the likeliest first."""
    failed = report.with_status(FAIL)
    hint = ["In the order of dependence: what fails first is nearest to the cause."]
    blocks = [failure_text(outcome, report) for outcome in failed]
    return "\n\n".join((hint if len(failed) > 1 else []) + blocks)


def failure_text(outcome: Outcome, report: Report) -> str:
    """The same of one failure."""
    lines = [f"FAIL  {outcome.topic}: {outcome.name}"]
    lines += [f"  formula:    {outcome.formula}"] if outcome.formula else []
    message = outcome.message.splitlines() or ["(no message)"]
    lines += [f"  message:    {message[0]}", *(f"              {line}" for line in message[1:])]
    lines += [f"  in Python:  {outcome.reproduce}"] if outcome.reproduce else []
    lines += [f"  run again:  {report.command(outcome)}"]
    lines += [f"  look at:    {source}" for source in outcome.sources]
    return "\n".join(lines)
