"""Compiled graphs on disk: a second process gets the right one, with its own parameters."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from mindspore import Parameter, Tensor, ops

from ddpm_mindspore.accelerated.system import compile_cache, runtime
from ddpm_mindspore.accelerated.system.compile_cache import DIGEST, CompileCache, compiled


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Where graphs are kept, with keeping them turned on."""
    monkeypatch.setenv(runtime.CACHE, str(tmp_path / "graphs"))
    monkeypatch.delenv("MS_COMPILER_CACHE_ENABLE", raising=False)
    with runtime.compile_cache_allowed():
        yield tmp_path / "graphs"


class Counter:
    """Adds a multiple of what it is given to its parameter."""

    def __init__(self, start: float, factor: float = 2.0) -> None:
        self.total = Parameter(Tensor(np.float32([start])), name="total", requires_grad=False)
        total = self.total

        def add(x: Tensor) -> Tensor:
            ops.assign_add(total, x * factor)
            return total * 1.0

        self.function = add
        self.add = compiled(add)


def vector(*values: float) -> Tensor:
    return Tensor(np.float32(values))


@pytest.fixture
def stored(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The keys of the graphs that had to be compiled."""
    keys: list[str] = []
    keep = CompileCache._keep

    def noted(cache: CompileCache, key: str, graph: bytes) -> None:
        keys.append(key)
        keep(cache, key, graph)

    monkeypatch.setattr(CompileCache, "_keep", noted)
    return keys


def test_a_graph_that_is_found_works_on_the_parameters_that_are_there(
    folder: Path, stored: list[str]
) -> None:
    first, second = Counter(10.0), Counter(20.0)
    assert first.add(vector(1.0)).asnumpy() == [12.0]
    assert len(stored) == 1 and [path.name for path in folder.iterdir()] == stored
    assert second.add(vector(1.5)).asnumpy() == [23.0]
    assert second.add(vector(1.0)).asnumpy() == [25.0]
    assert len(stored) == 1  # nothing was compiled for the second one
    assert second.total.asnumpy() == [25.0] and first.total.asnumpy() == [12.0]
    ops.assign(second.total, vector(0.0))
    assert second.add(vector(1.0)).asnumpy() == [2.0]


def test_what_is_found_is_what_is_run(folder: Path, stored: list[str]) -> None:
    """Otherwise the tests here would say nothing: put another function's graph in its place."""
    Counter(0.0, 2.0).add(vector(1.0))
    Counter(0.0, 3.0).add(vector(1.0))
    two, three = stored
    (folder / two).write_bytes((folder / three).read_bytes())
    assert Counter(0.0, 2.0).add(vector(1.0)).asnumpy() == [3.0]


def test_the_order_of_compiling_does_not_matter(folder: Path, stored: list[str]) -> None:
    for factor in (4.0, 5.0):
        Counter(0.0, factor).add(vector(1.0))
    for factor in (5.0, 6.0, 4.0):
        assert Counter(0.0, factor).add(vector(1.0)).asnumpy() == [factor]
    assert len(stored) == 3


def test_every_shape_has_a_graph_of_its_own(folder: Path, stored: list[str]) -> None:
    for _ in range(2):
        doubled = compiled(_doubled)
        for size in (1, 2, 1):
            assert doubled(vector(*range(size))).tolist() == [2.0 * i for i in range(size)]
    assert len(set(stored)) == len(stored) == 2


def _doubled(x: Tensor) -> Tensor:
    return x * 2.0


@pytest.mark.parametrize("harm", [lambda data: data[:-1], lambda data: b"", lambda data: data[1:]])
def test_a_damaged_file_is_compiled_anew(
    folder: Path, stored: list[str], harm: Callable[[bytes], bytes]
) -> None:
    Counter(0.0).add(vector(1.0))
    (path,) = folder.iterdir()
    good = path.read_bytes()
    path.write_bytes(harm(good))
    assert Counter(1.0).add(vector(1.0)).asnumpy() == [3.0]
    assert stored == [path.name] * 2
    assert path.stat().st_size > len(good) // 2


def test_a_graph_that_has_changed_since_it_was_kept_is_compiled_anew(
    folder: Path, stored: list[str]
) -> None:
    """It would load, and compute something else."""
    Counter(0.0, 2.0).add(vector(1.0))
    Counter(0.0, 3.0).add(vector(1.0))
    two, three = ((folder / name).read_bytes() for name in stored)
    (folder / stored[0]).write_bytes(two[:DIGEST] + three[DIGEST:])
    assert Counter(0.0, 2.0).add(vector(1.0)).asnumpy() == [2.0]


def test_a_folder_that_cannot_be_written_is_no_reason_to_fail(folder: Path) -> None:
    folder.write_text("a file")
    assert Counter(1.0).add(vector(1.0)).asnumpy() == [3.0]
    assert folder.read_text() == "a file"


def test_the_oldest_graphs_make_room(
    folder: Path, stored: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compile_cache, "KEPT", 2)
    for i, factor in enumerate((1.0, 2.0, 1.0, 3.0)):
        Counter(0.0, factor).add(vector(1.0))
        for path in folder.iterdir():  # as if time had passed since
            os.utime(path, (path.stat().st_atime, path.stat().st_mtime - 100 * (4 - i)))
    one, _, three = stored
    assert {path.name for path in folder.iterdir()} == {one, three}


def test_without_being_allowed_nothing_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(runtime.CACHE, str(tmp_path / "graphs"))
    monkeypatch.setattr(runtime, "_cache_allowed", False)
    assert Counter(1.0).add(vector(1.0)).asnumpy() == [3.0]
    assert not (tmp_path / "graphs").exists()


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        (runtime.CACHE, "off", "DDPM_MINDSPORE_CACHE=off"),
        ("MS_COMPILER_CACHE_ENABLE", "1", "MindSpore's own cache is turned on"),
        ("MS_WORKER_NUM", "2", "there are several processes"),
    ],
)
def test_what_turns_it_off(
    folder: Path, monkeypatch: pytest.MonkeyPatch, name: str, value: str, reason: str
) -> None:
    assert runtime.compile_cache() == folder and runtime.compile_cache_reason() == ""
    monkeypatch.setenv(name, value)
    assert runtime.compile_cache() is None and reason in runtime.compile_cache_reason()


