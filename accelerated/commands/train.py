"""What ``ddpm-mindspore train`` and ``ddpm-mindspore sample`` do."""

from __future__ import annotations

import math
import os
import shlex
from dataclasses import asdict, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from ...reference.config import SamplingConfig
from ..config import INTERRUPTED, NONFINITE, ImageSize, RunConfig
from ..diffusion import GaussianDiffusion, pair
from ..process import to_uint8
from ..runs.config_file import versions
from ..runs.drawing import Drawing
from ..runs.folder import RunFolder, build
from ..runs.opened import OpenedRun, open_run
from ..runs.provenance import facts
from ..system.distributed import ALONE, World
from ..system.runtime import process_count, select_device
from ..system.say import bar, say
from ..system.signals import first_interrupt_waits
from ..trainer.loop import Trainer
from ..trainer.nonfinite import NonfiniteError
from .options import SampleConfig


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
        say(_summary(trainer.run, trainer.step))
        return
    say(
        f"stopped at step {trainer.step:,} of {trainer.config.train_num_steps:,}; a checkpoint is "
        f"in {trainer.run.path}\nto go on: ddpm-mindspore train --resume --results-folder "
        f"{_quote(trainer.run)}",
        error=True,
    )


def _announce(trainer: Trainer, device: str) -> None:
    parameters = sum(p.size for p in trainer.diffusion.model.trainable_params())
    count, shape = len(trainer.images), "x".join(map(str, trainer.images.shape))
    say(
        f"device: {device}; {count:,} images of {shape}; a network of {parameters:,} parameters; "
        f"steps {trainer.step:,} to {trainer.config.train_num_steps:,}"
    )
    if trainer.config.from_run is not None:
        say(f"from {trainer.config.from_run} ({trainer.config.from_weights})")
    if trainer.world.size > 1:
        say(
            f"{trainer.world.size} processes with {trainer.config.train_batch_size} images each; "
            f"to stop them with a checkpoint: kill -TERM {os.getpid()}"
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
    """Draw images with a trained model; 0, or 130 when it was interrupted.

    What was finished is kept in any case.

    Raises:
        ValueError: not a run folder, options that do not fit the run, or an output that cannot be
            written or holds what is no drawing.
        OSError: a full disk.
    """
    run_config = RunFolder(config.run).read_config()
    sampling = run_config.sampling.but(sampling_timesteps=config.sampling_timesteps, eta=config.eta)
    size = run_config.image_size if config.image_size is None else config.image_size
    # Raises ValueError for what the network cannot take, or the schedule does not have.
    replace(run_config, image_size=size, sampling=sampling)
    output = config.run / "drawn" if config.output is None else config.output
    with Drawing(output, config.num_samples) as drawing:
        device = select_device(config.device)
        ema = None if config.ema == "default" else config.ema
        run = open_run(config.run, weights=config.weights, ema=ema, step=config.step)
        for remark in run.remarks:
            say(remark, error=True)
        say(
            f"device: {device}; drawing {drawing.number} images with the weights of step "
            f"{run.step:,} ({run.weights})"
        )
        say("compiling the network: about 10 s, and less where it was compiled before")
        stopped = _draw(run, config, sampling, size, drawing)
    found = f"{drawing.finished} of {drawing.number} images"
    if stopped and drawing.finished:
        say(f"stopped: {found} are in {output}/, and samples.npy has them too", error=True)
    elif stopped:
        say("stopped: no image was finished, and nothing written", error=True)
    else:
        shape = (drawing.finished, run.config.network.channels, *pair(size))
        say(f"done: {output}/grid.png, {output}/samples.npy {shape}, and each image as PNG")
    return INTERRUPTED if stopped else 0


def _draw(
    run: OpenedRun,
    config: SampleConfig,
    sampling: SamplingConfig,
    image_size: ImageSize,
    drawing: Drawing,
) -> bool:
    """Draw batch by batch, and write each when it is finished; whether it was interrupted.

    Raises:
        OSError: a full disk; the message says how many images are there.
    """
    diffusion, count = run.diffusion, drawing.number
    size = even_batch_size(count, config.batch_size or usual_batch_size(diffusion, image_size))
    text = facts(run.config, run.step, run.weights, sampling, config.seed)
    written = _written(run, config, sampling)
    plan = diffusion.plan(config.sampling_timesteps, config.eta)
    total = math.ceil(count / size) * len(plan)
    with (
        first_interrupt_waits("stopping after this step; once more ends at once") as interrupted,
        bar(total=total, desc="sampling", unit="step") as shown,
    ):

        def on_step() -> None:
            shown.update()
            if interrupted.is_set():
                raise InterruptedError

        try:
            for first in range(0, count, size):
                images = diffusion.sample(
                    size,  # the last batch too: another size would be compiled anew
                    first=first,
                    sampling_timesteps=config.sampling_timesteps,
                    eta=config.eta,
                    seed=config.seed,
                    image_size=image_size,
                    on_step=on_step,
                )
                drawing.add(to_uint8(images[: count - first]), written, text)
            drawing.close()
        except InterruptedError:
            drawing.close()
            return True
        except OSError as error:
            raise OSError(
                error.errno,
                f"{drawing.finished} of {count} images are in {drawing.folder}, the others could "
                f"not be written: {error.strerror}",
            ) from error
    return False


def _written(run: OpenedRun, config: SampleConfig, sampling: SamplingConfig) -> dict[str, Any]:
    """What drew the pictures, for drawn.json."""
    T = run.config.diffusion.timesteps
    sampler = sampling.sampler(T)
    return {
        "versions": versions(),
        "run": str(config.run.absolute()),
        "step": run.step,
        "weights": run.weights,
        "sampler": sampler,
        "steps": sampling.steps(T),
        "eta": sampling.eta if sampler == "ddim" else None,
        "seed": config.seed,
        "date": datetime.now().astimezone().isoformat(timespec="seconds"),
    }


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
