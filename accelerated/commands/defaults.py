"""What the options of ``train`` start from: a preset, the run that is resumed, or another run."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from ...reference.config import AutoencoderConfig, TextUnetConfig
from ..choices import SCENE_PAINTER
from ..config import DIGITS, FOLDER, RunConfig
from ..system.runtime import process_count
from .parse import is_given, value_of
from .presets import adding, of_latents, preset, tuning

ADDING = ("--lora-rank", "--lora-alpha", "--lora-text-encoder")
"""What trains factors that are added to weights; the first of them asks for it."""


def start_of_training(args: list[str]) -> tuple[RunConfig, dict[str, Any]]:
    """Where options start, and whether images are named: a run that is resumed may have others.

    Raises:
        ValueError: as ``train_defaults``; or low-rank factors for a network that has no place for
            them, whose options would be unknown.
    """
    config = train_defaults(args)
    lora = [flag for flag in ADDING if is_given(flag, args)]
    if lora and not isinstance(config.network, TextUnetConfig) and not _asks_for_help(args):
        raise ValueError(
            f"{lora[0]} is for a network that is told texts, which this one is not: leave it out, "
            "and all its weights are trained, or start from a run that is told texts (--from)"
        )
    return config, {"new_data": value_of("--data", args) is not None}


def train_defaults(args: list[str]) -> RunConfig:
    """What options start from: the run that is resumed, or a preset for the kind of data.

    A run that starts from another has its images and its network unless told otherwise. What is
    added to weights (--lora-rank) is added to those of the package's model of scenes where no run
    is named.

    Raises:
        ValueError: not a run folder, or options that exclude each other.
    """
    source, data = value_of("--from", args), value_of("--data", args)
    resume, help_is_asked_for = "--resume" in args, _asks_for_help(args)
    if source is not None and resume:
        raise ValueError(
            "--from starts a new run and --resume goes on with one, which knows what it was "
            "started from: leave one of them out"
        )
    if resume and not help_is_asked_for:
        return _of_the_run(args)
    adds = is_given(ADDING[0], args)
    if source is None and adds:
        source = SCENE_PAINTER
    elif source is None or help_is_asked_for:
        start = preset(data, args)
        if (coder := value_of("--autoencoder", args)) is None:
            return start
        return of_latents(start, None if help_is_asked_for else _autoencoder(coder))
    from ..trainer.from_run import is_of_latents, like_source

    like = like_source(FOLDER, source, data)
    config = like_source(preset(like.data, args), source, data)
    trainer = replace(config.trainer, from_run=source)
    latents = is_of_latents(source)
    if adds:
        trainer = adding(trainer, latents)
    elif latents:
        trainer = tuning(trainer)
    return replace(config, trainer=trainer)


def _autoencoder(source: str) -> AutoencoderConfig:
    from ..weights.autoencoder import read_coder

    return read_coder(Path(source).expanduser()).config


def _asks_for_help(args: list[str]) -> bool:
    return bool({"-h", "--help"} & set(args))


def _of_the_run(args: list[str]) -> RunConfig:
    """The options of the run that is resumed; its images are looked for where they may be now."""
    from ..runs.folder import RunFolder
    from ..runs.images import place_of_images

    folder = value_of("--results-folder", args) or DIGITS.trainer.results_folder
    run = RunFolder(Path(folder).expanduser())
    config = run.config.read()
    if value_of("--data", args) is None:
        config = replace(config, data=place_of_images(run))
    trainer = replace(config.trainer, results_folder=folder, resume=False, distributed=False)
    if value_of("--batch-size", args) is None:
        images = trainer.train_batch_size * run.config.processes()
        size = _share(images, "--distributed" in args)
        trainer = replace(trainer, train_batch_size=size)
    return replace(config, trainer=trainer)


def _share(images: int, distributed: bool) -> int:
    """How many of a gradient's images are for each of the processes that there are now.

    Raises:
        ValueError: they cannot have equally many.
    """
    processes = process_count() if distributed else 1
    if images % processes:
        raise ValueError(
            f"the run's {images} images of a gradient cannot be shared by {processes} processes: "
            "start another number of them, or say how many images for each (--batch-size)"
        )
    return images // processes
