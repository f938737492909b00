"""``ddpm-mindspore train``: train as configured, and say how it went."""

from __future__ import annotations

import os
import shlex
from dataclasses import asdict, replace

from ...reference.config import LatentUnetConfig, TextUnetConfig, UnetConfig
from ...reference.text.tokenizer import Tokenizer, shipped
from ..config import RunConfig
from ..data import class_names
from ..data.classes import listed
from ..data.texts import texts
from ..runs.base import has_base
from ..runs.folder import RunFolder
from ..runs.forms import form_of
from ..runs.images import class_names_of
from ..runs.names import REPORT, checkpoint_folder, sample_picture
from ..runs.opened import build
from ..runs.vocabulary import read_tokenizer
from ..system.runtime import process_count, select_device
from ..system.say import say
from ..trainer.from_run import source_run
from ..trainer.loop import Trainer
from ..trainer.nonfinite import NonfiniteError
from ..trainer.place import Place, take_place
from .exit_codes import DONE, INTERRUPTED, NONFINITE


def train(config: RunConfig, *, new_data: bool = False) -> int:
    """Train as configured; 0, 130 when it was interrupted, or 3 when it met too many NaN.

    Args:
        config: all of it.
        new_data: a run that is resumed may go on with other images.

    Raises:
        ValueError: something is wrong with the configuration, the data or the results folder.
    """
    device, place = _device_and_place(config)
    world, run = place
    config, tokenizer = _with_vocabulary(_with_condition(config), run)
    diffusion = build(config)
    diffusion.tokenizer = tokenizer
    trainer = Trainer(
        diffusion,
        config.data,
        device=config.device,
        new_data=new_data,
        place=place,
        **asdict(config.trainer),
    )
    if world.leads:
        _announce(trainer, device)
        if config.trainer.resume and config.data != run.config.read().data:
            say(f"images: {config.data}")
    try:
        done = trainer.train()
    except NonfiniteError as error:
        if world.leads:
            say(f"ddpm-mindspore: {error}", error=True)
        world.wait()
        return NONFINITE
    if world.leads:
        _tell_the_end(trainer, done)
    world.wait()  # msrun ends all processes when the first one ends with a code other than 0
    return DONE if done else INTERRUPTED


def _with_condition(config: RunConfig) -> RunConfig:
    """With as many classes as the data has, or a small picture, where the network is to be told.

    Raises:
        ValueError: data without classes, or a network that is told something else.
    """
    network, trainer = config.network, config.trainer
    if trainer.super_resolve is not None and isinstance(network, UnetConfig):
        if trainer.conditional:
            raise ValueError(
                f"super_resolve {trainer.super_resolve} and conditional True: the network is shown "
                "a small picture or told a class, leave one of them out"
            )
        return replace(config, network=replace(network, cond_channels=network.channels))
    if not trainer.conditional or network.num_classes is not None:
        return config
    if isinstance(network, LatentUnetConfig):
        raise ValueError("conditional True is for networks with classes: this one is told texts")
    count = len(class_names(config.data, trainer.only_class))
    return replace(config, network=replace(network, num_classes=count))


def _with_vocabulary(config: RunConfig, run: RunFolder) -> tuple[RunConfig, Tokenizer | None]:
    """What cuts texts, for a network that is told any, which has as many rows as that has pieces.

    It is that of the run that is gone on with; or that of the run that is started from, with what
    else of BERT's the data's captions are made of; or else BERT's, reduced to that.

    Raises:
        ValueError: data without captions, or a run without a vocabulary.
    """
    network, trainer = config.network, config.trainer
    if not isinstance(network, TextUnetConfig):
        return config, None
    if trainer.resume:
        return config, read_tokenizer(run)
    if trainer.from_run is not None:
        said = texts(config.data, trainer.caption_encoding)
        tokenizer = read_tokenizer(source_run(trainer.from_run)[0]).also(shipped(), said)
        rows = max(network.vocabulary or 0, tokenizer.size)
    else:
        tokenizer = shipped()
        if network.vocabulary is None:
            tokenizer = tokenizer.only(texts(config.data, trainer.caption_encoding))
        rows = tokenizer.size
    return replace(config, network=replace(network, vocabulary=rows)), tokenizer


