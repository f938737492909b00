"""How many of the bugs that were planted on purpose the command has found: see ``score.json``."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

FILE = Path(__file__).with_name("score.json")


@dataclass(frozen=True)
class Catch:
    """What became of one planted bug.

    Attributes:
        by: the property ("layers: gelu") or the ordinary test that found it, "" for none.
        example: the number, from 1, of the property's first example that failed, if it counts them.
        seconds: from the start of the process to its end.
    """

    by: str
    example: int | None = None
    seconds: float = 0.0


@dataclass(frozen=True)
class Score:
    """The last time that all of them were planted, one at a time.

    Attributes:
        date: the day, as in 2026-12-01.
        package: the version of ddpm-mindspore.
        suite: digest of the properties, as ``digest.suite_digest`` has it.
        bugs: by the bug's name, in the order of the catalogue.
    """

    date: str
    package: str
    suite: str
    bugs: dict[str, Catch]

    @property
    def by_command(self) -> int:
        """Bugs that the command finds with its default examples."""
        return sum(bool(c.by) and not _is_test(c) for c in self.bugs.values())

    @property
    def by_tests(self) -> int:
        """Bugs in what the command does not run (files, processes), which ordinary tests find."""
        return sum(_is_test(c) for c in self.bugs.values())

    @property
    def sentence(self) -> str:
        """The same in words."""
        found = self.by_command
        text = (
            f"{found} of {len(self.bugs) - self.by_tests} planted bugs were found by this command"
        )
        if self.by_tests:
            text += f", and {self.by_tests} more, in what it does not run, by ordinary tests"
        return f"{text} ({self.date}, version {self.package})"


def _is_test(catch: Catch) -> bool:
    return "::" in catch.by


def read_score(file: Path = FILE) -> Score:
    """The score as it was last measured and written down."""
    content = json.loads(file.read_text(encoding="utf-8"))
    bugs = {name: Catch(**entry) for name, entry in content["bugs"].items()}
    return Score(content["date"], content["package"], content["suite"], bugs)


def write_score(score: Score, file: Path = FILE) -> None:
    """Write it down, with the sums for those who read the file alone."""
    bugs = {name: asdict(catch) for name, catch in score.bugs.items()}
    sums = {"planted": len(bugs), "by_command": score.by_command, "by_tests": score.by_tests}
    missed = sum(not catch.by for catch in score.bugs.values())
    head = {"date": score.date, "package": score.package, "suite": score.suite}
    rest = {"missed": missed, "bugs": bugs}
    text = json.dumps({**head, **sums, **rest}, indent=1)
    file.write_text(text + "\n", encoding="utf-8")
