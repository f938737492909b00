"""The command finds the bugs that are planted on purpose, and no more is said of it than that."""

from __future__ import annotations

import ast
import re
from dataclasses import replace
from pathlib import Path

import pytest

from ddpm_mindspore import parity
from ddpm_mindspore.accelerated import kernels
from ddpm_mindspore.parity.report.digest import suite_digest
from ddpm_mindspore.parity.report.outcomes import Report, environment
from ddpm_mindspore.parity.report.page import to_html
from ddpm_mindspore.parity.report.score import Catch, Score, read_score, write_score

from .bug import Bug, changed, place_of
from .bugs import BUGS
from .compiled import is_compiled
from .planted_copy import PARTS, copy_package, planted_in, with_bug
from .scoring import SENTENCE, measure, numbers_of, score_of, write_down

ROOT = Path(__file__).parents[2]
SUITE = Path(parity.__path__[0])


@pytest.mark.nightly
def test_the_command_finds_every_planted_bug(tmp_path: Path) -> None:
    """A process or two for each, half an hour in all; the score is written down anew."""
    assert kernels.in_use(), f"bugs in compiled operators cannot show: {kernels.describe()}"
    caught = {bug.name: catch for bug, catch in measure(BUGS, tmp_path)}
    write_down(score_of(caught))
    assert not [name for name, catch in caught.items() if not catch.by]


def test_the_score_is_that_of_the_catalogue() -> None:
    score = read_score()
    assert [bug.name for bug in BUGS] == list(score.bugs), (
        "planted bugs came or went since the score was measured: python -m tests.parity.scoring"
    )
    assert not [name for name, catch in score.bugs.items() if not catch.by]
    for bug in BUGS:
        assert ("::" in score.bugs[bug.name].by) == bug.by_test, bug.name


def test_the_readme_says_what_the_file_says() -> None:
    found = SENTENCE.search((ROOT / "README.md").read_text(encoding="utf-8"))
    assert found, "README.md does not tell the score"
    numbers = (int(found[1]), int(found[2]), int(found[4]))
    assert numbers == numbers_of(read_score())


def test_the_page_says_what_the_file_says() -> None:
    score = read_score()
    started, facts = "2026-01-02T03:04:05+00:00", environment()
    report = Report((), "CPU", 0, None, None, started, 1.0, facts, suite=score.suite)
    assert f'<p class="score">{score.sentence}.</p>' in to_html(report)
    changed = f'<p class="score">{score.sentence}. The properties have changed since.</p>'
    assert changed in to_html(replace(report, suite="another"))


def test_what_is_measured_is_written_into_both(tmp_path: Path) -> None:
    (tmp_path / "parity" / "report").mkdir(parents=True)
    (tmp_path / "README.md").write_text((ROOT / "README.md").read_text(encoding="utf-8"))
    bugs = {"a": Catch("layers: gelu", 2, 1.5), "b": Catch("tests/a.py::test_b"), "c": Catch("")}
    write_down(score_of(bugs), tmp_path)
    assert read_score(tmp_path / "parity/report/score.json").bugs == bugs
    found = SENTENCE.search((tmp_path / "README.md").read_text())
    assert found and (found[1], found[2], found[4]) == ("1", "2", "1")


def test_names_are_unique() -> None:
    assert len({bug.name for bug in BUGS}) == len(BUGS)


@pytest.mark.parametrize("bug", BUGS, ids=lambda bug: bug.name)
def test_a_bug_fits_the_code_and_who_has_to_find_it_is_there(bug: Bug) -> None:
    file, names = place_of(bug.where, ROOT)
    text = file.read_text(encoding="utf-8")
    broken = changed(text, bug) if is_compiled(bug) else with_bug(text, names, bug)
    if not is_compiled(bug):
        ast.parse(broken)
    assert broken != text
    path, _, name = bug.caught_by.partition("::" if bug.by_test else ": ")
    home = ROOT / path if bug.by_test else SUITE / f"test_{path}.py"
    function = name.partition("[")[0] if bug.by_test else f"test_{name}"
    assert re.search(rf"^def {function}\w*\(", home.read_text(encoding="utf-8"), re.MULTILINE)


def test_a_copy_has_the_bug_and_then_has_it_no_more(tmp_path: Path) -> None:
    site = copy_package(tmp_path / "site")
    files = [p for part in PARTS for p in sorted((site / "ddpm_mindspore" / part).rglob("*.py"))]
    before = {path: path.read_bytes() for path in files}
    for bug in BUGS[:3]:
        with planted_in(site, bug) as file:
            changed = [path for path in files if path.read_bytes() != before[path]]
            assert changed == [file]
        assert {path: path.read_bytes() for path in files} == before


@pytest.mark.parametrize("where", ["process.no_such", "no_such.column", "process.column.no_such"])
def test_a_bug_whose_place_is_gone_is_stale(tmp_path: Path, where: str) -> None:
    site = copy_package(tmp_path / "site")
    with (
        pytest.raises(AssertionError, match=r"no_such"),
        planted_in(site, Bug("stale", where, "a", "b", "process: q_sample")),
    ):
        pass


@pytest.mark.slow
def test_what_is_found_is_told_and_what_is_not_is_not(tmp_path: Path) -> None:
    """The machinery itself: a bug, a change that is none, and a bug that only a test can see."""
    test = "tests/accelerated/test_samplers.py::test_eta_is_the_share_of_ancestral_noise"
    bug = next(bug for bug in BUGS if bug.name == "eta is ignored")
    wrong = Bug("wrong", bug.where, bug.old, bug.new, test)
    none = Bug("none", bug.where, bug.old, f"{bug.old} + 0.0", test)
    caught = {bug.name: catch.by for bug, catch in measure([wrong, none], tmp_path)}
    assert caught == {"wrong": test, "none": ""}


def test_a_score_comes_back_and_counts(tmp_path: Path) -> None:
    bugs = {"a": Catch("layers: gelu", 2, 1.5), "b": Catch("tests/a.py::test_b"), "c": Catch("")}
    score = Score("2026-01-02", "0.1.0", "abc", bugs)
    write_score(score, tmp_path / "score.json")
    assert read_score(tmp_path / "score.json") == score
    assert (score.by_command, score.by_tests) == (1, 1)
    assert score.sentence.startswith("1 of 2 planted bugs were found by this command, and 1 more")


def test_the_digest_is_of_all_that_makes_the_examples_and_the_bounds(tmp_path: Path) -> None:
    suite = copy_package(tmp_path) / "ddpm_mindspore" / "parity"
    before = suite_digest(suite)
    assert before == suite_digest()
    for name, counts in [
        ("examples/values", True), ("test_layers", True), ("sides/layers", True),
        ("judgement/tolerance", True), ("report/page", False), ("report/command", False),
        ("report/outcomes", False), ("report/score", False),
    ]:  # fmt: skip
        file = suite / f"{name}.py"
        text = file.read_text(encoding="utf-8")
        file.write_text(f"{text}\n# changed\n", encoding="utf-8")
        assert (suite_digest(suite) != before) == counts, name
        file.write_text(text, encoding="utf-8")
