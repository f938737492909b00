"""Compiled graphs, kept on disk from one process to the next.

Compiling a training step takes far longer than loading one that was compiled before. A graph is
kept under the fingerprint of everything that it was made from; another version of this package or
of MindSpore, another configuration, another shape has another fingerprint. So a graph that is found
is the right one, and files are never changed, only replaced as a whole.
"""

from __future__ import annotations

import atexit
import hashlib
import itertools
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import lru_cache
from pathlib import Path
from typing import Any

import mindspore as ms
from mindspore import nn

from . import runtime
from .files import replace_file
from .fingerprint import fingerprint, parameters, shapes

KEPT = 100
"""Graphs: the oldest make room for new ones."""

DIGEST = 32
"""Bytes at the start of a file, the SHA-256 of the rest."""


def compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    """``mindspore.jit(function)``, which looks for its graphs on disk where that is turned on."""
    return _Compiled(function)


class _Compiled:
    def __init__(self, function: Callable[..., Any]) -> None:
        self._function = function
        self._plain = ms.jit(function)
        self._kept: Callable[..., Any] | None = None
        self._compiled: set[tuple[str, ...]] = set()

    def __call__(self, *args: Any) -> Any:
        folder = runtime.compile_cache()
        if folder is None:
            return self._plain(*args)
        if self._kept is None:
            self._kept = ms.jit(_WithParameters(self._function))
        signature = tuple(shapes(args))
        if signature in self._compiled:
            return self._kept(*args)
        self._compiled.add(signature)
        with CompileCache(folder).entry(fingerprint(self._function, args)):
            return self._kept(*args)


class _WithParameters(nn.Cell):
    """A function as a Cell: MindSpore then lets a loaded graph use the parameters that there are.

    Of a plain function's parameters it would make its own copies.
    """

    def __init__(self, function: Callable[..., Any]) -> None:
        super().__init__(auto_prefix=False)
        self._function = function
        self._reached = tuple(parameters(function).items())

    def parameters_dict(self, recurse: bool = True) -> dict[str, Any]:
        return dict(self._reached)

    def construct(self, *args):  # type: ignore[no-untyped-def]
        return self._function(*args)


_numbers = itertools.count()


@lru_cache
def _stage() -> Path:
    """Where MindSpore looks for graphs: it asks once in a process, and numbers them from 0."""
    folder = Path(tempfile.mkdtemp(prefix="ddpm-mindspore-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


class CompileCache:
    """A folder of graphs.

    MindSpore itself numbers the graphs that a process compiles, and reads the one of the same
    number in the one folder that it looks at: the graph of something else, if another command
    wrote it. Therefore it gets an empty folder, in which it finds the right one.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @contextmanager
    def entry(self, key: str) -> Iterator[None]:
        """Within it, the one graph that is compiled is loaded if it is here, or else kept here."""
        stage = _stage() / "rank_0" / "graph_cache"  # as MindSpore has it
        stage.mkdir(parents=True, exist_ok=True)
        graph = stage / f"compile_cache_{next(_numbers)}.mindir"
        found = self._read(key)
        if found is not None:
            graph.write_bytes(found)
        try:
            with runtime.graphs_exchanged_with(_stage()):
                yield
            if found is None:
                self._keep(key, graph)
        finally:
            for path in stage.iterdir():
                path.unlink()

    def _read(self, key: str) -> bytes | None:
        """The graph of a key, if it is here and undamaged."""
        path = self.folder / key
        try:
            data = path.read_bytes()
            path.touch()  # the oldest are removed first
        except OSError:
            return None
        digest, graph = data[:DIGEST], data[DIGEST:]
        return graph if hashlib.sha256(graph).digest() == digest else None

    def _keep(self, key: str, path: Path) -> None:
        """Put a new graph here; a folder that cannot be written is no reason to fail."""
        with suppress(OSError):
            graph = path.read_bytes()
            self.folder.mkdir(parents=True, exist_ok=True)
            replace_file(self.folder / key, hashlib.sha256(graph).digest() + graph, flush=False)
            for path in sorted(self.folder.iterdir(), key=_age)[KEPT:]:
                path.unlink()


def _age(path: Path) -> float:
    return -path.stat().st_mtime
