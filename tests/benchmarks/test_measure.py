"""The benchmark's own parts: its statistics, its table, and workers that take their turns."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from importlib import import_module
from itertools import pairwise
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

HERE = Path(__file__).parent
PARTS = (
    *("rows", "serving", "processes", "starts", "machine", "bench", "strongest", "texts"),
    *("others", "workloads", "measure"),
)


@pytest.fixture(scope="module")
def parts() -> Iterator[dict[str, ModuleType]]:
    """The modules, which find each other as scripts in one folder do."""
    sys.path.insert(0, str(HERE))
    try:
        yield {name: import_module(name) for name in PARTS}
    finally:
        sys.path.remove(str(HERE))
        for name in PARTS:
            del sys.modules[name]


@pytest.fixture(scope="module")
def rows(parts: dict[str, ModuleType]) -> ModuleType:
    return parts["rows"]


def test_ratios_are_of_pairs_and_quartiles_of_what_is_between(rows: ModuleType) -> None:
    # Each side drifts by a factor of three; the ratio of each pair does not.
    row = rows.Row("A", "step", [1.0, 2.0, 3.0], [2.0, 4.0, 6.0], limit=0.5)
    told = row.as_json()
    assert told["ours"] == {"median": 2.0, "low": 1.5, "high": 2.5, "values": [1.0, 2.0, 3.0]}
    assert told["ratio"]["values"] == [0.5, 0.5, 0.5]
    assert told["passed"] is True
    assert rows.quartiles([7.0]) == (7.0, 7.0, 7.0)


def test_a_goal_is_for_the_ratio_or_for_ours_alone(rows: ModuleType) -> None:
    assert rows.Row("A", "", [3.0], [2.0], limit=1.0).passed() is False
    assert rows.Row("E", "", [3.0], limit=5.0).passed() is True
    assert rows.Row("E", "", [6.0, 1.0, 7.0], limit=5.0).passed() is False
    assert rows.Row("E", "", [6.0]).passed() is None
    assert rows.Row("E", "", limit=5.0, failed="ended").passed() is None


def test_a_share_of_the_peak_is_what_products_would_take_of_the_time(
    parts: dict[str, ModuleType],
) -> None:
    # 6 GFLOP at 2 GFLOP/s take 3 of 4 and of 6 seconds.
    assert parts["others"]._shares(6e9, [4.0, 6.0], [0.5e-9, 0.5e-9]) == [0.75, 0.5]


def test_a_slope_is_the_exponent(rows: ModuleType) -> None:
    x = [1.0, 4.0, 16.0]
    assert rows.slope(x, [7.0 * v**-0.5 for v in x]) == pytest.approx(-0.5)
    assert rows.slope(x, [2.0, 2.0, 2.0]) == pytest.approx(0.0)


@pytest.mark.parametrize(
    ("values", "unit", "text"),
    [
        ([0.812], "s", "812 ms"),
        ([0.8, 0.812, 0.83], "s", "812 ms (806 to 821)"),
        ([12.34], "s", "12.3 s"),
        ([0.0000123], "s", "12.3 us"),
        ([0.756], "", "0.76"),
        ([-0.031], "", "-0.03"),
        ([3 * 2**29], "bytes", "1.50 GiB"),
        ([0.0213], "share", "2.13 %"),
        ([0.0], "share", "0.00 %"),
    ],
)
def test_numbers_are_shown_with_three_digits(
    rows: ModuleType, values: list[float], unit: str, text: str
) -> None:
    assert rows.show(values, unit) == text


def test_the_table_says_what_passed_what_missed_and_what_is_not_known(rows: ModuleType) -> None:
    text = rows.table(
        [
            rows.Row("A", "step", [0.9], [1.0], limit=1.0, note="quiet"),
            rows.Row("G", "memory", [2**31], [2**30], "bytes", 1.0),
            rows.Row("E", "help", [0.2], limit=0.3),
            rows.Row("A", "compiled", failed="no | compiler"),
        ]
    )
    lines = text.splitlines()
    assert lines[2] == "| A. step [1] | 900 ms | 1.00 s | 0.90 | at most 1.00 | pass |"
    assert lines[3] == "| G. memory | 2.00 GiB | 1.00 GiB | 2.00 | at most 1.00 | **miss** |"
    assert lines[4] == "| E. help | 200 ms |  |  | at most 300 ms | pass |"
    assert lines[5] == "| A. compiled | not measured |  |  |  | no / compiler |"
    assert lines[7] == "[1] quiet"


def test_a_note_about_several_rows_is_said_once(rows: ModuleType) -> None:
    notes = ("two sizes", "", "once", "two sizes")
    text = rows.table([rows.Row("D", "slope", [1.0], note=note) for note in notes])
    lines = text.splitlines()
    marks = [line.partition("slope")[2].partition(" |")[0] for line in lines[2:6]]
    assert marks == [" [1]", "", " [2]", " [1]"]
    assert [line.rstrip() for line in lines[7:]] == ["[1] two sizes", "[2] once"]


# A worker that notes when it begins and ends; what it prints meanwhile must not be taken for an
# answer.
FAKE = """
import json, sys, time
sys.path.insert(0, {here!r})
from serving import Pipe, serve
def block(steps):
    print("noise")
    begin = time.monotonic()
    time.sleep(0.005)
    with open({log!r}, "a") as log:
        print(json.dumps([{name!r}, steps, begin, time.monotonic()]), file=log)
    if {dies!r} and steps != 2:
        sys.exit("out of luck")
    return 0.5 * steps
