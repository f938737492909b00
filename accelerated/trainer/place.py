"""Where a run is trained: by which processes, and in which folder."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from ..config import TrainerConfig
from ..runs.folder import RunFolder
from ..system.alone import alone
from ..system.distributed import ALONE, World
from ..system.files import make_folder


class Place(NamedTuple):
    """This process among those of the run, and the run's folder, which the first one prepared."""

    world: World
    run: RunFolder

    @contextmanager
    def turn(self) -> Iterator[None]:
        """Within it one process of a machine is at a time, and the first of the run before others.

        It shows how far it is and hears who asks to stop. The others wait for it as long as it
        takes, while the exchange between processes gives a late one up.
        """
        world = self.world
        if world.size == 1:
            yield
            return
        make_folder(self.run.path)  # another machine may not have it
        folder = os.open(self.run.path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            if not world.leads:
                world.wait()
            with alone(folder):
                if world.leads:
                    world.wait()
                yield
        finally:
            os.close(folder)


def take_place(config: TrainerConfig) -> Place:
    """Meet the other processes if there are to be any; make the folder, before any long work.

    Raises:
        ValueError: the others do not come, or a folder that cannot be trained in.
    """
    world = World.join() if config.distributed else ALONE
    run = RunFolder(Path(config.results_folder))
    if world.leads:
        run.prepare(resume=config.resume)
    return Place(world, run)
