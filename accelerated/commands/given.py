"""What all commands have in common that do something with given pictures."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...reference.config import SamplingConfig, TextUnetConfig
from ...reference.config.network import NetworkConfig
from ...reference.schedule import spaced_timesteps
from ...reference.tasks.paths import with_jumps
from ..config import RunConfig
from ..data.classes import numbers_of
from ..denoiser import clipped, denoiser
from ..diffusion import GaussianDiffusion
from ..process import to_uint8, to_unit_range
from ..randomness import Purpose, normal
from ..runs.drawing import Drawing
from ..runs.folder import RunFolder
from ..runs.forms import Pictures
from ..runs.images import class_names_of
from ..runs.opened import OpenedRun
from ..runs.provenance import drawn_by
from ..runs.vocabulary import read_tokenizer
from ..system.say import say
from ..tasks import Solver
from ..weights.shipped import place_of
from .batches import (
    even_batch_size,
    in_batches,
    opened,
    tell_the_end,
    usual_batch_size,
    what_drew,
    written_to,
)
from .exit_codes import DONE, INTERRUPTED
from .task_options import PictureConfig

Array = NDArray[np.float32]

STEPS = 50
"""Of a walk whose run does not say how many: they are of first order, and noisy ones."""

FILES = ("image", "other", "mask")
"""What drawn.json says of a task, and a picture's file does not."""


@dataclass(frozen=True)
class Asked:
    """A run, and how it is to be walked.

    Attributes:
        config: its configuration.
        sampling: how it is sampled from.
        timesteps: of a walk.
        shape: (C, H, W) of an image.
        told: what the network is told of each item, or None.
    """

    config: RunConfig
    sampling: SamplingConfig
    timesteps: tuple[int, ...]
    shape: tuple[int, ...]
    told: NDArray[Any] | None = None


def asked(config: PictureConfig, enlarges: bool = False) -> Asked:
    """Look at the run before anything else is done.

    ``enlarges``: it may be one whose network is shown a small picture.

    Raises:
        ValueError: no run, one whose items are no images or that can only enlarge pictures, a class
            that it does not have, or more steps than it has.
    """
    folder = place_of(config.run)
    run = folder.config.read()
    if folder.draws_latents():
        raise ValueError(
            f"run {str(config.run)!r} draws latents, which this does not: paint with it, or "
            "inpaint with wukong-huahua-inpaint-ms.ckpt"
        )
    if len(run.sides) != 2:
        raise ValueError(f"run {str(config.run)!r} is not of images, which this is for")
    if run.network.cond_channels and not enlarges:
        raise ValueError(
            f"run {str(config.run)!r} enlarges small pictures (super-resolve) and does nothing else"
        )
    sampling = run.sampling.but(sampling_timesteps=config.sampling_timesteps)
    T = run.diffusion.timesteps
    if sampling.sampling_timesteps is None:
        sampling = sampling.but(sampling_timesteps=min(STEPS, T))
    timesteps = spaced_timesteps(T, sampling.steps(T))
    shape = (run.network.channels, *run.sides)
    return Asked(run, sampling, timesteps, shape, _told(config, folder, run.network))


def _told(
    config: PictureConfig, run: RunFolder, network: NetworkConfig
) -> NDArray[np.int32] | None:
    """The ids of the text, or the class that is named, or what stands for none; else None."""
    if isinstance(network, TextUnetConfig):
        return read_tokenizer(run).encode(config.prompt or "", network.length).ids
    if config.prompt is not None:
        raise ValueError(
            f"prompt {config.prompt!r} is for a run that is told texts (train --data scenes): "
            "leave it out"
        )
    count = network.num_classes
    if config.label is not None and count is None:
        raise ValueError(
            f"label {config.label!r} is for a run with classes, which this one was not trained "
            "with (train --conditional): leave it out"
        )
    if count is None:
        return None
    names = class_names_of(run)
    if config.label is not None:
        return numbers_of(config.label, count, names, "label").reshape(())
    if not network.cond_drop_prob:
        raise ValueError("the run was always told a class: say what the image is of (--label)")
    return np.asarray(count, np.int32)


def output_of(config: PictureConfig, command: str) -> Path:
    """A folder for each command: to draw one's fill of a picture takes nothing of others away.

    Raises:
        ValueError: a given picture lies there, and would make room for what is drawn of it.
    """
    output = written_to(config.output, config.run, command)
    for name in FILES:
        given = getattr(config, name, None)
        if given not in (None, "alpha") and Path(given).resolve().parent == output.resolve():
            raise ValueError(
                f"output {str(output)!r} is where {name} {str(given)!r} is, which would make room "
                "for what is drawn of it: choose another folder (--output)"
            )
    return output


