"""Compiled graphs, kept on disk from one process to the next.

Compiling a training step takes far longer than loading one that was compiled before. A graph is
kept under the fingerprint of everything that it was made from; another version of this package or
of MindSpore, another configuration, another shape has another fingerprint. So a graph that is found
is the right one, and files are never changed, only replaced as a whole.

It only saves time: whatever goes wrong with the files, the graph is compiled without them.
"""

from __future__ import annotations

import atexit
import errno
import hashlib
import logging
import os
import re
import shutil
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

KEPT = 100
"""Graphs: the oldest make room for new ones."""

DIGEST = 32
"""Bytes at the start of a file, the SHA-256 of the rest."""

ROOM = 64 * 2**20
"""Bytes that must be free where MindSpore writes a graph (they have up to a few million)."""


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


class _Stage:
    """The one folder where MindSpore looks for graphs, which it numbers from 0 in each process.

    It reads the graph of the same number in the folder that it was told first: that of something
    else, if another command wrote it. Therefore the folder is empty but for the right one.
    """

    def __init__(self) -> None:
        self.top = Path(tempfile.mkdtemp(prefix="ddpm-mindspore-"))
        atexit.register(shutil.rmtree, self.top, ignore_errors=True)
        self._folder = self.top / "rank_0" / "graph_cache"  # as MindSpore has it
        self._number = 0
        self._offered: bytes | None = None

    def offer(self, graph: bytes | None) -> None:
        """Have MindSpore find this graph, or room to write one.

        Raises:
            OSError: neither can be had.
        """
        if not self.top.is_dir():  # made anew by this name, it might be someone else's
            raise FileNotFoundError(errno.ENOENT, "it was removed")
        self._folder.mkdir(parents=True, exist_ok=True)
        self.clear()
        self._offered = graph
        if graph is not None:
            (self._folder / f"compile_cache_{self._number}.mindir").write_bytes(graph)
        elif shutil.disk_usage(self._folder).free < ROOM:
            raise OSError(errno.ENOSPC, f"less than {ROOM >> 20} MiB are free")

    def written(self) -> bytes | None:
        """The graph that MindSpore wrote, because it found none or could not use what it found.

        Raises:
            OSError: it cannot be read.
        """
        for path in self._folder.glob("compile_cache_*.mindir"):
            if (graph := path.read_bytes()) != self._offered:
                self._number = int(path.stem.rpartition("_")[2]) + 1
                return graph
        self._number += self._offered is not None  # else nothing was compiled
        return None

    def clear(self) -> None:
        """Leave nothing for the next graph to be mistaken for, nor for the disk to hold."""
        for path in self._folder.glob("*"):
            with suppress(OSError):
                path.unlink()


_stage = lru_cache(_Stage)


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

    def _prepared(self, key: str) -> _Stage | None:
        """Where MindSpore finds the graph of a key, or room for it; None if that cannot be."""
        place = tempfile.tempdir or "the temporary folder"
        try:
            stage = _stage()
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
        return graph_file.for_loading(graph, _library())

    def _keep_what_was_written(self, key: str, stage: _Stage) -> None:
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
