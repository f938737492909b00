"""A trace tells a sound device from a broken one, with NumPy alone, and refuses to be damaged."""

from __future__ import annotations

import ast
import inspect
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from ddpm_mindspore.parity import test_layers as layers
from ddpm_mindspore.parity import test_process as process
from ddpm_mindspore.parity.report import trace, verify_trace
from ddpm_mindspore.parity.report.command import run
from ddpm_mindspore.parity.report.options import ParityConfig

from .properties import IMAGES, LAYER, PROPERTIES

DEVICE = Path(__file__).with_name("numpy_device.py")
ABOUT = {"package": "ddpm-mindspore 0", "suite": "abc", "seed": 0, "created": "2026-01-02"}
NOTING = (
    *("process", "objective: simple_loss", "samplers", "layers", "unet", "gradients"),
    "optimizer: updates",
)
# What no planted bug has an example for.
MORE = [
    (process.two_terms, {**IMAGES, "formula": "x0_from_eps"}),
    (process.two_terms, {**IMAGES, "formula": "v_from_x0"}),
    (process.two_terms, {**IMAGES, "formula": "x0_from_v"}),
    (layers.layer, {**LAYER, "kind": "conv2d", "kernel": 3}),
    (layers.layer, {**LAYER, "kind": "linear"}),
    (layers.layer, {**LAYER, "kind": "fourier_embedding"}),
]


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A trace of every operation. The properties run in no mode: nothing is asked of the device."""
    folder = tmp_path_factory.mktemp("recorded") / "trace"
    noted = trace.record()
    try:
        noting = [PROPERTIES[name] for name in PROPERTIES if name.startswith(NOTING)]
        for function, arguments in [*noting, *MORE]:
            function(**{**arguments, "modes": ()})
    finally:
        trace.stop()
    noted.write(folder, ABOUT)
    return folder


@pytest.fixture
def copy(recorded: Path, tmp_path: Path) -> Path:
    folder = tmp_path / "trace"
    folder.mkdir()
    for path in recorded.iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    return folder


def verify(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the verifier that lies in a trace, as a person would."""
    command = [sys.executable, "verify_trace.py", *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True)


def test_numpy_in_float32_passes_every_operation(recorded: Path) -> None:
    assert {path.name for path in recorded.iterdir()} == {
        "cases.npz", "manifest.json", "verify_trace.py",
    }  # fmt: skip
    done = verify(recorded, str(DEVICE))
    assert done.returncode == 0, done.stdout + done.stderr
    head, *rows, _, last = done.stdout.splitlines()
    assert head.split() == ["operation", "cases", "worst/bound", "example"]
    assert [row.split()[:2] for row in rows] == [["pass", name] for name in trace.OPERATIONS]
    assert last == f"{len(trace.OPERATIONS)} operations hold (0 skipped)"
    worst = {row.split()[1]: float(row.split()[3]) for row in rows}
    assert all(0.0 <= share <= 1.0 for share in worst.values())
    assert sum(share > 0.01 for share in worst.values()) > len(worst) // 2  # bounds, not blanks