def test_the_folder_is_the_users(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv(runtime.CACHE, raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert runtime.compile_cache_folder() == tmp_path / "ddpm-mindspore" / "graphs"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert runtime.compile_cache_folder() == tmp_path / ".cache" / "ddpm-mindspore" / "graphs"


def test_other_settings_are_as_before(folder: Path, tmp_path: Path) -> None:
    before = dict(os.environ)
    with pytest.raises(KeyError), runtime.graphs_exchanged_with(tmp_path):
        assert os.environ["MS_COMPILER_CACHE_ENABLE"] == "1"
        raise KeyError
    assert dict(os.environ) == before


PROGRAM = """
import sys, numpy as np
from ddpm_mindspore.accelerated.system import runtime
from ddpm_mindspore.accelerated.system.compile_cache import compiled
from mindspore import Parameter, Tensor
runtime.select_device("CPU")
sys.path.insert(0, sys.argv[1])
import function
with runtime.compile_cache_allowed():
    print(compiled(function.f)(Tensor(np.float32([1, 2]))).asnumpy().tolist())
"""


def test_processes_at_once_without_a_main_file_and_after_a_change(tmp_path: Path) -> None:
    """The parameter is 3 in the first two processes, and 4 in the third: only the graph is kept."""
    for value, answer in (("3.0", "[5.0, 8.0]"), ("4.0", "[6.0, 10.0]")):
        (tmp_path / "function.py").write_text(
            "import numpy as np\n"
            "from mindspore import Parameter, Tensor\n"
            f"w = Parameter(Tensor(np.float32({value})), name='w')\n"
            "def make():\n"
            "    v = w\n"
            "    def f(x):\n"
            "        return x * v + 2.0\n"
            "    return f\n"
            "f = make()\n"
        )
        command = [sys.executable, "-c", PROGRAM, str(tmp_path)]
        env = os.environ | {runtime.CACHE: str(tmp_path / "graphs")}
        started = [
            subprocess.Popen(command, env=env, cwd=tmp_path, stdout=subprocess.PIPE, text=True)
            for _ in range(2 if value == "3.0" else 1)
        ]
        assert [process.communicate()[0].strip() for process in started] == [answer] * len(started)
        assert len(list((tmp_path / "graphs").iterdir())) == 1
    assert {path.name for path in tmp_path.iterdir()} <= {"function.py", "graphs", "__pycache__"}
