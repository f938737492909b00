"""The command really run: exit codes, what it prints, what it writes and what it leaves alone."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from dataclasses import dataclass
from pathlib import Path

import pytest

from ddpm_mindspore.accelerated.system.runtime import usable_cores
from ddpm_mindspore.parity.report.command import INSTALL, run
from ddpm_mindspore.parity.report.options import ParityConfig
from ddpm_mindspore.parity.report.outcomes import FAIL, Outcome
from ddpm_mindspore.parity.report.progress import progress_on
from ddpm_mindspore.parity.report.quiet import jobs_of
from ddpm_mindspore.parity.report.workers import MOST_JOBS

from .planted_copy import copy_package

CONFTEST = """
import pytest
from hypothesis import settings
from ddpm_mindspore.parity.judgement.compare import LEDGER, Record

def pytest_addoption(parser):
    parser.addoption("--device")
    parser.addoption("--examples", type=int)

def pytest_configure(config):
    settings.register_profile(
        "small", max_examples=config.getoption("--examples") or 5, derandomize=False)
    settings.load_profile("small")

@pytest.fixture
def record(request):
    kept = LEDGER.records[request.node.nodeid] = Record()
    def record(share, example):
        kept.cases += 1
        if share >= kept.worst_share:
            kept.worst_share, kept.worst_example, kept.reproduce = share, example, "print(1)"
    return record
"""
PROPERTIES = '''
import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

drawn = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])

@drawn
@given(n=st.integers(0, 10**9))
def test_holds(record, request, n):
    """x_t = x_t.

    More about it."""
    option = request.config.getoption
    record(0.5, f"{option('--device')} {option('--hypothesis-seed')}")
    print("noise on stdout")
    with open(1, "w", closefd=False) as file:
        file.write("noise on the descriptor")

@pytest.mark.parametrize("kind", ["a", "b"])
def test_skips(kind):
    pytest.skip("no such thing here")

@pytest.mark.nightly
def test_long():
    raise AssertionError("too long for this run")
'''
FAILING = '''
from hypothesis import given, settings, strategies as st

def test_wrong_value(record):
    """eps is eps."""
    record(12.5, "seed=3")
    raise AssertionError("at [0] the device has 2\\nreproduce: print(1)")

@given(n=st.integers(0, 10**9))
def test_wrong_operator(n):
    if n > 7:
        raise RuntimeError("no such kernel")
'''
CODE = """
import sys
from pathlib import Path
from ddpm_mindspore.parity.report.command import run
from ddpm_mindspore.parity.report.options import ParityConfig
sys.exit(run(ParityConfig({}), suite=Path(sys.argv[1])))
"""


@dataclass
class Run:
    """A finished process: exit code, output, and the folder it ran in."""

    code: int
    out: str
    err: str
    folder: Path

    @property
    def report(self) -> dict:
        return json.loads((self.folder / "parity-report/report.json").read_text())

    def rows(self) -> dict[str, dict]:
        return {row["name"]: row for row in self.report["outcomes"]}


def command(folder: Path, suite: Path | None, options: str = "", **environment: str) -> Run:
    """Run the command in a new process in a folder of its own, on a suite or on the real one."""
    options = options if "jobs" in options else ", ".join(filter(None, (options, "jobs=1")))
    cwd = folder / "here"
    cwd.mkdir(exist_ok=True)
    code = CODE.format(options) if suite else CODE.replace(", suite=Path(sys.argv[1])", "")
    inherited = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    done = subprocess.run(
        [sys.executable, "-c", code if suite else code.format(options), str(suite)],
        cwd=cwd, capture_output=True, text=True, timeout=300, env={**inherited, **environment},
    )  # fmt: skip
    return Run(done.returncode, done.stdout, done.stderr, cwd)


def write_suite(folder: Path, **files: str) -> Path:
    folder.mkdir()
    for name, text in {"conftest": CONFTEST, **files}.items():
        (folder / f"{name}.py").write_text(text)
    return folder


@pytest.fixture(scope="module")
def held(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A suite that holds, run where a pytest configuration and a conftest lie in wait."""
    folder = tmp_path_factory.mktemp("held")
    suite = write_suite(folder / "suite", test_process=PROPERTIES)
    (folder / "here").mkdir()
    (folder / "here/pytest.ini").write_text("[pytest]\naddopts = --no-such-option\n")
    for place in (folder, folder / "here"):
        (place / "conftest.py").write_text("raise RuntimeError('not my conftest')")
    return command(folder, suite, PYTEST_ADDOPTS="--no-such-option", PYTEST_PLUGINS="no_such")


