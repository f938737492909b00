"""An error that grew fourfold is a failure, and only what can be compared is compared."""

from __future__ import annotations

import json
import math
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest

from ddpm_mindspore.parity.report.command import run
from ddpm_mindspore.parity.report.earlier import FLOOR, Earlier, read_earlier
from ddpm_mindspore.parity.report.options import ParityConfig
from ddpm_mindspore.parity.report.outcomes import Outcome, Report, environment, to_json, to_table
from ddpm_mindspore.parity.report.page import to_html

from .test_command import command, write_suite

SUITE = '''
import os

def test_first(record):
    """x is x."""
    record(float(os.environ["FIRST"]), "x=1")

def test_second(record):
    record(0.5, "y=1")
'''
RUN = {"suite": "abc", "seed": 0, "examples": None, "hypothesis": environment()["hypothesis"]}
OUTCOMES = (
    Outcome("test_a.py::test_x", "a", "x", worst_share=0.25, cases=1, earlier_share=0.125),
    Outcome("test_a.py::test_new", "a", "new", worst_share=0.9, cases=1),
)


def report(**changes: object) -> Report:
    options = {"seed": 0, "examples": None, "suite": "abc", "compared_with": "old (CPU, then)"}
    common = {"device": "CPU", "only": None, "started": "2026-01-02T03:04:05+00:00"}
    return Report(
        outcomes=OUTCOMES,
        seconds=1.0,
        environment=environment(),
        **{**options, **common, **changes},
    )  # type: ignore[arg-type]


def test_an_error_that_grew_fails_although_it_is_within_its_bound(tmp_path: Path) -> None:
    suite = write_suite(tmp_path / "suite", test_a=SUITE)
    before = command(tmp_path, suite, FIRST="0.1")
    assert before.code == 0
    old = tmp_path / "old.json"
    old.write_text((before.folder / "parity-report/report.json").read_text())

    held = command(tmp_path, suite, f"compare=Path({str(old)!r})", FIRST="0.39")
    assert held.code == 0, held.out + held.err
    assert (held.rows()["first"]["earlier_share"], held.rows()["first"]["worst_share"]) == (
        0.1, 0.39,
    )  # fmt: skip
    assert f"before: in {old} (CPU, 2" in held.out

    grown = command(tmp_path, suite, f"compare=Path({str(old)!r})", FIRST="0.41")
    assert grown.code == 1
    row = grown.rows()["first"]
    assert row["status"] == "FAIL" and row["reproduce"] == "print(1)"
    assert (
        f"run again:  ddpm-mindspore parity --device CPU --seed 0 --compare {old} --only first\n"
        in (grown.out)
    )
    assert "0.41 of its bound, from 0.1 in" in row["message"] and "4.1 times" in row["message"]
    assert grown.rows()["second"]["status"] == "pass"
    junit = ElementTree.parse(grown.folder / "parity-report/junit.xml").getroot().find("testsuite")
    assert junit is not None and junit.get("failures") == "1"


@pytest.mark.parametrize(
    ("before", "now", "grew"),
    [(0.1, 0.4, False), (0.1, 0.41, True), (0.0, 4 * FLOOR, False), (0.0, 0.3, True),
     (1e-9, 0.2, False), (2.0, 0.9, False), (0.2, math.inf, True)],
)  # fmt: skip
def test_growth_is_fourfold_and_counted_from_what_rounding_alone_makes(
    before: float, now: float, grew: bool
) -> None:
    earlier = Earlier("old.json", "2026-01-02", "CPU", {"a": before})
    assert earlier.has_grown("a", now) == grew
    assert not earlier.has_grown("new", now)


def test_a_report_is_compared_with_itself(tmp_path: Path) -> None:
    file = tmp_path / "report.json"
    file.write_text(to_json(report()))
    earlier = read_earlier(file, RUN)
    assert earlier.shares == {"test_a.py::test_x": 0.25, "test_a.py::test_new": 0.9}
    assert earlier.title == f"{file} (CPU, 2026-01-02 03:04:05+00:00)"


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"suite": "def"}, "is of suite def, and this is abc: properties or bounds differ"),
        ({"suite": None}, "does not say of which suite it is"),
        ({"seed": 3}, "has seed 3, and this run 0: give it the same (--seed 3)"),
        ({"examples": 9}, "has examples 9, and this run the default: give it the same (--examples"),
        ({"environment": {"hypothesis": "6.0"}}, "has examples of Hypothesis 6.0, and"),
        ({"outcomes": None}, "is no report.json"),
    ],
)
def test_what_cannot_be_compared_is_refused(
    change: dict[str, object], reason: str, tmp_path: Path
) -> None:
    file = tmp_path / "report.json"
    file.write_text(json.dumps(json.loads(to_json(report())) | change))
    with pytest.raises(ValueError) as refused:
        read_earlier(file, RUN)
    assert reason in str(refused.value)


def test_a_file_that_is_none_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"cannot be read \(No such file"):
        read_earlier(tmp_path / "absent.json", RUN)
    (tmp_path / "text").write_text("no report")
    with pytest.raises(ValueError, match="is no report"):
        read_earlier(tmp_path / "text", RUN)


def test_a_report_is_not_replaced_by_what_is_compared_with_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "report.json"
    file.write_text(to_json(report()))
    assert run(ParityConfig(compare=file, report=tmp_path)) == 2
    assert "would be replaced by this run's report" in capsys.readouterr().err
    assert file.read_text() == to_json(report())


def test_table_and_page_show_both() -> None:
    lines = to_table(OUTCOMES, 100, compared=True).splitlines()
    assert lines[0].split() == ["property", "cases", "worst/bound", "before", "seconds", "example"]
    assert lines[2].split()[:5] == ["pass", "x", "1", "0.25", "0.125"]
    assert lines[3].split()[:5] == ["pass", "new", "1", "0.9", "-"]
    page = to_html(report())
    assert "A ring is the same property in old (CPU, then)." in page
    assert page.count('class="before"') == 1 and 'data-label="before">0.125<' in page
    alone = to_html(report(compared_with=None))
    assert "A ring" not in alone and "<th" in alone and ">Before<" not in alone
