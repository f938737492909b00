"""``ddpm-mindspore sample``: draw images with a trained model, and write them."""

from __future__ import annotations

import math
import shlex
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from numpy.typing import NDArray

from ...reference.config import SamplingConfig, TextUnetConfig
from ..config import Sides, sides
from ..data.scaling import from_dict
from ..precision import set_precision
from ..runs.drawing import Drawing
from ..runs.forms import form_of
from ..runs.kept import Kept
from ..runs.opened import OpenedRun, open_run
from ..runs.provenance import asked_again, facts, guidance, precision_text
from ..system.say import counted, say
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
from .labels import Captions, Labels, check_guidance, sampling_of
from .options import SampleConfig
from .repeat import repeat


def sample(config: SampleConfig) -> int:
    """Draw images with a trained model; 0, or 130 when it was interrupted.

    What was finished is kept in any case.

    Raises:
        ValueError: not a run folder, options that do not fit the run, or an output that cannot be
            written or holds what is no drawing.
        OSError: a full disk.
    """
    if config.like is not None:
        return repeat(config, config.like)
    folder = place_of(config.run)
    run_config = folder.config.read()
    sampling, labels, size = asked_of(config)
    output = written_to(config.output, config.run)
    scaling = from_dict(folder.config.images().get("scaling"))
    form = form_of(len(sides(run_config.image_size)), scaling, labels.names)
    with Drawing(output, labels.number(config.num_samples), labels.names, form) as drawing:
        device, run = opened(config)
        set_precision(run.diffusion.model, config.amp_level, config.amp_dtype)
        say(
            f"device: {device}; drawing {counted(drawing.number, form.noun)} with the weights of "
            f"step {run.step:,} ({run.weights})"
        )
        say("compiling the network: about 10 s, and less where it was compiled before")
        stopped = draw(run, config, sampling, size, drawing, labels)
    shape = (drawing.finished, *run.shape(sides(size)))
    files = f"{output}/{form.first}, {output}/samples.npy {shape}{form.others}"
    tell_the_end(drawing, stopped, f"done: {files}")
    return INTERRUPTED if stopped else DONE


def asked_of(config: SampleConfig, captions: bool = False) -> tuple[SamplingConfig, Labels, Sides]:
    """How a run is to be sampled from, of which classes, and the size of images.

    ``captions``: there will be some for a network that is told texts.

    Raises:
        ValueError: not a run folder, or options that do not fit the run.
    """
    folder = place_of(config.run)
    run_config = folder.config.read()
    captioned = isinstance(run_config.network, TextUnetConfig)
    if captioned and not captions:
        raise ValueError(
            f"run {str(config.run)!r} is told texts: say what to draw "
            f"(ddpm-mindspore paint TEXT --run {shlex.quote(str(config.run))})"
        )
    sampling = run_config.sampling.but(**sampling_of(config))
    check_guidance(config, sampling)
    labels = Labels(config, folder)
    if sampling.guides and not (labels.count or captioned or config.autoguidance is not None):
        raise ValueError(
            f"guidance {sampling.cond_scale} needs a run with classes (train --conditional), or an "
            "earlier checkpoint to guide by (--autoguidance): leave it out"
        )
    if run_config.network.cond_channels:
        raise ValueError(
            f"run {str(config.run)!r} enlarges small pictures, and is given none: use "
            "super-resolve RUN IMAGE"
        )
    size = run_config.image_size if config.image_size is None else config.image_size
    # Raises ValueError for what the network cannot take, or the schedule does not have.
    return sampling, labels, replace(run_config, image_size=size, sampling=sampling).image_size


def draw(
    run: OpenedRun,
    config: SampleConfig,
    sampling: SamplingConfig,
    image_size: Sides,
    drawing: Drawing | Kept,
    labels: Labels | Captions,
) -> bool:
    """Draw what is not there yet, and write each batch when it is finished; whether interrupted.

    Raises:
        OSError: a full disk; the message says how many images are there.
    """
    diffusion, count = run.diffusion, drawing.number - drawing.finished
    usual = config.batch_size or usual_batch_size(
        diffusion, image_size, large=run.decode is not None
    )
    size = even_batch_size(count, usual)
    text = facts(run.config, run.step, run.weights, sampling, config.seed)
    precision = precision_text(config.amp_level, config.amp_dtype)
    text |= asked_again(size, run.config, image_size, config.autoguidance, precision)
    written = _written(run, config, sampling, labels)
    weak = None
    if config.autoguidance is not None:
        earlier = open_run(config.run, weights=config.weights, step=config.autoguidance)
        weak = earlier.diffusion.model
        set_precision(weak, config.amp_level, config.amp_dtype)
    plan = diffusion.plan(**sampling_of(config))
    say(f"{sampling.name}: {sampling.steps(diffusion.schedule.T)} steps, {len(plan)} evaluations")
    total = math.ceil(count / size) * len(plan)

    def batch(first: int, on_step: Callable[[], None]) -> NDArray[Any]:
        drawn = diffusion.sample(
            size,  # the last batch too: another size would be compiled anew
            first=first,
            seed=config.seed,
            image_size=image_size,
            **labels.told(range(first, first + size)),
            weak=weak,
            on_step=on_step,
            **sampling_of(config),
        )
        return drawing.form.units(drawn if run.decode is None else run.decode(drawn))

    return in_batches(drawing, size, total, batch, written, text)


def _written(
    run: OpenedRun, config: SampleConfig, sampling: SamplingConfig, labels: Labels | Captions
) -> dict[str, Any]:
    """What drew the pictures, for drawn.json."""
    return what_drew(
        run,
        config.run,
        config.seed,
        **sampling.facts(run.config.diffusion.timesteps),
        evaluations=len(run.diffusion.plan(**sampling_of(config))),
        labels=list(labels.names) or None,
        guidance=guidance(sampling) or None,
        autoguidance=config.autoguidance,
        precision=precision_text(config.amp_level, config.amp_dtype) or None,
    )