@pytest.fixture(scope="module")
def failed(tmp_path_factory: pytest.TempPathFactory) -> Run:
    folder = tmp_path_factory.mktemp("failed")
    files = {"test_samplers": PROPERTIES, "test_unet": FAILING}
    return command(folder, write_suite(folder / "suite", **files), "examples=9, seed=4")


def test_a_suite_that_holds_exits_with_0(held: Run) -> None:
    assert (held.code, held.err) == (0, "")
    assert "[1/3] process: holds pass, 0.5 (" in held.out
    assert held.out.splitlines()[-1] == (
        "1 property holds on CPU (2 skipped); report: parity-report/report.html"
    )
    assert "noise" not in held.out
    row = held.rows()["holds"]
    assert (row["cases"], row["worst_share"], row["worst_example"]) == (5, 0.5, "CPU 0")
    assert (row["formula"], row["reproduce"], row["failed_at"]) == ("x_t = x_t.", "print(1)", None)
    line = PROPERTIES[: PROPERTIES.index("@drawn")].count("\n") + 1
    names = ["process.py", "process.py", f"test_process.py:{line}"]
    assert [Path(source).name for source in row["sources"]] == names
    assert held.rows()["skips[b]"]["message"] == "no such thing here"
    assert "long" not in held.rows()


def test_it_writes_its_report_and_nothing_else(held: Run) -> None:
    everything = {str(p.relative_to(held.folder.parent)) for p in held.folder.parent.rglob("*")}
    report = {"report.html", "report.json", "junit.xml"}
    assert everything == {
        "conftest.py", "here", "here/conftest.py", "here/pytest.ini", "here/parity-report",
        "suite", "suite/conftest.py", "suite/test_process.py",
    } | {f"here/parity-report/{name}" for name in report}  # fmt: skip


def test_a_failure_exits_with_1_and_says_where_to_look(failed: Run) -> None:
    assert failed.code == 1
    # What samplers are built of is checked first.
    assert [row["topic"] for row in failed.report["outcomes"]] == ["unet"] * 2 + ["samplers"] * 3
    text = failed.out[failed.out.index("FAIL  unet: wrong_value") :]
    assert "  formula:    eps is eps.\n  message:    at [0] the device has 2\n  in Python:" in text
    assert "  in Python:  print(1)\n" in text
    assert "--device CPU --seed 4 --examples 9 --only wrong_value\n" in text
    assert "accelerated/networks/unet.py\n" in text and "reference/networks/unet.py\n" in text
    row = failed.rows()["wrong_operator"]
    assert row["message"].startswith("RuntimeError: no such kernel\n")
    assert "n=8" in row["message"].replace(" ", "")
    assert (row["worst_share"], row["reproduce"]) == (None, "")
    assert text.splitlines()[-1].startswith("2 of 3 properties fail on CPU (2 skipped); report: ")


def test_examples_and_seed_reach_the_properties(failed: Run) -> None:
    report = failed.report
    assert (report["seed"], report["examples"], report["exit_code"]) == (4, 9, 1)
    row = failed.rows()["holds"]
    assert (row["cases"], row["worst_example"]) == (9, "CPU 4")


def test_the_first_failure_can_end_the_run(tmp_path: Path) -> None:
    files = {"test_samplers": PROPERTIES, "test_unet": FAILING}
    done = command(tmp_path, write_suite(tmp_path / "suite", **files), "fail_fast=True")
    assert done.code == 1
    assert list(done.rows()) == ["wrong_value"] and done.report["interrupted"] is True


def test_junit_lists_every_property(failed: Run) -> None:
    suite = ElementTree.parse(failed.folder / "parity-report/junit.xml").getroot().find("testsuite")
    assert suite is not None
    counts = {name: suite.get(name) for name in ("tests", "failures", "errors", "skipped")}
    assert counts == {"tests": "5", "failures": "2", "errors": "0", "skipped": "2"}
    cases = {(case.get("classname"), case.get("name")) for case in suite.iter("testcase")}
    assert {("test_unet", "test_wrong_value"), ("test_samplers", "test_holds")} <= cases


@pytest.mark.parametrize(
    ("files", "options", "reason"),
    [
        ({"test_a": PROPERTIES}, "only='absent'", "no property matches --only 'absent'"),
        ({"test_a": PROPERTIES}, "only='a b'", "Wrong expression passed to '-k': a b"),
        ({"test_a": "import absent_module"}, "", "test_a.py cannot be imported: ModuleNotFound"),
        ({"conftest": "import absent_module"}, "", "ModuleNotFoundError: No module named 'absent_"),
    ],
)
def test_what_cannot_run_exits_with_2(
    files: dict[str, str], options: str, reason: str, tmp_path: Path
) -> None:
    done = command(tmp_path, write_suite(tmp_path / "suite", **files), options)
    assert done.code == 2
    assert done.err.count("\n") == 1 and f"parity could not run: {reason}" in done.err