def _device_and_place(config: RunConfig) -> tuple[str, Place]:
    """To meet other processes a device has to be chosen; alone, the folder is looked at first.

    Raises:
        ValueError: there are several, or there is one, other than ``distributed`` says; or a device
            or a folder that cannot be trained on or in.
    """
    if config.trainer.distributed:
        return select_device(config.device), take_place(config.trainer)
    if process_count() > 1:
        raise ValueError(
            "msrun has started several processes, of which each would train alone: add "
            "--distributed"
        )
    place = take_place(config.trainer)
    return select_device(config.device), place


def _tell_the_end(trainer: Trainer, done: bool) -> None:
    if done:
        say(_summary(trainer.run, trainer.step))
        return
    say(
        f"stopped at step {trainer.step:,} of {trainer.config.train_num_steps:,}; a checkpoint is "
        f"in {trainer.run.path}\nto go on: ddpm-mindspore train --resume --results-folder "
        f"{shlex.quote(str(trainer.run.path))}",
        error=True,
    )


def _announce(trainer: Trainer, device: str) -> None:
    model = trainer.diffusion.model
    parameters = f"{sum(p.size for p in model.get_parameters()):,} parameters"
    if has_base(model.config):
        parameters += f", of which {sum(p.size for p in model.trainable_params()):,} are trained"
    images = trainer.images
    noun = form_of(len(images.shape) - 1).noun
    count, shape = len(images), "x".join(map(str, images.shape))
    if images.shown is not images:
        shape = f"{'x'.join(map(str, images.shown.shape))}, as latents of {shape}"
    told = " with captions" if images.captioned else ""
    say(
        f"device: {device}; {count:,} {noun} of {shape}{told}; a network of {parameters}; "
        f"steps {trainer.step:,} to {trainer.config.train_num_steps:,}"
    )
    if names := trainer.diffusion.class_names:
        say(f"{len(names)} classes: {listed(names)}")
    if trainer.config.from_run is not None:
        say(f"from {trainer.config.from_run} ({trainer.config.from_weights})")
    if trainer.world.size > 1:
        say(
            f"{trainer.world.size} processes with {trainer.config.train_batch_size} images each; "
            f"to stop them with a checkpoint: kill -TERM {os.getpid()}"
        )


def _how_to_draw(run: RunFolder) -> list[str]:
    """How to draw more images, and those of a text or of one class, where there are any."""
    folder = shlex.quote(str(run.path))
    if run.vocabulary.exists():
        return [f"to paint what you say: ddpm-mindspore paint TEXT --run {folder}"]
    if run.config.read().trainer.super_resolve is not None:
        return [f"to enlarge a small picture: ddpm-mindspore super-resolve {folder} IMAGE"]
    # Seed 0 draws what is beside the checkpoints once more.
    how = [f"to draw more: ddpm-mindspore sample {folder} --num-samples 100 --seed 1"]
    if names := class_names_of(run):
        name = shlex.quote(names[-1])
        how.append(f"of one class: ddpm-mindspore sample {folder} --label {name}")
    return how


def _summary(run: RunFolder, step: int) -> str:
    written = {
        sample_picture(run.path, step): "drawn by the model, beside real ones",
        run.loss_curve: "the loss curve",
        run.path / REPORT: "all of it as a page, for a browser",
        checkpoint_folder(run.path, step): "the model, its average and the optimiser's state",
        run.config.path: "the configuration",
        run.metrics.path: "every step's loss",
    }
    # A picture that could not be drawn has been reported, and is no reason to fail.
    there = {str(k.relative_to(run.path)): v for k, v in written.items() if k.exists()}
    files = [f"  {name:<26} {what}" for name, what in there.items()]
    return "\n".join(
        [
            f"done: {step:,} steps. In {run.path}/",
            *files,
            *_how_to_draw(run),
        ]
    )
