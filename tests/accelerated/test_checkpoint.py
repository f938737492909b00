"""Checkpoints: bit for bit, whole after any kill, and never silently damaged."""

from __future__ import annotations

import errno
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ddpm_mindspore.accelerated.runs.checkpoint import (
    Checkpoint,
    load,
    load_newest,
    newest,
    prune,
    remove_leftovers,
    save,
)
from ddpm_mindspore.accelerated.system.files import write_json


def make(step: int, value: float = 0.0, size: int = 100) -> Checkpoint:
    rng = np.random.default_rng([step, int(value)])
    model = {
        "init_conv.weight": rng.normal(size=(3, size)).astype(np.float32) + np.float32(value),
        "scale": np.asarray(np.float32(value)),
        "empty": np.zeros((0, 3), np.float32),
    }
    ema = {name: array * np.float32(0.5) for name, array in model.items()}
    return Checkpoint(step, {"model": model, "ema": ema}, {"value": value, "data": ["digits", 8]})


def assert_same(a: Checkpoint, b: Checkpoint) -> None:
    assert (a.step, a.state) == (b.step, b.state)
    assert a.tensors.keys() == b.tensors.keys()
    for group, tensors in a.tensors.items():
        assert tensors.keys() == b.tensors[group].keys()
        for name, array in tensors.items():
            other = b.tensors[group][name]
            assert (array.shape, array.dtype) == (other.shape, other.dtype)
            assert array.tobytes() == other.tobytes()


def flip_bit(path: Path, position: int) -> None:
    data = bytearray(path.read_bytes())
    data[position] ^= 1
    path.write_bytes(data)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


# What is written is what is read.


def test_a_checkpoint_comes_back_bit_for_bit(tmp_path: Path) -> None:
    folder = save(tmp_path, make(1000, 0.1))
    assert folder == tmp_path / "checkpoints" / "step-00001000" == newest(tmp_path)
    assert names(folder) == ["ema.safetensors", "model.safetensors", "state.json"]
    assert_same(load(folder), make(1000, 0.1))
    found = load_newest(tmp_path)
    assert_same(found.checkpoint, make(1000, 0.1))
    assert (found.folder, found.refused) == (folder, [])


def test_every_float_survives_nan_payloads_and_subnormals_included(tmp_path: Path) -> None:
    bits = np.array([0x7FC00001, 0xFF800000, 0x80000000, 0x00000001, 0x7F7FFFFF], np.uint32)
    odd = Checkpoint(0, {"model": {"w": bits.view(np.float32)}}, {"loss": 0.1 + 0.2})
    assert_same(load(save(tmp_path, odd)), odd)


def test_arrays_that_are_not_contiguous_keep_their_values(tmp_path: Path) -> None:
    base = np.arange(24, dtype=np.float32).reshape(4, 6)
    views = {"transposed": base.T, "strided": base[::2, ::-3], "fortran": np.asfortranarray(base)}
    read = load(save(tmp_path, Checkpoint(3, {"model": views}, {}))).tensors["model"]
    for name, array in views.items():
        np.testing.assert_array_equal(read[name], array)


def test_only_the_groups_asked_for_are_read(tmp_path: Path) -> None:
    folder = save(tmp_path, make(5))
    flip_bit(folder / "model.safetensors", -1)
    assert list(load(folder, ["ema"]).tensors) == ["ema"]
    assert load_newest(tmp_path, ["ema"]).refused == []
    with pytest.raises(ValueError, match=r"no tensors 'adam_m': it has model\.safetensors, ema"):
        load(folder, ["adam_m"])