def test_an_interrupt_exits_with_2_and_keeps_what_was_found(tmp_path: Path) -> None:
    text = "import os, signal\ndef test_one(): pass\n"
    text += "def test_two(): os.kill(os.getpid(), signal.SIGINT)\ndef test_three(): pass"
    done = command(tmp_path, write_suite(tmp_path / "suite", test_unet=text))
    assert done.code == 2
    assert done.out.splitlines()[-1].startswith("interrupted: 1 property held on CPU until then;")
    assert list(done.rows()) == ["one"] and done.report["interrupted"] is True


def test_a_crash_names_the_property_that_ran(tmp_path: Path) -> None:
    text = "import os\ndef test_one(): pass\ndef test_two(): os.abort()"
    done = command(tmp_path, write_suite(tmp_path / "suite", test_unet=text))
    assert done.code not in (0, 1, 2)
    assert done.out.splitlines()[-1].strip() == "[2/2] unet: two"


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """What `failed` runs, by two processes, one of which dies once."""
    folder = tmp_path_factory.mktemp("shared")
    dies = "import os\ndef test_dies(): os.abort()"
    files = {"test_samplers": PROPERTIES, "test_unet": FAILING, "test_ema": dies}
    return command(folder, write_suite(folder / "suite", **files), "examples=9, seed=4, jobs=2")


def test_processes_that_share_the_properties_find_the_same(failed: Run, shared: Run) -> None:
    def found(run: Run) -> dict[str, dict]:
        changing = ("seconds", "sources")
        return {n: {k: v for k, v in r.items() if k not in changing} for n, r in run.rows().items()}

    assert shared.code == 1
    assert {n: r for n, r in found(shared).items() if n != "dies"} == found(failed)
    # Up the ladder, whoever was first.
    topics = [row["topic"] for row in shared.report["outcomes"]]
    assert topics == ["unet"] * 2 + ["samplers"] * 3 + ["ema"]
    counts = {f"[{n}/6]" for n in range(1, 7)}
    assert counts == {line[:5] for line in shared.out.splitlines() if line[:1] == "["}
    last = shared.out.splitlines()[-1]
    assert last.startswith("3 of 4 properties fail on CPU (2 skipped); report: ")


def test_a_process_that_dies_is_a_property_that_fails(shared: Run) -> None:
    row = shared.rows()["dies"]
    assert row["status"] == FAIL and "crashed while running" in row["message"]
    assert Path(row["sources"][-1]).name.startswith("test_ema.py:")


def test_processes_that_share_the_properties_leave_nothing_behind(shared: Run) -> None:
    everything = {p.name for p in shared.folder.parent.rglob("*") if p.is_file()}
    written = {"report.html", "report.json", "junit.xml"}
    sources = {"conftest.py", "test_samplers.py", "test_unet.py", "test_ema.py"}
    assert everything == written | sources


def test_several_processes_cannot_read_what_one_cannot(tmp_path: Path) -> None:
    files = {"test_a": "import absent_module", "test_b": PROPERTIES}
    done = command(tmp_path, write_suite(tmp_path / "suite", **files), "jobs=2")
    assert done.code == 2
    assert "test_a.py cannot be imported: ModuleNotFound" in done.err and done.err.count("\n") == 1


@pytest.mark.parametrize(
    ("options", "device", "jobs"),
    [
        ({}, "CPU", min(MOST_JOBS, usable_cores())),
        ({}, "Ascend", 1),
        ({"only": "unet"}, "CPU", 1),
        ({"fail_fast": True}, "CPU", 1),
        ({"record": Path("trace")}, "CPU", 1),
        ({"jobs": 3, "only": "unet"}, "Ascend", 3),
    ],
)
def test_the_processes_are_as_many_as_make_sense(options: dict, device: str, jobs: int) -> None:
    assert jobs_of(ParityConfig(**options), device) == jobs


def test_a_trace_is_recorded_by_one_process() -> None:
    with pytest.raises(ValueError, match="jobs 2 cannot record"):
        ParityConfig(jobs=2, record=Path("trace"))


