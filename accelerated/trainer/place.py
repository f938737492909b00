"""Where a run is trained: by which processes, and in which folder."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from ..config import TrainerConfig
from ..runs.folder import RunFolder
from ..system.distributed import ALONE, World


class Place(NamedTuple):
    """This process among those of the run, and the run's folder, which the first one prepared."""

    world: World
    run: RunFolder


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
