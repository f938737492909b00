"""What ``ddpm-mindspore train`` and ``ddpm-mindspore sample`` do."""

from __future__ import annotations

import math
import os
import shlex
import sys
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
from tqdm import tqdm

from . import pictures
from .command_options import SampleConfig
from .config import INTERRUPTED, NONFINITE, ImageSize, RunConfig
from .diffusion import GaussianDiffusion, pair
from .distributed import ALONE, World
from .files import make_folder
from .guard import NonfiniteError
from .opened import open_run
from .process import to_uint8
from .provenance import facts
from .run_folder import RunFolder, build
from .runtime import process_count, select_device
from .trainer import Trainer


def train(config: RunConfig, *, new_data: bool = False) -> int:
    """Train as configured; 0, 130 when it was interrupted, or 3 when it met too many NaN.

    Args:
        config: all of it.
        new_data: a run that is resumed may go on with other images.

    Raises:
        ValueError: something is wrong with the configuration, the data or the results folder.
    """
    device, world = _meet(config)
    run = RunFolder(Path(config.trainer.results_folder), writes=world.leads)
    run.prepare(resume=config.trainer.resume)
    device = device or select_device(config.device)
    trainer = Trainer(
        build(config),
        config.data,
        device=config.device,
        new_data=new_data,
        **asdict(config.trainer),
    )
    if world.leads:
        _announce(trainer, device)
        if config.trainer.resume and config.data != run.read_config().data:
            print(f"images: {config.data}", flush=True)
    try:
        done = trainer.train()
    except NonfiniteError as error:
        if world.leads:
            print(f"ddpm-mindspore: {error}", file=sys.stderr, flush=True)
        world.wait()
        return NONFINITE
    if world.leads:
        _tell_the_end(trainer, done)
    world.wait()  # msrun ends all processes when the first one ends with a code other than 0
    return 0 if done else INTERRUPTED


def _meet(config: RunConfig) -> tuple[str | None, World]:
    """The processes of the job; to meet them a device has to be chosen, otherwise not yet.

    Raises:
        ValueError: there are several, or there is one, other than ``distributed`` says.
    """
    if config.trainer.distributed:
        return select_device(config.device), World.join()
    if process_count() > 1:
        raise ValueError(
            "msrun has started several processes, of which each would train alone: add "
            "--distributed"
        )
    return None, ALONE


def _tell_the_end(trainer: Trainer, done: bool) -> None:
    if done:
        print(_summary(trainer.run, trainer.step), flush=True)
        return
    print(
        f"stopped at step {trainer.step:,} of {trainer.config.train_num_steps:,}; a checkpoint is "
        f"in {trainer.run.path}\nto go on: ddpm-mindspore train --resume --results-folder "
        f"{_quote(trainer.run)}",
        file=sys.stderr,
        flush=True,
    )


def _announce(trainer: Trainer, device: str) -> None:
    parameters = sum(p.size for p in trainer.diffusion.model.trainable_params())
    count, shape = len(trainer.images), "x".join(map(str, trainer.images.shape))
    print(
        f"device: {device}; {count:,} images of {shape}; a network of {parameters:,} parameters; "
        f"steps {trainer.step:,} to {trainer.config.train_num_steps:,}",
        flush=True,
    )
    if trainer.config.from_run is not None:
        print(f"from {trainer.config.from_run} ({trainer.config.from_weights})", flush=True)
    if trainer.world.size > 1:
        print(
            f"{trainer.world.size} processes with {trainer.config.train_batch_size} images each; "
            f"to stop them with a checkpoint: kill -TERM {os.getpid()}",
            flush=True,
        )


def _summary(run: RunFolder, step: int) -> str:
    written = {
        f"samples/step-{step:08d}.png": "drawn by the model, beside real images",
        "loss.png": "the loss curve",
        f"checkpoints/step-{step:08d}": "the model, its average and the optimiser's state",
        "config.json": "the configuration",
        "metrics.jsonl": "every step's loss",
    }
    # A picture that could not be drawn has been reported, and is no reason to fail.
    files = [f"  {k:<26} {v}" for k, v in written.items() if (run.path / k).exists()]
    return "\n".join(
        [
            f"done: {step:,} steps. In {run.path}/",
            *files,
            f"to draw more: ddpm-mindspore sample {_quote(run)} --num-samples 100",
        ]
    )


def _quote(run: RunFolder) -> str:
    return shlex.quote(str(run.path))


def sample(config: SampleConfig) -> int:
    """Draw images with a trained model; 0.

    Raises:
        ValueError: not a run folder, or options that do not fit the run.
    """
    run_config = RunFolder(config.run).read_config()
    sampling = run_config.diffusion.with_sampling(config.sampling_timesteps, config.eta)
    size = run_config.image_size if config.image_size is None else config.image_size
    replace(run_config, image_size=size)  # raises ValueError for one that the network cannot take
    output = config.run / "drawn" if config.output is None else config.output
    try:
        make_folder(output)
    except OSError as error:
        raise ValueError(
            f"output {str(output)!r} cannot be written ({error.strerror}): choose another"
        ) from None
    device = select_device(config.device)
    ema = None if config.ema == "default" else config.ema
    run = open_run(config.run, weights=config.weights, ema=ema, step=config.step)
    for remark in run.remarks:
        print(remark, file=sys.stderr)
    diffusion = run.diffusion
    count = config.num_samples
    batch = even_batch_size(count, config.batch_size or usual_batch_size(diffusion, size))
    plan = diffusion.plan(config.sampling_timesteps, config.eta)
    print(
        f"device: {device}; drawing {count} images with the weights of step {run.step:,} "
        f"({run.weights})",
        flush=True,
    )
    print("compiling the network: about 10 s, and less where it was compiled before", flush=True)
    total = math.ceil(count / batch) * len(plan)
    with tqdm(total=total, desc="sampling", unit="step", dynamic_ncols=True) as bar:
        images = diffusion.sample(
            batch,
            num_samples=count,
            sampling_timesteps=config.sampling_timesteps,
            eta=config.eta,
            seed=config.seed,
            image_size=size,
            on_step=lambda: bar.update() and None,
        )
    _write(
        to_uint8(images), output, facts(run.config, run.step, run.weights, sampling, config.seed)
    )
    print(f"done: {output}/grid.png, {output}/samples.npy {images.shape}, and each image as PNG")
    return 0


def usual_batch_size(diffusion: GaussianDiffusion, image_size: ImageSize | None = None) -> int:
    """64 images, or as many as have half a million numbers at the outermost resolution.

    The work of small images is mostly in starting operators, not in their arithmetic.
    """
    height, width = diffusion.image_size if image_size is None else pair(image_size)
    return max(64, 2**19 // (height * width * diffusion.model.config.dim))


def even_batch_size(count: int, limit: int) -> int:
    """Images of each batch, at most ``limit``, when the batches are as few and as even as can be.

    The last batch is filled up, so that one size is compiled: evenly, little is drawn in vain.
    """
    return math.ceil(count / math.ceil(count / limit))


def _write(images: np.ndarray, output: Path, metadata: Mapping[str, str]) -> None:  # type: ignore[type-arg]
    np.save(output / "samples.npy", images)
    shown = images if images.shape[1] in (1, 3, 4) else images[:, :1]
    of_all = {**metadata, "Images": f"0-{len(images) - 1}"}
    pictures.save_png(pictures.grid(shown), output / "grid.png", of_all)
    pictures.save_singles(shown, output, metadata)