def test_a_missing_package_exits_with_2(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    find_spec = importlib.util.find_spec
    monkeypatch.setattr(
        "ddpm_mindspore.parity.report.command.find_spec",
        lambda name: None if name in ("pytest", "hypothesis") else find_spec(name),
    )
    assert run(ParityConfig(report=tmp_path / "report")) == 2
    reason = f"ddpm-mindspore parity could not run: not installed: pytest, hypothesis ({INSTALL})\n"
    assert capsys.readouterr().err == reason
    assert not list(tmp_path.iterdir())


def test_an_unwritable_report_folder_exits_with_2(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    assert run(ParityConfig(report=tmp_path / "file")) == 2
    assert f"report folder {str(tmp_path / 'file')!r} is not writable: " in capsys.readouterr().err


def test_a_device_that_is_not_there_exits_with_2(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    def no_card(name: str) -> str:
        raise ValueError(f"device {name!r} is not available here:\n no driver")

    monkeypatch.setattr("ddpm_mindspore.accelerated.system.runtime.select_device", no_card)
    assert run(ParityConfig(device="Ascend", report=tmp_path)) == 2
    assert "could not run: device 'Ascend' is not available here: no driver\n" in (
        capsys.readouterr().err
    )


def test_an_interruption_before_the_first_property_says_so(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setattr("pytest.main", lambda *_, **__: 2)
    monkeypatch.setattr("ddpm_mindspore.parity.report.command._select_device", lambda _: "CPU")
    assert run(ParityConfig(report=tmp_path)) == 2
    assert "could not run: it was interrupted before the first" in capsys.readouterr().err


@pytest.mark.parametrize("wrong", [{"examples": 0}, {"seed": -1}, {"jobs": 0}, {"jobs": 9999}])
def test_config_refuses_what_makes_no_sense(wrong: dict[str, int]) -> None:
    name = next(iter(wrong))
    with pytest.raises(ValueError, match=f"{name} {wrong[name]} must"):
        ParityConfig(**wrong)


class Terminal:
    """A stream that says it is a terminal and keeps what was written."""

    encoding = "utf-8"

    def __init__(self) -> None:
        self.text = ""

    def write(self, text: str) -> int:
        self.text += text
        return len(text)

    def flush(self) -> None:
        pass

    def isatty(self) -> bool:
        return True


def test_a_terminal_gets_a_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    terminal = Terminal()
    progress = progress_on(terminal)  # type: ignore[arg-type]
    progress.start(2)
    progress.begin("unet: forward")
    progress.end(Outcome("", "unet", "forward", status=FAIL))
    progress.begin("unet: backward")
    progress.close()
    frames = terminal.text.split("\r")
    assert any(frame.startswith("0/2 |") and "unet: forward" in frame for frame in frames)
    assert any("1/2 |" in frame and "1 FAILED, unet: backward" in frame for frame in frames)


@pytest.fixture
def installed(tmp_path: Path) -> Path:
    """The package laid out as a wheel lays it out, to be imported from there."""
    return copy_package(tmp_path / "site")


REAL = "examples=3, only='v_from_x0 or q_sample', record=Path('trace')"


def test_a_real_property_holds_from_an_installed_package(installed: Path, tmp_path: Path) -> None:
    done = command(tmp_path, None, REAL, PYTHONPATH=str(installed))
    assert done.code == 0, done.out + done.err
    row = done.rows()["v_from_x0"]
    assert row["cases"] >= 3 and 0.0 < row["worst_share"] < 1.0
    assert "schedule=(" in row["worst_example"] and row["sources"][0].startswith(str(installed))
    written = {str(path.relative_to(done.folder)) for path in done.folder.rglob("*")}
    files = {
        "parity-report": ("report.html", "report.json", "junit.xml"),
        "trace": ("cases.npz", "manifest.json", "verify_trace.py"),
    }
    assert written == {*files} | {f"{d}/{name}" for d, names in files.items() for name in names}
    assert "6 cases to check a device by: trace/verify_trace.py\n" in done.out
    assert not list(installed.glob("ddpm_mindspore/parity/**/*pytest*.pyc"))


def test_a_broken_operation_is_found_and_its_line_reproduces_it(
    installed: Path, tmp_path: Path
) -> None:
    file = installed / "ddpm_mindspore/accelerated/objective.py"
    right = "column(levels, TARGET_NOISE, x_0) * noise"
    text = file.read_text()
    assert right in text
    file.write_text(text.replace(right, right.replace("TARGET_NOISE", "TARGET_X0")))
    either = "examples=3, only='target or q_sample'"
    done = command(tmp_path, None, either, PYTHONPATH=str(installed))
    assert done.code == 1
    assert done.rows()["q_sample"]["status"] == "pass"
    row = done.rows()["target"]
    assert row["status"] == FAIL and row["worst_share"] != 0.0 and row["failed_at"] == 1
    line = text[: text.index("def target")].count("\n") + 1
    assert f"  look at:    {file}:{line}\n" in done.out
    again = subprocess.run(
        [sys.executable, "-c", row["reproduce"]],
        capture_output=True, text=True, env={**os.environ, "PYTHONPATH": str(installed)},
    )  # fmt: skip
    assert again.returncode != 0 and row["message"].splitlines()[0] in again.stderr
