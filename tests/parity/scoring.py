"""Does the command itself find a planted bug? Measured with processes that know nothing of it.

    python -m tests.parity.scoring            every bug, into parity/score.json and README.md
    python -m tests.parity.scoring gelu mask  only those whose names contain a word; the others stay

The bug stands in a copy of the package, whose command is run with its default examples: first only
the property that is meant to find it, and if that holds, all of them. For a bug in what no property
runs, the ordinary test that is named is run in the same way.

What an interrupted measurement has found is not measured again, as long as neither the package nor
the bug has changed.
"""

from __future__ import annotations

import hashlib
import json
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from datetime import date
from importlib.metadata import version
from pathlib import Path
from typing import Any

from ddpm_mindspore.parity.report.digest import suite_digest
from ddpm_mindspore.parity.report.score import FILE, Catch, Score, read_score, write_score

from .bug import Bug
from .planted_copy import PARTS, copy_package, importing, planted_in

ROOT = Path(__file__).parents[2]
FOUND, SOUND = 1, 0
SENTENCE = re.compile(r"finds (\d+) of (\d+)(\s+bugs\s+that\s+are\s+planted[^.]*?)(\d+) more")


def score_of(caught: dict[str, Catch]) -> Score:
    """A score of today."""
    return Score(date.today().isoformat(), version("ddpm-mindspore"), suite_digest(), caught)


def measure(bugs: Iterable[Bug], folder: Path) -> Iterator[tuple[Bug, Catch]]:
    """Plant one bug after the other, and say who finds it.

    Raises:
        AssertionError: a process could say nothing, or an ordinary test fails without any bug.
    """
    site = copy_package(folder / "site")
    sound: set[str] = set()
    for bug in bugs:
        started = time.monotonic()
        if bug.by_test and bug.caught_by not in sound:
            done = _pytest(bug.caught_by, site)
            assert done.returncode == SOUND, f"{bug.caught_by} fails without a bug:\n{done.stdout}"
            sound.add(bug.caught_by)
            started = time.monotonic()
        with planted_in(site, bug):
            catch = _by_test(bug, site) if bug.by_test else _by_command(bug, site, folder)
        yield bug, Catch(catch.by, catch.example, round(time.monotonic() - started, 1))


def numbers_of(score: Score) -> tuple[int, int, int]:
    """Found by the command, planted for it, and found by tests."""
    planted = len(score.bugs) - score.by_tests
    return score.by_command, planted, score.by_tests


def write_down(score: Score, root: Path = ROOT) -> None:
    """Put the score into ``parity/score.json``, and its numbers into README.md."""
    write_score(score, root / "parity" / "report" / FILE.name)
    readme = root / "README.md"
    found, planted, by_tests = numbers_of(score)
    text, count = SENTENCE.subn(
        lambda m: f"finds {found} of {planted}{m[3]}{by_tests} more",
        readme.read_text(encoding="utf-8"),
    )
    assert count == 1, "README.md does not tell the score in one sentence"
    readme.write_text(text, encoding="utf-8")


def _by_test(bug: Bug, site: Path) -> Catch:
    done = _pytest(bug.caught_by, site)
    assert done.returncode in (FOUND, SOUND), f"{bug.name}: {done.stdout}{done.stderr}"
    return Catch(bug.caught_by if done.returncode == FOUND else "")


def _pytest(test: str, site: Path) -> subprocess.CompletedProcess[str]:
    options = ["-q", "-x", "-n", "0", "-p", "no:cacheprovider", "-m", ""]
    return _python(["-m", "pytest", *options, test], site, ROOT)


def _by_command(bug: Bug, site: Path, folder: Path) -> Catch:
    topic, _, name = bug.caught_by.partition(": ")
    for only in (["--only", f"test_{topic} and test_{name}"], []):
        report = _parity(only, site, folder)
        for row in report["outcomes"]:
            if row["status"] == "FAIL":
                return Catch(f"{row['topic']}: {row['name']}", row["failed_at"])
    return Catch("")


def _parity(options: list[str], site: Path, folder: Path) -> dict[str, Any]:
    command = ["-m", "ddpm_mindspore.accelerated.cli", "parity", "--device", "CPU"]
    options = ["--fail-fast", "--report", str(folder / "report"), *options]
    done = _python([*command, *options], site, folder)
    assert done.returncode in (FOUND, SOUND), f"it could say nothing: {done.stdout}{done.stderr}"
    report: dict[str, Any] = json.loads((folder / "report" / "report.json").read_text())
    assert report["outcomes"][0]["sources"][-1].startswith(str(site))
    return report


def _python(arguments: list[str], site: Path, cwd: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, *arguments]
    environment = importing(site)
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, env=environment)


class Notes:
    """What was measured, for the case that it is interrupted: of this package, and of each bug."""

    def __init__(self) -> None:
        digest = hashlib.sha256()
        for path in sorted(p for part in PARTS for p in (ROOT / part).rglob("*.py")):
            digest.update(path.read_bytes())
        name = f"ddpm-mindspore-score-{digest.hexdigest()[:16]}.json"
        self._file = Path(tempfile.gettempdir()) / name
        self._known: dict[str, Any] = {}
        if self._file.exists():
            self._known = json.loads(self._file.read_text(encoding="utf-8"))

    def find(self, bug: Bug) -> Catch | None:
        """What became of a bug the last time, if nothing has changed since."""
        entry = self._known.get(repr(bug))
        return None if entry is None else Catch(**entry)

    def keep(self, bug: Bug, catch: Catch) -> None:
        """Note it down."""
        self._known[repr(bug)] = asdict(catch)
        self._file.write_text(json.dumps(self._known), encoding="utf-8")

    def forget(self) -> None:
        """It is written down elsewhere."""
        self._file.unlink(missing_ok=True)


def main(words: list[str]) -> int:
    """Measure, and write it down; 1 if a bug was not found."""
    from .bugs import BUGS

    notes = Notes()
    chosen = [bug for bug in BUGS if not words or any(word in bug.name for word in words)]
    new = [bug for bug in chosen if notes.find(bug) is None]
    with tempfile.TemporaryDirectory(prefix="ddpm-mindspore-score-") as folder:
        for bug, catch in measure(new, Path(folder)):
            notes.keep(bug, catch)
            at = f", example {catch.example}" if catch.example else ""
            said = f"{catch.by}{at}" if catch.by else "NOT FOUND"
            print(f"{bug.name}: {said} ({catch.seconds:.0f} s)", flush=True)
    caught = read_score().bugs if words else {}
    caught |= {bug.name: catch for bug in chosen if (catch := notes.find(bug)) is not None}
    score = score_of({bug.name: caught[bug.name] for bug in BUGS if bug.name in caught})
    print(score.sentence)
    write_down(score)
    notes.forget()
    return int(any(not catch.by for catch in score.bugs.values()))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
