"""The compiled operators in a process of their own: other threads, another instruction set.

A process chooses both once, and oneDNN reads ONEDNN_MAX_CPU_ISA when it is loaded. Run as a program
this is the other end: it needs NumPy, not MindSpore, and so starts in a fraction of a second.
"""

from __future__ import annotations

import ctypes
import io
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

Array: TypeAlias = NDArray[Any]


@dataclass(frozen=True, eq=False)
class Call:
    """An operator of the library by its name, what it reads, and the shapes of its results.

    What it reads and changes, ``changed``, comes after what it only reads; it is a result too.
    """

    operator: str
    inputs: Sequence[Array]
    shapes: Sequence[tuple[int, ...]]
    changed: Sequence[Array] = ()


def run(calls: Sequence[Call], threads: int, instructions: str) -> list[list[Array]]:
    """The results of each call, one call after another in a new process.

    Raises:
        RuntimeError: the process failed; what it said.
    """
    import mindspore as ms

    from ...accelerated.system import runtime

    arrays: dict[str, Array] = {}
    for i, call in enumerate(calls):
        results = [np.zeros(shape, np.float32) for shape in call.shapes]
        named = [("in", x) for x in call.inputs] + [("out", x) for x in (*call.changed, *results)]
        arrays |= {f"{i}.{call.operator}.{j}.{end}": x for j, (end, x) in enumerate(named)}
    said = io.BytesIO()
    np.savez(said, **arrays)
    onednn = Path(ms.__file__).parent / "lib" / "libdnnl.so.3"
    arguments = [str(runtime.kernel_library()), str(onednn), str(threads)]
    done = subprocess.run(
        [sys.executable, "-m", __name__, *arguments],
        input=said.getvalue(),
        capture_output=True,
        env={**os.environ, "ONEDNN_MAX_CPU_ISA": instructions},
    )
    if done.returncode != 0:
        raise RuntimeError(f"the compiled operators failed: {done.stderr.decode()[-500:]}")
    with np.load(io.BytesIO(done.stdout)) as file:
        return [
            [file[name] for name in file.files if name.startswith(f"{i}.")]
            for i in range(len(calls))
        ]


def main(library_path: str, onednn: str, threads: str) -> None:
    """Read calls from the standard input, write their results to the standard output."""
    library = ctypes.CDLL(library_path)
    library.ddpm_kernels_open.restype = ctypes.c_char_p
    if reason := library.ddpm_kernels_open(onednn.encode(), int(threads)):
        raise RuntimeError(reason.decode())
    with np.load(io.BytesIO(sys.stdin.buffer.read())) as file:
        arrays = {name: np.ascontiguousarray(file[name]) for name in file.files}
    calls: dict[tuple[str, str], list[Array]] = {}
    for name, array in arrays.items():
        number, operator, *_ = name.split(".")
        calls.setdefault((number, operator), []).append(array)
    for (_, operator), given in calls.items():
        _call(library, operator, given)
    results = {name: x for name, x in arrays.items() if name.endswith("out")}
    said = io.BytesIO()
    np.savez(said, **results)
    sys.stdout.buffer.write(said.getvalue())


def _call(library: ctypes.CDLL, operator: str, arrays: Sequence[Array]) -> None:
    """As MindSpore calls it: pointers, dimensions and shapes of inputs and results."""
    n = len(arrays)
    shapes = [(ctypes.c_int64 * a.ndim)(*a.shape) for a in arrays]
    pointers = (ctypes.c_void_p * n)(*[ctypes.addressof(shape) for shape in shapes])
    data = (ctypes.c_void_p * n)(*[a.ctypes.data for a in arrays])
    dimensions = (ctypes.c_int * n)(*[a.ndim for a in arrays])
    if getattr(library, operator)(n, data, dimensions, pointers, None, None, None) != 0:
        raise RuntimeError(f"{operator} failed")


if __name__ == "__main__":
    main(*sys.argv[1:])
