"""What only saves time is no reason to fail: full disks, and folders that are not there."""

from __future__ import annotations

import hashlib
import logging
import resource
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from mindspore import Tensor

from ddpm_mindspore.accelerated.system import compile_cache, graph_stage, runtime
from ddpm_mindspore.accelerated.system.compile_cache import KEPT, CompileCache, compiled


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Where graphs are kept, with keeping them turned on, and notes that were not made before."""
    monkeypatch.setenv(runtime.CACHE, str(tmp_path / "graphs"))
    monkeypatch.delenv("MS_COMPILER_CACHE_ENABLE", raising=False)
    compile_cache._note.cache_clear()
    runtime.select_device()
    with runtime.compile_cache_allowed():
        yield tmp_path / "graphs"


@pytest.fixture
def notes(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    caplog.set_level(logging.WARNING, "ddpm_mindspore")
    return caplog


def times(factor: float) -> float:
    """The factor, by a new graph that multiplies with it."""

    def multiplied(x: Tensor) -> Tensor:
        for _ in range(30):
            x = x * 1.0
        return x * factor

    return float(compiled(multiplied)(Tensor(np.float32([1.0]))).asnumpy()[0])


@contextmanager
def files_of_at_most(size: int) -> Iterator[None]:
    """Whatever is written beyond this is refused, as a full disk does."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def stage() -> Path:
    return graph_stage.stage_of_process().top


def test_a_graph_that_was_written_in_part_is_not_kept(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)
    written = graph_stage.Stage.written

    def with_room_again(stage: graph_stage.Stage) -> bytes | None:
        resource.setrlimit(resource.RLIMIT_FSIZE, limit)
        return written(stage)

    with files_of_at_most(4096), monkeypatch.context() as patch:
        patch.setattr(graph_stage.Stage, "written", with_room_again)
        assert times(2.0) == 2.0
    assert not folder.exists() or not list(folder.iterdir())
    assert times(2.0) == 2.0
    assert len(list(folder.iterdir())) == 1
    assert not list(stage().rglob("*.mindir"))


def test_a_graph_that_cannot_be_laid_out_is_compiled(
    folder: Path, notes: pytest.LogCaptureFixture
) -> None:
    assert times(2.0) == 2.0
    (path,) = folder.iterdir()
    before = path.read_bytes()
    with files_of_at_most(4096):
        assert times(2.0) == 2.0
    assert notes.messages == [
        f"compiled graphs are neither loaded nor kept: {stage()}: File too large"
    ]
    assert path.read_bytes() == before


def test_without_room_a_graph_is_not_written(
    folder: Path, notes: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(graph_stage, "ROOM", 2**60)
    assert times(2.0) == times(2.0) == 2.0
    assert not folder.exists()
    (note,) = notes.messages
    assert note.endswith(f": {stage()}: less than {2**40} MiB are free")


def test_a_temporary_folder_that_was_removed_is_not_made_anew(
    folder: Path, notes: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    there = stage()
    there.rename(tmp_path / "elsewhere")
    try:
        assert times(2.0) == 2.0
        assert not there.exists() and not folder.exists()
    finally:
        (tmp_path / "elsewhere").rename(there)
    assert notes.messages == [
        f"compiled graphs are neither loaded nor kept: {there}: it was removed"
    ]
    shutil.rmtree(there / "rank_0", ignore_errors=True)  # what is inside it, is
    assert times(2.0) == 2.0 and len(list(folder.iterdir())) == 1


def test_a_graph_that_mindspore_cannot_load_is_replaced(folder: Path) -> None:
    assert times(2.0) == 2.0
    (path,) = folder.iterdir()
    good = path.read_bytes()
    for bad in (b"h\x03", b"\x0f"):  # the end of a graph, and what can be in none
        path.write_bytes(hashlib.sha256(bad).digest() + bad)
        assert times(2.0) == 2.0
        assert path.stat().st_size > 0.9 * len(good)


def test_a_folder_in_a_graphs_place_stays_there(
    folder: Path, notes: pytest.LogCaptureFixture
) -> None:
    assert times(2.0) == 2.0
    (path,) = folder.iterdir()
    path.unlink()
    path.mkdir()
    assert times(2.0) == 2.0
    assert notes.messages == [
        f"compiled graphs cannot be read in {folder}: Is a directory",
        f"compiled graphs cannot be kept in {folder}: Is a directory",
    ]
    assert list(folder.iterdir()) == [path]


def test_a_folder_that_cannot_be_made_is_named(
    folder: Path, notes: pytest.LogCaptureFixture
) -> None:
    folder.write_text("a file")
    assert times(2.0) == 2.0
    assert times(3.0) == 3.0
    assert notes.messages == [  # once, and not for every graph
        f"compiled graphs cannot be read in {folder}: Not a directory",
        f"compiled graphs cannot be kept in {folder}: File exists",
    ]


def test_only_graphs_make_room(folder: Path) -> None:
    """The user may have named a folder that holds other things."""
    folder.mkdir()
    for i in range(KEPT + 5):
        (folder / f"picture {i}.png").touch()
    (folder / ("a" * 64)).mkdir()
    assert times(2.0) == 2.0
    assert len(list(folder.iterdir())) == KEPT + 5 + 2
    assert len(CompileCache(folder).kept()) == 1


def test_graphs_are_found_after_something_was_run_eagerly_or_not_counted(folder: Path) -> None:
    """MindSpore numbers what it compiles, and what it runs without compiling has no number."""
    assert times(2.0) == 2.0
    (two,) = folder.iterdir()
    assert times(3.0) == 3.0
    (three,) = set(folder.iterdir()) - {two}
    right = two.read_bytes()
    two.write_bytes(three.read_bytes())
    with runtime.eager():
        assert times(4.0) == 4.0
    assert times(2.0) == 3.0  # found
    assert times(2.0) == 3.0
    graph_stage.stage_of_process()._number += 2
    two.write_bytes(right)
    assert times(2.0) == 2.0  # compiled anew: it was laid out under another number
    two.write_bytes(three.read_bytes())
    assert times(2.0) == 3.0  # found again