serve(Pipe(), {parameters}, block)
"""


def fake(log: Path, name: str, parameters: int = 7, dies: bool = False) -> Any:
    source = FAKE.format(here=str(HERE), log=str(log), name=name, parameters=parameters, dies=dies)
    return [sys.executable, "-c", source], {}


def test_workers_take_turns_and_never_overlap(parts: dict[str, ModuleType], tmp_path: Path) -> None:
    log = tmp_path / "log"
    sides = {"ours": fake(log, "ours"), "peer": fake(log, "peer")}
    measured = parts["processes"].in_turn(sides, rounds=3, steps=4)
    assert measured.seconds == {"ours": [0.5] * 3, "peer": [0.5] * 3}
    assert measured.ready["peer"]["parameters"] == 7
    assert measured.peak["ours"] > 2**20
    spans = [json.loads(line) for line in log.read_text().splitlines()]
    assert [span[:2] for span in spans] == [
        ["ours", 2],
        ["peer", 2],
        *[["ours", 4], ["peer", 4]] * 4,
    ]
    for before, after in pairwise(spans):
        assert before[3] <= after[2]


def test_networks_of_different_sizes_are_refused(
    parts: dict[str, ModuleType], tmp_path: Path
) -> None:
    log = tmp_path / "log"
    sides = {"ours": fake(log, "ours"), "peer": fake(log, "peer", parameters=8)}
    with pytest.raises(ValueError, match="'ours': 7, 'peer': 8"):
        parts["processes"].in_turn(sides, rounds=1, steps=1)


def test_a_worker_that_dies_is_told_of_with_its_last_words(
    parts: dict[str, ModuleType], tmp_path: Path
) -> None:
    processes, log = parts["processes"], tmp_path / "log"
    with pytest.raises(processes.WorkerError, match=r"ours ended with code 1; .*out of luck"):
        processes.in_turn({"ours": fake(log, "ours", dies=True)}, rounds=1, steps=1)
    broken = ([sys.executable, "-c", "raise SystemExit('no compiler')"], {})
    sides = {"ours": fake(log, "ours"), "compiled": broken}
    with pytest.raises(processes.WorkerError, match=r"compiled ended .*no compiler"):
        processes.in_turn(sides, rounds=1, steps=1)


def test_a_silent_worker_is_given_up(parts: dict[str, ModuleType]) -> None:
    processes = parts["processes"]
    worker = processes.Worker("ours", [sys.executable, "-c", "input()"], {}, patience=0.05)
    with pytest.raises(processes.WorkerError, match="ours gave no answer in 0 s"):
        worker.answer()
    worker.close()


def test_idleness_begins_when_the_work_ends(parts: dict[str, ModuleType]) -> None:
    def work(end: float) -> None:
        while time.perf_counter() < end:
            sum(range(1000))

    end = time.perf_counter() + 0.4
    thread = threading.Thread(target=work, args=[end])
    thread.start()
    with pytest.raises(RuntimeError, match="kept a core busy"):
        parts["serving"].idle_since(patience=0.1)
    since = parts["serving"].idle_since()
    assert not thread.is_alive()
    assert end - 0.05 < since < time.perf_counter() - 0.1


def test_a_failing_workload_loses_no_other(
    parts: dict[str, ModuleType], rows: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def good(bench: Any) -> Iterator[Any]:
        """Good."""
        yield rows.Row("B", "step", [1.0])

    def half(bench: Any) -> Iterator[Any]:
        """Half."""
        yield rows.Row("A", "first", [1.0])
        raise RuntimeError("out of memory")

    measure = parts["measure"]
    monkeypatch.setattr(measure, "WORKLOADS", [("AG", half), ("B", good), ("C", good)])
    machine = {
        "cpu": "Z80",
        "flags": [],
        "cores": 1,
        "memory_gib": 1,
        "date": "",
        "load_average": 0,
    }
    about = {"machine": machine, "pairs": 1, "kernels": "auto"}
    about["versions"] = {"ours": {"numpy": "1.26"}, "peer": {}}
    assert not measure.measure(None, {"G", "B"}, tmp_path / "new", about)
    written = json.loads((tmp_path / "new" / "results.json").read_text())
    assert [row["what"] for row in written["rows"]] == ["first", "Half", "step"]
    assert written["rows"][1]["failed"] == "RuntimeError: out of memory"
    report = (tmp_path / "new" / "results.md").read_text()
    assert "Z80" in report
    assert "numpy 1.26" in report


def make_program(path: Path, code: str) -> str:
    """A command that runs these lines of Python."""
    path.write_text(f"#!{sys.executable}\n{code}")
    path.chmod(0o755)
    return str(path)


def test_the_first_step_is_seen_in_the_metrics(
    parts: dict[str, ModuleType], tmp_path: Path
) -> None:
    program = make_program(
        tmp_path / "program",
        "import os, pathlib, sys, time\n"
        "folder = pathlib.Path(sys.argv[-1])\n"
        "assert os.environ['HOME'] == str(folder.parent)\n"
        "folder.mkdir()\n"
        "time.sleep(0.2)\n"
        "(folder / 'metrics.jsonl').write_text('{}')\n"
        "time.sleep(0.2)\n"
        "(folder.parent / f'{folder.name}.done').touch()\n",
    )
    begin = time.perf_counter()
    seconds = parts["starts"].first_step(program, tmp_path, "first")
    assert 0.2 <= seconds < time.perf_counter() - begin - 0.1
    assert (tmp_path / "first.done").exists()
    program = make_program(tmp_path / "program", "raise SystemExit(3)\n")
    with pytest.raises(RuntimeError, match="ended with 3 before a step"):
        parts["starts"].first_step(program, tmp_path, "second")


def test_waiting_for_images_is_what_the_trainer_counts(
    parts: dict[str, ModuleType], tmp_path: Path
) -> None:
    program = make_program(
        tmp_path / "program",
        "import json, pathlib, sys\n"
        "folder = pathlib.Path(sys.argv[sys.argv.index('--results-folder') + 1])\n"
        "assert sys.argv[sys.argv.index('--steps') + 1] == '5' and sys.argv[-1] == 'more'\n"
        "folder.mkdir()\n"
        "seconds = {'steps': 8.0, 'data': 2.0, 'compiling': 9.0, 'drawing': 1.0}\n"
        "(folder / 'progress.json').write_text(json.dumps({'seconds': seconds}))\n",
    )
    found = parts["starts"].waiting(program, tmp_path / "images", 32, 5, ["more"])
    assert found == (0.2, 2.0)


def test_the_machine_is_described(parts: dict[str, ModuleType], tmp_path: Path) -> None:
    machine = parts["machine"].describe_machine()
    assert machine["cpu"]
    assert machine["cores"] == os.cpu_count()
    assert machine["memory_gib"] > 0
    versions = parts["machine"].versions
    assert versions(sys.executable, "pytest")["pytest"] == pytest.__version__
    assert versions(sys.executable, "no-such-package") == {}
    assert parts["machine"].commit(tmp_path) == "unknown"
    assert parts["machine"].kernels(str(tmp_path / "python")) == ""


def test_the_command_explains_itself_and_refuses_what_it_does_not_know() -> None:
    run = HERE / "run"
    told = subprocess.run([run, "--help"], capture_output=True, text=True)
    assert told.returncode == 0
    assert "--kernels" in told.stdout
    command = [sys.executable, HERE / "measure.py", "--only", "A,X"]
    told = subprocess.run(command, capture_output=True, text=True)
    assert told.returncode == 2
    assert "there is no workload X" in told.stderr


@pytest.mark.parametrize("number", range(11))
def test_every_workload_makes_rows_of_what_was_measured(
    parts: dict[str, ModuleType], number: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench, workloads = parts["bench"], parts["workloads"]
    asked = []

    def compare(self: Any, sides: dict[str, Any], steps: int) -> Any:
        asked.append(json.loads(json.dumps(sides)))
        seconds = {side: [float(i + 1), float(i + 1)] for i, side in enumerate(sides)}
        peak = dict.fromkeys(sides, 2**30)
        ready = {side: {"parameters": 7, "prepared": 1.0, "flops": 3.0} for side in sides}
        return parts["processes"].Measured(seconds, ready, peak)

    def told(*command: str) -> str:
        if "-c" in command:
            return subprocess.run(command, check=True, capture_output=True, text=True).stdout
        return '{"images": 10, "opened": 2.0, "batch": 0.01}'

    monkeypatch.setattr(bench.Bench, "compare", compare)
    monkeypatch.setattr(bench.Bench, "peer_has", lambda *_: True)
    monkeypatch.setattr(workloads, "told", told)
    monkeypatch.setattr(parts["strongest"].shutil, "which", lambda name: name)
    for part in (workloads, parts["texts"]):
        monkeypatch.setattr(part, "seconds_of", lambda command, rounds: [1.0] * rounds)
    monkeypatch.setattr(workloads, "first_steps", lambda program, rounds: ([2.0], [1.0]))
    monkeypatch.setattr(workloads, "waiting", lambda *_: (0.01, 0.2))
    letters, workload = workloads.WORKLOADS[number]
    rows = list(workload(bench.Bench(sys.executable, "peer", 2, 1.0, True)))
    assert {row.workload for row in rows} == set(letters)
    assert all(row.ours and not row.failed for row in rows)
    assert len(parts["rows"].table(rows).splitlines()) >= 2 + len(rows)
    for sides in asked:
        own = ("compile", "compile_cache", "amp", "autocast", "channels_last")
        own += ("conv_precision", "openvino", "count")
        networks = [spec for spec in sides.values() if spec["task"] != "product"]
        kept = [{k: v for k, v in s.items() if k not in own} for s in networks]
        assert all(spec == kept[0] for spec in kept)