def test_files_get_ordinary_modes(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        folder = save(tmp_path, make(1))
        write_json(tmp_path / "config.json", {})
    finally:
        os.umask(before)
    assert folder.stat().st_mode & 0o777 == 0o750
    for path in (*folder.iterdir(), tmp_path / "config.json"):
        assert path.stat().st_mode & 0o777 == 0o640, path


def test_newest_goes_by_step_and_not_by_time_or_spelling(tmp_path: Path) -> None:
    for step in (90_000_000, 7, 123_456_789, 1000):
        save(tmp_path, make(step))
    assert load_newest(tmp_path).checkpoint.step == 123_456_789
    assert load(newest(tmp_path) or tmp_path).step == 123_456_789


def test_a_run_without_checkpoints(tmp_path: Path) -> None:
    assert newest(tmp_path) is None
    assert newest(tmp_path / "nowhere") is None
    with pytest.raises(ValueError, match="holds no checkpoint: name the folder of a run"):
        load_newest(tmp_path)
    remove_leftovers(tmp_path)


# What cannot be saved is refused, and harms nothing.


@pytest.mark.parametrize(
    ("checkpoint", "message"),
    [
        (Checkpoint(-1, {}, {}), "step -1 must not be negative"),
        (Checkpoint(0, {"a/b": {}}, {}), "group 'a/b' must be a plain word"),
        (Checkpoint(0, {"m": {"w": np.zeros(2)}}, {}), "m 'w' is float64: only float32"),
        (Checkpoint(0, {"m": {"w": np.array([{}])}}, {}), "m 'w' is object: only float32"),
        (Checkpoint(0, {}, {"loss": float("nan")}), "state cannot be written as JSON"),
        (Checkpoint(0, {}, {"seed": np.int64(1)}), "state cannot be written as JSON"),
    ],
)
def test_what_cannot_be_kept_is_refused(
    tmp_path: Path, checkpoint: Checkpoint, message: str
) -> None:
    save(tmp_path, make(0, 1.0))
    with pytest.raises(ValueError, match=message):
        save(tmp_path, checkpoint)
    assert names(tmp_path / "checkpoints") == ["step-00000000"]
    assert_same(load_newest(tmp_path).checkpoint, make(0, 1.0))


def test_a_place_that_cannot_be_written_raises_oserror(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match="file"):
        save(tmp_path / "file" / "run", make(1))
    with pytest.raises(OSError, match="missing"):
        write_json(tmp_path / "missing" / "config.json", {})


@pytest.mark.parametrize("call", range(1, 6))
def test_a_full_disk_leaves_the_earlier_checkpoint_of_the_same_step(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: int
) -> None:
    save(tmp_path, make(8, 1.0))
    real, calls = os.fsync, 0

    def fail(descriptor: int) -> None:
        nonlocal calls
        calls += 1
        if calls == call:
            raise OSError(errno.ENOSPC, "No space left on device")
        real(descriptor)

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError, match="No space left"):
        save(tmp_path, make(8, 2.0))
    # Three files, their folder, and then, with the new name given, the folder above.
    expected = 1.0 if call < 5 else 2.0
    assert load_newest(tmp_path).checkpoint.state["value"] == expected
    assert not list((tmp_path / "checkpoints").glob(".*"))


# Damage is seen, named, and passed over.


@pytest.mark.parametrize("file", ["model.safetensors", "ema.safetensors", "state.json"])
@pytest.mark.parametrize("share", [0.0, 0.3, 0.6, 0.999])
def test_a_flipped_bit_anywhere_is_noticed(tmp_path: Path, file: str, share: float) -> None:
    save(tmp_path, make(1))
    folder = save(tmp_path, make(2))
    size = (folder / file).stat().st_size
    flip_bit(folder / file, int(share * size))
    with pytest.raises(ValueError, match=rf"{file} is damaged .*remove the folder to go on"):
        load(folder)
    found = load_newest(tmp_path)
    assert_same(found.checkpoint, make(1))
    assert len(found.refused) == 1
    assert file in found.refused[0]


@pytest.mark.parametrize("file", ["model.safetensors", "ema.safetensors", "state.json"])
@pytest.mark.parametrize("kept", [0, 1, -2])
def test_a_truncated_file_makes_a_checkpoint_incomplete(
    tmp_path: Path, file: str, kept: int
) -> None:
    older = save(tmp_path, make(1))
    folder = save(tmp_path, make(2))
    path = folder / file
    path.write_bytes(path.read_bytes()[:kept])
    assert newest(tmp_path) == older
    with pytest.raises(ValueError, match=rf"{file} is damaged"):
        load(folder)
    assert_same(load_newest(tmp_path).checkpoint, make(1))


@pytest.mark.parametrize("file", ["model.safetensors", "state.json"])
def test_a_missing_file_makes_a_checkpoint_incomplete(tmp_path: Path, file: str) -> None:
    folder = save(tmp_path, make(2))
    (folder / file).unlink()
    assert newest(tmp_path) is None
    with pytest.raises(ValueError, match="no checkpoint that can be loaded.*" + file):
        load_newest(tmp_path)