@pytest.mark.parametrize(
    ("right", "wrong", "failing"),
    [
        ("layers.gelu(a", "layers.silu(a", "gelu"),
        ('s, kind, batch.x_0, batch.t, batch.noise)', 's, kind, batch.noise, batch.t, batch.x_0)',
         "training_loss"),
        ('"v": process.v_from_x0', '"no": process.v_from_x0', "v_from_x0"),
        ('options["eps"]', 'options["eps"] * 1.001', "adam"),
        ("states[1] if to else last", "last", "ddim_step"),
    ],
)  # fmt: skip
def test_one_bug_fails_one_operation(
    right: str,
    wrong: str,
    failing: str,
    recorded: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    text = DEVICE.read_text(encoding="utf-8")
    assert text.count(right) == 1
    (tmp_path / "device.py").write_text(text.replace(right, wrong), encoding="utf-8")
    assert verify_trace.main(["--trace", str(recorded), str(tmp_path / "device.py")]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[-1].endswith(f"operations fail (0 skipped): {failing}")
    bad = [line.split()[1] for line in lines if line.startswith("FAIL")]
    assert bad == [failing]


def test_a_few_functions_are_enough_and_one_that_raises_fails(
    recorded: Path, tmp_path: Path
) -> None:
    (tmp_path / "one.py").write_text(
        "import numpy as np\n"
        "def gelu(inputs, options):\n    raise RuntimeError('no such kernel')\n"
        "def x0_from_v(inputs, options):\n    return {'x_0': np.full((2, 3, 2, 1), 1.0)}\n"
    )
    done = verify(recorded, str(tmp_path / "one.py"))
    assert done.returncode == 1
    assert "gelu-1: RuntimeError: no such kernel" in done.stdout
    assert "x_0 has shape (2, 3, 2, 1), not " in done.stdout
    skipped = len(trace.OPERATIONS) - 2
    assert f"2 of 2 operations fail ({skipped} skipped): x0_from_v, gelu" in done.stdout
    (tmp_path / "none.py").write_text("")
    assert verify(recorded, str(tmp_path / "none.py")).returncode == 2
    assert "absent.py is not there" in verify(recorded, "absent.py").stderr


def test_results_come_as_files_too(recorded: Path, tmp_path: Path) -> None:
    folder = tmp_path / "files"
    done = verify(recorded, "--export", str(folder))
    assert done.returncode == 0 and done.stdout.endswith(f"cases are in {folder}\n")
    about = json.loads((folder / "x0_from_v-1/case.json").read_text())
    shape = list(np.load(folder / "x0_from_v-1/inputs/x_t.npy").shape)
    assert about == {"operation": "x0_from_v", "options": {}, "results": {"x_0": shape}}
    for name in ("x0_from_v", "q_sample"):
        case = next(c for c in verify_trace.read_cases(recorded) if c.operation == name)
        for result, value in case.expected.items():
            np.save(folder / case.name / f"{result}.npy", value.astype(np.float32))
    assert verify(recorded, str(folder)).returncode == 0
    np.save(folder / "q_sample-1/x_t.npy", case.expected["x_t"] * 1.001)
    done = verify(recorded, str(folder))
    assert done.returncode == 1
    skipped = len(trace.OPERATIONS) - 2
    last = f"1 of 2 operations fail ({skipped} skipped): q_sample"
    assert done.stdout.splitlines()[-1] == last


def test_without_an_answer_it_describes_itself(recorded: Path) -> None:
    done = verify(recorded)
    assert done.returncode == 0
    for operation, meaning in trace.OPERATIONS.items():
        assert f"\n{operation}\n  {meaning}\n  {operation}-1: " in done.stdout


@pytest.mark.parametrize("name", ["manifest.json", "cases.npz"])
@pytest.mark.parametrize("share", [0.0, 0.5, 0.99])
def test_a_damaged_trace_is_refused(name: str, share: float, copy: Path) -> None:
    data = bytearray((copy / name).read_bytes())
    data[int(share * len(data))] ^= 1
    (copy / name).write_bytes(data)
    done = verify(copy, str(DEVICE))
    assert done.returncode == 2
    assert done.stderr.startswith("verify_trace.py: ") and name in done.stderr
    assert done.stderr.count("\n") == 1


def test_what_is_missing_or_of_another_version_is_refused(copy: Path) -> None:
    document = json.loads((copy / "manifest.json").read_text())
    (copy / "manifest.json").write_text(json.dumps({**document, "version": 2}))
    assert "version 2, and this program reads" in verify(copy).stderr
    (copy / "manifest.json").write_text(json.dumps(document))
    (copy / "cases.npz").unlink()
    assert "cases.npz is missing: copy the whole folder" in verify(copy).stderr
    (copy / "manifest.json").unlink()
    assert "holds no trace" in verify(copy).stderr


def test_a_few_small_and_different_cases_of_each_operation_are_kept() -> None:
    noted = trace.Trace()
    for size in (2, 2, trace.LARGEST, 3, 4, 5, 6):
        x = np.zeros(size, np.float32)
        noted.note("gelu", {}, {"x": x}, {"output": x}, {"output": 1.0})
    shapes = [noted.arrays[f"{case['case']}/in/x"].shape for case in noted.cases]
    assert shapes == [(2,), (3,), (4,)]
    with pytest.raises(AssertionError, match="is not described"):
        noted.note("no such", {}, {}, {}, {})


def test_nan_and_infinity_are_beyond_any_bound() -> None:
    expected = np.zeros(2)
    assert verify_trace.share_of(np.array([np.nan, 0.0]), expected, 1.0) == np.inf
    assert verify_trace.share_of(np.array([np.inf, 0.0]), expected, 1.0) == np.inf
    assert verify_trace.share_of(np.array([0.0, 0.5]), expected, 1.0) == 0.5
    assert verify_trace.share_of(np.zeros(3), expected, 1.0) == np.inf
    assert verify_trace.share_of(np.array(["a", "b"]), expected, 1.0) == np.inf


def test_the_verifier_is_one_file_for_old_pythons_with_numpy() -> None:
    source = inspect.getsource(verify_trace)
    tree = ast.parse(source, feature_version=(3, 7))
    allowed = {"numpy", "__future__"} | set(sys.stdlib_module_names)
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            assert {alias.name.partition(".")[0] for alias in node.names} <= allowed
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0 and str(node.module).partition(".")[0] in allowed


def test_a_folder_with_other_files_is_not_written_to(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "photo").touch()
    assert run(ParityConfig(record=tmp_path, report=tmp_path / "report")) == 2
    assert f"record folder {str(tmp_path)!r} holds other files: name a new" in (
        capsys.readouterr().err
    )
    assert {path.name for path in tmp_path.iterdir()} == {"photo", "report"}
