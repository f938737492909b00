"""Fingerprints: what a compiled graph depends on changes them, and where it lies does not."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path

import mindspore as ms
import numpy as np
import pytest
from mindspore import Parameter, Tensor, ops

from ddpm_mindspore.accelerated import kernels
from ddpm_mindspore.accelerated.system import fingerprint as module
from ddpm_mindspore.accelerated.system import runtime
from ddpm_mindspore.accelerated.system.fingerprint import fingerprint, parameters


def vector(*values: float) -> Tensor:
    return Tensor(np.float32(values))


def _doubled(x: Tensor) -> Tensor:
    return x * 2.0


def test_a_fingerprint_is_of_code_constants_tables_and_shapes() -> None:
    table = np.arange(3.0)

    def made(factor: float, values: object, name: str = "w") -> Callable[[Tensor], Tensor]:
        w = Parameter(vector(1.0), name=name)

        def f(x: Tensor) -> Tensor:
            return x * factor * w + values  # type: ignore[operator]

        return f

    def otherwise(x: Tensor) -> Tensor:
        return x * 2.0

    one = (vector(1.0),)
    same = fingerprint(made(2.0, table), one)
    assert fingerprint(made(2.0, table.copy()), (vector(7.0),)) == same
    others = {
        same,
        fingerprint(made(3.0, table), one),
        fingerprint(made(2.0, table + 1), one),
        fingerprint(made(2.0, Tensor(table)), one),
        fingerprint(made(2.0, table, "v"), one),
        fingerprint(made(2.0, table), (vector(1.0, 2.0),)),
        fingerprint(made(2.0, table), (vector(1.0), None)),
        fingerprint(otherwise, one),
        fingerprint(_doubled, one),
    }
    assert len(others) == 9
    one_order, another = frozenset([0, 8]), frozenset([8, 0])
    assert list(one_order) != list(another)
    sets = [fingerprint(made(2.0, x), one) for x in (one_order, another, frozenset([8]))]
    assert sets[0] == sets[1] != sets[2]


def test_parameters_are_found_wherever_they_are() -> None:
    total = Parameter(vector(0.0), name="total")
    held = {"here": [total], "method": partial(ops.assign, total)}

    def f(x: Tensor) -> Tensor:
        return held, x  # type: ignore[return-value]

    assert parameters(f) == {"total": total}
    held["there"] = [Parameter(vector(1.0), name="total")]
    with pytest.raises(RuntimeError, match="same name"):
        parameters(f)


def of_doubled() -> str:
    return fingerprint(_doubled, (vector(1.0),))


@pytest.mark.skipif(not kernels.in_use(), reason="no compiled operators")
def test_a_compiled_operator_is_its_name_and_its_results() -> None:
    def made(stride: int) -> str:
        return fingerprint(kernels.CompiledConvolution(stride).construct, ())

    assert made(1) == made(1) != made(2)
    other = kernels.CompiledConvolution()
    other.convolve = other.input_gradient
    assert fingerprint(other.construct, ()) != made(1)


def test_what_mindspore_was_told_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    before = of_doubled()
    monkeypatch.setenv("MS_DEV_SOMETHING", "1")
    told = of_doubled()
    monkeypatch.delenv("MS_DEV_SOMETHING")
    calls = ms.get_context("max_call_depth")
    ms.set_context(max_call_depth=calls + 1)
    try:
        assert len({before, told, of_doubled()}) == 3
    finally:
        ms.set_context(max_call_depth=calls)
    assert of_doubled() == before


def test_the_program_is_its_files_wherever_they_lie(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def program() -> bytes:
        module._program.cache_clear()
        return module._program()

    here = program()
    top = Path(module.__file__).parents[2]
    copied = shutil.ignore_patterns("__pycache__")
    for part in ("accelerated", "reference"):
        shutil.copytree(top / part, tmp_path / part, ignore=copied)
    library = tmp_path / "accelerated" / "kernels" / "_cpu.abi3.so"
    library.touch()  # for who has no compiler
    known = runtime.kernel_library() is not None
    monkeypatch.setattr(
        module, "__file__", str(tmp_path / "accelerated" / "system" / "fingerprint.py")
    )
    monkeypatch.setattr(runtime, "kernel_library", lambda: library if known else None)
    assert program() == here
    (tmp_path / "accelerated" / "kernels" / "_cpu.cpython-311.so").touch()  # of an older version
    assert program() == here
    monkeypatch.setattr(runtime, "kernel_library", lambda: library)
    with library.open("ab") as file:
        file.write(b"built anew")
    assert program() != here
    changed = program()
    (tmp_path / "reference" / "new.py").touch()
    assert program() != changed
    monkeypatch.undo()
    assert program() == here


def test_a_package_that_was_built_anew_or_changed_is_another(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def install(folder: Path, digest: str) -> Path:
        record = folder / "thing-1.0.dist-info" / "RECORD"
        record.parent.mkdir(parents=True)
        (folder / "thing").mkdir()
        (folder / "thing" / "core.so").touch()
        (record.parent / "METADATA").write_text(
            "Metadata-Version: 2.1\nName: thing\nVersion: 1.0\n"
        )
        record.write_text(
            f"../bin/thing,sha256={folder.name},9\n"
            f"thing/core.so,sha256={digest},0\nthing/core.pyc,,\nthing-1.0.dist-info/RECORD,,\n"
        )
        return folder

    def seen(folder: Path) -> list[str]:
        with monkeypatch.context() as patch:
            patch.syspath_prepend(str(folder))
            return list(module._installed("thing"))

    one = install(tmp_path / "one", "abc")
    assert (
        seen(one)
        == seen(install(tmp_path / "two", "abc"))
        == [
            "1.0",
            "thing/core.so,sha256=abc,0",
        ]
    )
    assert seen(install(tmp_path / "three", "def")) != seen(one)
    later = (one / "thing-1.0.dist-info" / "RECORD").stat().st_mtime_ns + 10**9
    os.utime(one / "thing" / "core.so", ns=(later, later))
    assert seen(one)[2:] == [f"core.so 0 {later}"]
    assert list(module._installed("no such package")) == []