def test_a_newer_format_is_named_and_not_called_damage(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ddpm_mindspore.accelerated.runs.checkpoint.VERSION", 99)
    folder = save(tmp_path, make(2))
    monkeypatch.undo()
    with pytest.raises(ValueError, match=r"version 99, and this program reads .* version 1"):
        load(folder)


# A process may die at any moment.


def test_the_same_step_twice_leaves_the_second(tmp_path: Path) -> None:
    save(tmp_path, make(4, 1.0))
    save(tmp_path, make(4, 2.0))
    assert names(tmp_path / "checkpoints") == ["step-00000004"]
    assert_same(load_newest(tmp_path).checkpoint, make(4, 2.0))


@pytest.mark.parametrize("tidy", [True, False])
def test_a_kill_before_any_change_of_the_disk_loses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tidy: bool
) -> None:
    """Copy the run before each change; every copy is what a kill at that moment leaves."""
    run, copies = tmp_path / "run", tmp_path / "copies"
    copies.mkdir()
    save(run, make(4, 1.0))

    def copy_before(owner: Any, name: str) -> None:
        real = getattr(owner, name)

        def call(*args: Any, **kwargs: Any) -> Any:
            shutil.copytree(run, copies / f"{len(names(copies)):02d}-{name}")
            return real(*args, **kwargs)

        monkeypatch.setattr(owner, name, call)

    for owner, name in [(os, "fsync"), (os, "unlink"), (Path, "rename"), (Path, "mkdir")]:
        copy_before(owner, name)
    save(run, make(4, 2.0))
    monkeypatch.undo()
    values = []
    for copy in sorted(copies.iterdir()):
        found = load_newest(copy)
        assert newest(copy) == found.folder
        assert_same(found.checkpoint, make(4, found.checkpoint.state["value"]))
        values.append(found.checkpoint.state["value"])
        if tidy:
            remove_leftovers(copy)
            assert names(copy / "checkpoints") == ["step-00000004"]
            assert_same(load_newest(copy).checkpoint, found.checkpoint)
        save(copy, make(4, 3.0))
        assert_same(load_newest(copy).checkpoint, make(4, 3.0))
        assert [path.name for path in (copy / "checkpoints").glob("step-*")] == ["step-00000004"]
    assert values == sorted(values)
    assert set(values) == {1.0, 2.0}
    assert len(values) >= 10