@dataclass(frozen=True)
class Walk:
    """What a task is given for one batch.

    Attributes:
        solver: the denoiser with the run's weights.
        start: x_T, (B, C, H, W).
        noise: the i-th draw, of the same shape.
        diffusion: whose denoiser it is.
        first: the number of the first of these pictures.
    """

    solver: Solver
    start: Array
    noise: Callable[[int], Array]
    diffusion: GaussianDiffusion
    first: int


IN_ROW = 16
"""Pictures that are shown side by side, where each lies between its neighbours."""


def carry_out(
    config: PictureConfig,
    asked: Asked,
    number: int,
    work: Callable[[Walk], Array],
    *,
    task: dict[str, Any],
    evaluations: int | None,
    clip: bool = True,
    together: bool = False,
    finish: Callable[[Path], str] = lambda folder: "",
) -> int:
    """Open the run, do the work batch by batch, and write pictures; an exit code.

    Args:
        number: pictures to be drawn.
        work: a batch's start to its images in [-1, 1].
        task: what was asked for, for drawn.json.
        evaluations: of the network for each batch, of which the bar tells; None: unknown.
        clip: clip every estimate, where the run does so.
        together: all pictures are one batch.
        finish: called at the end with the folder, for more files; what to say of them.

    Raises:
        ValueError: weights, a device or an output that cannot be had.
        OSError: a full disk.
    """
    output = output_of(config, task["task"])
    row = number if together and number <= IN_ROW else None  # one follows from the other
    with Drawing(output, number, form=Pictures(columns=row)) as drawing:
        device, run = opened(config)
        say(f"device: {device}; weights of step {run.step:,} ({run.weights})")
        say("compiling the network: about 10 s, and less where it was compiled before")
        size = number if together else even_batch_size(number, usual_batch_size(run.diffusion))
        told = {"steps": len(asked.timesteps), "spacing": "uniform", **task}
        said = {name: value for name, value in told.items() if name not in FILES}
        stopped = in_batches(
            drawing,
            size,
            None if evaluations is None else math.ceil(number / size) * evaluations,
            _drawing(config, asked, run, size, work, clip),
            what_drew(run, config.run, config.seed, **told),
            drawn_by(run.config, run.step, run.weights, said, config.seed),
        )
        more = "" if stopped else finish(output)
    shape = (drawing.finished, *asked.shape)
    files = f"{output}/grid.png, {output}/samples.npy {shape}, and each image as PNG"
    tell_the_end(drawing, stopped, f"done: {files}{more}")
    return INTERRUPTED if stopped else DONE


def _drawing(
    config: PictureConfig,
    asked: Asked,
    run: OpenedRun,
    size: int,
    work: Callable[[Walk], Array],
    clip: bool,
) -> Callable[[int, Callable[[], None]], NDArray[np.uint8]]:
    diffusion = run.diffusion
    predict_x0 = denoiser(diffusion.model)
    if clip and asked.sampling.clip_denoised:
        predict_x0 = clipped(predict_x0)
    known = None if asked.told is None else repeated(asked.told, size)
    if diffusion.model.conditional and known is None:
        raise ValueError(
            f"run {str(config.run)!r} is told more of an image than this command is: use paint"
        )
    solver = Solver(diffusion.schedule, diffusion.levels, predict_x0, condition=known)

    def draw(first: int, on_step: Callable[[], None]) -> NDArray[np.uint8]:
        indices = range(first, first + size)
        start = normal(config.seed, Purpose.SAMPLE_START, 0, indices, asked.shape)
        solver.on_step = on_step

        def noise(i: int) -> Array:
            return normal(config.seed, Purpose.SAMPLE_NOISE, i, indices, asked.shape)

        walk = Walk(solver, start, noise, diffusion, first)
        return to_uint8(to_unit_range(work(walk)))

    return draw


def repeated(image: NDArray[Any], count: int) -> NDArray[Any]:
    """(count, ...): the same for all."""
    return np.repeat(image[None], count, axis=0)


def evaluations(timesteps: Sequence[int], length: int = 1, repeats: int = 1) -> int:
    """How often a walk with jumps asks the network."""
    return sum(s < t for t, s in with_jumps(timesteps, length, repeats))
