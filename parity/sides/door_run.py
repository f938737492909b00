"""A run of ``Trainer`` on the device, and what it has left on the disk."""

from __future__ import annotations

import contextlib
import io
import json
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
from PIL import Image
from safetensors.numpy import load_file

from ...accelerated.config import RunConfig
from ...accelerated.runs.checkpoint import Checkpoint, save
from ...accelerated.runs.folder import RunFolder
from ...accelerated.runs.names import (
    CHECKPOINTS,
    SAMPLES,
    checkpoint_folder,
    sample_picture,
    step_of,
)
from ...accelerated.system import runtime
from ...accelerated.trainer.loop import Trainer
from ..examples.images import Given
from ..judgement.tolerance import Arrays
from . import door_device, small_network
from .device import Array
from .door import Door, Options, checkpoint, numbers


class Left:
    """A results folder, and the trainer that wrote it last.

    Args:
        door: how it is trained.
        folder: of the results.
        given: the images.
        spoiled: numbers of images that become NaN once the trainer has them.
        started_from: options that name a run whose weights it starts from.
    """

    def __init__(
        self,
        door: Door,
        folder: Path,
        given: Given,
        spoiled: Sequence[int],
        started_from: Options | None = None,
    ) -> None:
        self.folder = folder
        self._source = started_from or {}
        self._door, self._given, self._spoiled = door, given, spoiled

    def train(self, values: Arrays, resume: bool = False) -> None:
        """Train to the end, from these parameters (if it is not resumed)."""
        door, source = self._door, self._given.source
        options = {**asdict(door.trainer), "results_folder": str(self.folder), "resume": resume}
        options |= self._source
        with small_network.in_place_of_the_unet(door.small), quiet():
            diffusion = door_device.diffusion(door)
            diffusion.model.load_arrays(values)
            source = source.copy() if isinstance(source, np.ndarray) else source
            self.trainer = Trainer(diffusion, source, **options)
            for number in self._spoiled:
                source[number] = np.nan  # an array is not copied
            assert self.trainer.train()

    def forget_after(self, step: int) -> None:
        """Take away what was saved after that update, as if it had been killed before."""
        for part in (CHECKPOINTS, SAMPLES):
            for path in self.folder.glob(f"{part}/*"):
                if (step_of(path.with_suffix("")) or 0) > step:
                    shutil.rmtree(path) if path.is_dir() else path.unlink()

    @property
    def steps(self) -> list[int]:
        """Whose checkpoints are there."""
        return RunFolder(self.folder).steps()

    def metrics(self) -> list[dict[str, Any]]:
        """One row for each update; null is what is not finite."""
        lines = (self.folder / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
        rows = [json.loads(line) for line in lines]
        return [{k: np.nan if v is None else v for k, v in row.items()} for row in rows]

    def arrays(self) -> Arrays:
        """Losses, norms and the tensors of all checkpoints, by the names that ``door`` gives."""
        results: Arrays = {}
        for row in self.metrics():
            results |= numbers(row["step"], row["loss"], row["grad_norm"])
        for step in self.steps:
            files = checkpoint_folder(self.folder, step).glob("*.safetensors")
            results |= checkpoint(step, {path.stem: load_file(path) for path in files})
        return results

    def samples(self, told: Array | None) -> Array:
        """What the average draws now, of these classes, or shown these pictures in [-1, 1]."""
        door = self._door
        with small_network.in_place_of_the_unet(door.small):
            count, size = door.trainer.num_samples, door.trainer.train_batch_size
            drawn = self.trainer.ema_diffusion
            how: dict[str, Any] = {"num_samples": count, "classes": told}
            if door.net.cond_channels and told is not None:
                how = {"num_samples": count, "condition": (told + 1.0) / 2.0}
            return drawn.sample(min(count, size), **how)

    def picture(self, step: int) -> Array:
        """The page of samples beside real images."""
        with Image.open(sample_picture(self.folder, step)) as page:
            return np.asarray(page)


def write_run(folder: Path, door: Door, step: int, tensors: Mapping[str, Arrays]) -> None:
    """A results folder with a checkpoint of these groups, the others being zero."""
    trainer = replace(door.trainer, results_folder=str(folder))
    config = RunConfig("none", door.size, "auto", door.net, door.diffusion, door.sampling, trainer)
    folder.mkdir(exist_ok=True)
    RunFolder(folder).config.write(config)
    zeros = {name: np.zeros_like(value) for name, value in next(iter(tensors.values())).items()}
    usual = dict.fromkeys(("model", "adam_m", "adam_v", "ema"), zeros)
    save(folder, Checkpoint(step, {**usual, **tensors}, {}))


def placed(page: Array, top: int, low: Array, high: Array) -> Array:
    """The part of a page, from row ``top`` on, that comes nearest to a picture between these two.

    How far from the left it is depends on what is written above it.
    """
    height, width = low.shape[:2]
    rows = page[top : top + height]
    outside = [
        int(np.sum((part < low) | (part > high)))
        for part in (rows[:, x : x + width] for x in range(rows.shape[1] - width + 1))
    ]
    x = int(np.argmin(outside))
    return np.asarray(rows[:, x : x + width])


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """What a run tells its user belongs to no report."""
    said = io.StringIO()
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
        yield


def levels(images: Array, bound: float) -> tuple[Array, Array]:
    """The lowest and the highest of 0..255 that images within ``bound`` of these may round to."""
    low, high = (255.0 * np.clip(images + b, 0.0, 1.0) for b in (-bound, bound))
    return np.ceil(low - 0.5), np.floor(high + 0.5)


@contextlib.contextmanager
def graphs_kept_in(folder: Path) -> Iterator[None]:
    """Within it, graphs are kept there and found again, as the commands do it."""
    environment = mock.patch.dict(os.environ, {runtime.CACHE: str(folder)})
    with environment, runtime.compile_cache_allowed():
        yield