def test_all_is_flushed_before_it_gets_its_name_and_the_name_before_a_deletion(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save(tmp_path, make(4, 1.0))
    parent = tmp_path / "checkpoints"
    flushed: set[int] = set()
    events: list[str] = []
    real_fsync, real_rename, real_rmtree = os.fsync, Path.rename, shutil.rmtree

    def fsync(descriptor: int) -> None:
        flushed.add(os.fstat(descriptor).st_ino)
        events.append("flush" if os.fstat(descriptor).st_ino == parent.stat().st_ino else "")
        real_fsync(descriptor)

    def rename(source: Path, target: Path) -> Path:
        if target.name == "step-00000004":
            assert {path.stat().st_ino for path in (source, *source.iterdir())} <= flushed
            events.append("rename")
        return real_rename(source, target)

    def rmtree(path: Path, **options: Any) -> None:
        if path.exists():
            events.append(f"delete {path.name}")
        real_rmtree(path, **options)

    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(Path, "rename", rename)
    monkeypatch.setattr(shutil, "rmtree", rmtree)
    save(tmp_path, make(4, 2.0))
    assert [e for e in events if e] == ["rename", "flush", "delete step-00000004.old"]


SAVE_FOR_EVER = """
import sys
from itertools import count
from pathlib import Path
import numpy as np
from ddpm_mindspore.accelerated.runs.checkpoint import Checkpoint, save
for n in count(int(sys.argv[2])):
    tensors = {"w": np.full(200_000, n, np.float32)}
    # Each step is saved three times, so that replacing is interrupted too.
    save(Path(sys.argv[1]), Checkpoint(n // 3, {"model": tensors, "ema": tensors}, {"n": n}))
    print(n, flush=True)
"""


def test_kill_9_at_random_moments_never_loses_a_finished_save(tmp_path: Path) -> None:
    rng = random.Random(time.time_ns())
    n = 0
    for _ in range(6):
        command = [sys.executable, "-c", SAVE_FOR_EVER, str(tmp_path), str(n)]
        child = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert child.stdout is not None
        first = child.stdout.readline()
        time.sleep(rng.uniform(0.0, 0.1))
        child.send_signal(signal.SIGKILL)
        finished = int((first + child.stdout.read()).split()[-1])
        child.stdout.close()
        assert child.wait() == -signal.SIGKILL
        found = load_newest(tmp_path)
        n = found.checkpoint.state["n"]
        assert found.refused == []
        assert n in (finished, finished + 1)
        for tensors in found.checkpoint.tensors.values():
            assert (tensors["w"] == n).all()
        n += 1
    remove_leftovers(tmp_path)
    assert all(name.startswith("step-") for name in names(tmp_path / "checkpoints"))
    assert load_newest(tmp_path).checkpoint.state["n"] == n - 1


def test_leftovers_are_removed_and_nothing_else(tmp_path: Path) -> None:
    folder = save(tmp_path, make(1))
    for name in (".step-00000002.123.tmp", ".step-00000001.7.tmp", ".step-00000001.old.7.tmp"):
        shutil.copytree(folder, folder.with_name(name))
    for name in (".step-2.notes.tmp", "step-mine.old", ".mine.123.tmp"):
        (folder.parent / name).mkdir()
    (tmp_path / ".step-00000002.123.tmp").mkdir()
    assert newest(tmp_path) == folder
    remove_leftovers(tmp_path)
    assert names(tmp_path) == [".step-00000002.123.tmp", "checkpoints"]
    mine = [".mine.123.tmp", ".step-2.notes.tmp", "step-00000001", "step-mine.old"]
    assert names(tmp_path / "checkpoints") == mine


# Old checkpoints go once a newer one is safe.


@pytest.mark.parametrize(
    ("keep_last", "keep_every", "left"),
    [
        (1, None, [70]),
        (3, None, [50, 60, 70]),
        (2, 30, [30, 60, 70]),
        (1, 20, [20, 40, 60, 70]),
        (99, None, [10, 20, 30, 40, 50, 60, 70]),
        (None, 30, [10, 20, 30, 40, 50, 60, 70]),
    ],
)
def test_old_checkpoints_are_pruned(
    tmp_path: Path, keep_last: int | None, keep_every: int | None, left: list[int]
) -> None:
    for step in range(10, 80, 10):
        save(tmp_path, make(step))
    prune(tmp_path, 70, keep_last=keep_last, keep_every=keep_every)
    assert names(tmp_path / "checkpoints") == [f"step-{step:08d}" for step in left]


def test_damaged_checkpoints_do_not_count_and_newer_ones_are_left_alone(tmp_path: Path) -> None:
    """As after going on from step 30 because 40 is damaged, and saving 35."""
    for step in (10, 20, 30, 35, 40):
        save(tmp_path, make(step))
    (tmp_path / "checkpoints/step-00000030/model.safetensors").unlink()
    flip_bit(tmp_path / "checkpoints/step-00000040/model.safetensors", -1)
    prune(tmp_path, 35, keep_last=2, keep_every=None)
    assert names(tmp_path / "checkpoints") == ["step-00000020", "step-00000035", "step-00000040"]
    assert load_newest(tmp_path).checkpoint.step == 35


def test_a_kill_while_pruning_leaves_no_half_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for step in (10, 20):
        save(tmp_path, make(step))

    def die(path: Path) -> None:
        (path / "state.json").unlink()
        raise KeyboardInterrupt

    monkeypatch.setattr(shutil, "rmtree", die)
    with pytest.raises(KeyboardInterrupt):
        prune(tmp_path, 20, keep_last=1, keep_every=None)
    monkeypatch.undo()
    assert [path.name for path in tmp_path.glob("checkpoints/step-*")] == ["step-00000020"]
    remove_leftovers(tmp_path)
    assert names(tmp_path / "checkpoints") == ["step-00000020"]


def test_a_checkpoint_pruned_while_it_is_read_gives_way_to_a_newer_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As when drawing from a run that is trained meanwhile."""
    save(tmp_path, make(10))
    real = Path.read_bytes

    def read(path: Path) -> bytes:
        if path.name == "model.safetensors" and "step-00000010" in str(path):
            save(tmp_path, make(20))
            prune(tmp_path, 20, keep_last=1, keep_every=None)
        return real(path)

    monkeypatch.setattr(Path, "read_bytes", read)
    found = load_newest(tmp_path)
    assert_same(found.checkpoint, make(20))
    assert found.refused == []


# JSON files.


def test_write_json_replaces_whole_files_only(tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    write_json(path, {"dim": 64, "lr": 8e-5})
    (tmp_path / "kept.json").hardlink_to(path)
    with pytest.raises(ValueError, match=r"config\.json cannot be written as JSON"):
        write_json(path, {"lr": float("inf")})
    assert json.loads(path.read_text()) == {"dim": 64, "lr": 8e-5}
    write_json(path, [1])
    assert path.read_text() == "[\n  1\n]\n"
    # The old file was left as it was, not written over.
    assert json.loads((tmp_path / "kept.json").read_text()) == {"dim": 64, "lr": 8e-5}
    assert names(tmp_path) == ["config.json", "kept.json"]


def test_write_json_flushes_before_it_renames(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(descriptor: int) -> None:
        raise OSError(errno.EIO, "Input/output error")

    path = tmp_path / "config.json"
    write_json(path, 1)
    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError, match="Input/output"):
        write_json(path, 2)
    assert json.loads(path.read_text()) == 1
    assert names(tmp_path) == ["config.json"]
