"""Compiled graphs, kept on disk from one process to the next.

Compiling a training step takes far longer than loading one that was compiled before. A graph is
kept under the fingerprint of everything that it was made from; another version of this package or
of MindSpore, another configuration, another shape has another fingerprint. So a graph that is found
is the right one, and files are never changed, only replaced as a whole.

It only saves time: whatever goes wrong with the files, the graph is compiled without them.
"""

from __future__ import annotations

import hashlib
import logging
import os
import re
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import lru_cache
from pathlib import Path
from typing import Any

import mindspore as ms
from mindspore import nn

from . import graph_file, runtime
from .files import replace_file
from .fingerprint import fingerprint, parameters, shapes
from .graph_stage import Stage, stage_of_process

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


class CompileCache:
    """A folder of graphs."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @contextmanager
    def entry(self, key: str) -> Iterator[None]:
        """Within it, the one graph that is compiled is loaded if it is here, or else kept here."""
        stage = self._prepared(key)
        if stage is None:
            yield
            return
        try:
            with runtime.graphs_exchanged_with(stage.top):
                yield
            self._keep_what_was_written(key, stage)
        finally:
            stage.clear()

    def kept(self) -> list[Path]:
        """The graphs that are here, the newest first; nothing else that may be in the folder."""
        ages = {}
        for path in self.folder.iterdir():
            with suppress(FileNotFoundError):  # another process has made room
                if re.fullmatch("[0-9a-f]{64}", path.name) and path.is_file():
                    ages[path] = -path.stat().st_mtime
        return sorted(ages, key=ages.__getitem__)

    def _prepared(self, key: str) -> Stage | None:
        """Where MindSpore finds the graph of a key, or room for it; None if that cannot be."""
        place = tempfile.tempdir or "the temporary folder"
        try:
            stage = stage_of_process()
            place = str(stage.top)
            stage.offer(self._read(key))
        except OSError as error:
            _note(f"compiled graphs are neither loaded nor kept: {place}: {error.strerror}")
            return None
        return stage

    def _read(self, key: str) -> bytes | None:
        """The graph of a key, if it is here and undamaged."""
        path = self.folder / key
        try:
            data = path.read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            _note(f"compiled graphs cannot be read in {self.folder}: {error.strerror}")
            return None
        with suppress(OSError):
            path.touch()  # the oldest are removed first
        digest, graph = data[:DIGEST], data[DIGEST:]
        if hashlib.sha256(graph).digest() != digest:
            return None
        with suppress(ValueError):
            return graph_file.for_loading(graph, _library())
        return None

    def _keep_what_was_written(self, key: str, stage: Stage) -> None:
        with suppress(ValueError):  # of a graph in part, MindSpore has said why
            try:
                graph = stage.written()
                if graph is not None:
                    self._keep(key, graph_file.for_keeping(graph, _library()))
            except OSError as error:
                _note(f"compiled graphs cannot be kept in {self.folder}: {error.strerror}")

    def _keep(self, key: str, graph: bytes) -> None:
        """Put a new graph here.

        Raises:
            OSError: the folder cannot be written.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        replace_file(self.folder / key, hashlib.sha256(graph).digest() + graph, flush=False)
        for path in self.kept()[KEPT:]:
            path.unlink(missing_ok=True)


def _library() -> bytes | None:
    path = runtime.kernel_library()
    return None if path is None else os.fsencode(path)


@lru_cache
def _note(text: str) -> None:
    """Say something once."""
    logging.getLogger(__name__).warning(text)
