"""``ddpm-mindspore paint``: draw what a text says, and write it."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from ...reference.config import SamplingConfig, TextUnetConfig
from ..config import RunConfig
from ..data.lexicon import lexicon
from ..data.texts import EXAMPLES
from ..precision import set_precision
from ..runs.drawing import Drawing
from ..runs.forms import Pictures
from ..runs.opened import OpenedRun
from ..runs.provenance import asked_again, facts, guidance, precision_text
from ..system.say import say
from ..weights.lora import add_lora, read_lora
from ..weights.shipped import SHIPPED, painter_of, place_of
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
from .labels import check_guidance, sampling_of
from .paint_options import PaintConfig
from .remarks import remarks, untaught

PAINTED = "painted"
"""Where pictures are written to that a model of the program has drawn."""


def paint(config: PaintConfig) -> int:
    """Draw what texts say; 0, or 130 when it was interrupted.

    Raises:
        ValueError: a run whose network is told no texts, options that do not fit it, or an output
            that cannot be written or holds what is no drawing.
        OSError: a full disk.
    """
    if config.words:
        for place in SHIPPED if config.run is None else [config.run]:
            say(f"{place}\n{lexicon(place_of(place).config.read().data)}\n")
        return DONE
    texts = _texts(config)
    place = painter_of(texts) if config.run is None else config.run
    config = replace(config, run=place)
    known = place_of(place).config.read()
    if not isinstance(known.network, TextUnetConfig):
        raise ValueError(
            f"run {str(place)!r} is told no texts: train one that is (train --data scenes), "
            "or draw with ddpm-mindspore sample"
        )
    if known.network.extra_channels:
        raise ValueError(
            f"run {str(place)!r} paints what a mask hides of a picture: use ddpm-mindspore inpaint"
        )
    sampling = known.sampling.but(**sampling_of(config))
    check_guidance(config, sampling)
    replace(known, sampling=sampling)  # raises ValueError for more steps than there are
    factors = None if config.lora is None else read_lora(config.lora, known.network)
    output = written_to(config.output, place, here=PAINTED)
    number = config.num_samples * len(texts)
    with Drawing(output, number, texts, Pictures(texts)) as drawing:
        device, run = opened(config)
        if factors is not None:
            run = add_lora(run, factors, config.lora_scale)
        set_precision(run.diffusion.model, config.amp_level, config.amp_dtype)
        assert run.diffusion.tokenizer is not None
        found = remarks([*texts, config.negative], run.diffusion.tokenizer, known.network)
        for remark in [*found, *untaught(texts, known.data)]:
            say(remark.english, error=True)
        what = f"{place}, " if place in SHIPPED else ""
        say(f"device: {device}; {what}weights of step {run.step:,} ({run.weights})")
        say("compiling the network: about 10 s, and less where it was compiled before")
        stopped = _draw(run, place, known, config, sampling, drawing, texts)
    done = f"done: {output}/grid.png, {output}/samples.npy, and each image as PNG"
    tell_the_end(drawing, stopped, done)
    return INTERRUPTED if stopped else DONE


def _texts(config: PaintConfig) -> tuple[str, ...]:
    texts = config.text
    if config.texts is not None:
        try:
            lines = config.texts.read_text(encoding="utf-8-sig").splitlines()
        except (OSError, ValueError) as error:
            raise ValueError(
                f"texts {str(config.texts)!r} cannot be read ({error}): give a file in UTF-8 with "
                "one a line"
            ) from None
        texts += tuple(line.strip() for line in lines if line.strip())
    if not texts:
        raise ValueError(
            f'say what to paint: ddpm-mindspore paint "{EXAMPLES["pictures"]}", or ask what the '
            "models know (--words)"
        )
    return texts


def _draw(
    run: OpenedRun,
    place: Path,
    known: RunConfig,
    config: PaintConfig,
    sampling: SamplingConfig,
    drawing: Drawing,
    texts: Sequence[str],
) -> bool:
    """Draw batch by batch, text number i % n for picture i; whether it was interrupted."""
    diffusion = run.diffusion
    # Those that are decoded are large.
    usual = usual_batch_size(diffusion) if run.decode is None else 1
    size = even_batch_size(drawing.number, config.batch_size or usual)
    evaluations = len(diffusion.plan(**sampling_of(config)))
    say(f"{sampling.name}: {sampling.steps(diffusion.schedule.T)} steps, {evaluations} evaluations")
    text = facts(known, run.step, run.weights, sampling, config.seed)
    precision = precision_text(config.amp_level, config.amp_dtype)
    text |= asked_again(size, known, precision=precision)
    if config.negative:
        text["Negative"] = config.negative
    if config.lora is not None:
        text["Lora"] = f"{config.lora.name} times {config.lora_scale:g}"
    drawn_by: dict[str, Any] = {
        **sampling.facts(known.diffusion.timesteps),
        "texts": list(texts),
        "negative": config.negative,
        **({"lora": str(config.lora), "lora_scale": config.lora_scale} if config.lora else {}),
        "guidance": guidance(sampling) or None,
        "precision": precision or None,
    }
    written = what_drew(run, place, config.seed, **drawn_by)

    def draw(first: int, on_step: Callable[[], None]) -> NDArray[Any]:
        drawn = diffusion.sample(
            size,
            first=first,
            seed=config.seed,
            condition=[texts[i % len(texts)] for i in range(first, first + size)],
            negative=config.negative,
            on_step=on_step,
            **sampling_of(config),
        )
        return drawing.form.units(run.units(drawn))

    total = math.ceil(drawing.number / size) * evaluations
    return in_batches(drawing, size, total, draw, written, text)
