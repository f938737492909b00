"""The folder where MindSpore looks for compiled graphs, which it numbers from 0 in each process.

It reads the graph of the same number in the folder that it was told first: that of something else,
if another command wrote it there.
"""

from __future__ import annotations

import atexit
import errno
import shutil
import tempfile
from contextlib import suppress
from functools import lru_cache
from pathlib import Path

ROOM = 64 * 2**20
"""Bytes that must be free where MindSpore writes a graph (they have up to a few million)."""


class Stage:
    """A folder that is empty but for the graph that MindSpore is to find.

    Raises:
        OSError: there is no place for temporary files.
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
        self._offered = None
        for path in self._folder.glob("*"):
            with suppress(OSError):
                path.unlink()


stage_of_process = lru_cache(Stage)
