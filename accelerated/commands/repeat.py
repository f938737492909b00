"""``ddpm-mindspore sample RUN --like PICTURE``: draw again what a picture's file says."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ...reference.config import SamplingConfig
from ..choices import check_precision
from ..config import RunConfig
from ..data.classes import numbers_of
from ..precision import set_precision
from ..reports.laid_out import LAYOUT
from ..runs.drawing import Drawing
from ..runs.folder import RunFolder
from ..runs.forms import GRID, Pictures
from ..runs.images import class_names_of
from ..runs.names import REPEATED
from ..runs.opened import OpenedRun, open_run
from ..runs.provenance import asked_again, facts, guidance, precision_text, run_digest
from ..system.say import counted, say
from ..weights.shipped import place_of
from .batches import in_batches, opened, tell_the_end, what_drew, written_to
from .exit_codes import DONE, FAILED, INTERRUPTED
from .options import SampleConfig

_SHORT = {"guidance": "cond_scale", "sampling_steps": "sampling_timesteps"}
_AVERAGE = re.compile(r"average over (\S+) of training")


@dataclass(frozen=True)
class Drawn:
    """How a picture was drawn, as its file says.

    Attributes:
        sampling: how it was sampled.
        weights: what ``SampleConfig`` has of the weights: weights, ema, step.
        precision: level and dtype that the network computed in.
        seed: of the noise.
        first: the number of the first image.
        number: how many images.
        batch_size: images at a time.
        image_size: of each image.
        labels: of images 0, 1, ... over and over, if they were told any; of one image its own.
        negative: a text that it was guided away from.
        autoguidance: the step of a checkpoint that it was guided by.
    """

    sampling: SamplingConfig
    weights: Mapping[str, Any]
    precision: tuple[str, str]
    seed: int
    first: int
    number: int
    batch_size: int
    image_size: tuple[int, ...]
    labels: tuple[str, ...]
    negative: str
    autoguidance: int | None


def repeat(config: SampleConfig, like: Path) -> int:
    """Draw it, and compare; 0 where it is the same to the bit, 1 where not, 130 if interrupted.

    Raises:
        ValueError: no picture that says how this run has drawn it.
    """
    folder = place_of(config.run)
    known = folder.config.read()
    text, pixels = _read(like)
    drawn = _parsed(text, known, config.run, like)
    replace(known, sampling=drawn.sampling, image_size=drawn.image_size)  # raises what is wrong
    output = written_to(config.output, config.run, REPEATED)
    if like.resolve().parent == output.resolve():
        raise ValueError(
            f"output {str(output)!r} is where the picture is: choose another folder (--output)"
        )
    told = _told(drawn, known, folder)
    form = Pictures(drawn.labels)
    with Drawing(output, drawn.number, drawn.labels, form, drawn.first) as drawing:
        device, run = opened(replace(config, like=None, **drawn.weights))
        set_precision(run.diffusion.model, *drawn.precision)
        run.diffusion.sampling = drawn.sampling
        say(
            f"device: {device}; drawing {counted(drawn.number, form.noun)} again with the weights "
            f"of step {run.step:,} ({run.weights})"
        )
        say("compiling the network: about 10 s, and less where it was compiled before")
        of_all = facts(run.config, run.step, run.weights, drawn.sampling, drawn.seed)
        precision = precision_text(*drawn.precision)
        of_all |= asked_again(
            drawn.batch_size, known, drawn.image_size, drawn.autoguidance, precision
        )
        if drawn.negative:
            of_all["Negative"] = drawn.negative
        written = what_drew(
            run,
            config.run,
            drawn.seed,
            **drawn.sampling.facts(known.diffusion.timesteps),
            labels=list(drawn.labels) or None,
            guidance=guidance(drawn.sampling) or None,
            autoguidance=drawn.autoguidance,
            precision=precision or None,
            like=str(like),
        )
        size = drawn.batch_size if drawn.number > 1 else 1
        total = -(-drawn.number // size) * len(run.diffusion.plan())
        stopped = in_batches(
            drawing, size, total, _batches(drawn, run, told, config.run), written, of_all
        )
    name = GRID if "Images" in text else f"{drawn.first:05d}.png"
    tell_the_end(drawing, stopped, f"done: {output}/{name}")
    return INTERRUPTED if stopped else _compared(pixels, output / name)


def _read(like: Path) -> tuple[dict[str, str], NDArray[np.uint8]]:
    try:
        with Image.open(like) as picture:
            picture.load()
            text = {str(k): str(v) for k, v in getattr(picture, "text", {}).items()}
            pixels = np.asarray(picture)
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise ValueError(
            f"like {str(like)!r} cannot be read ({error}): give a PNG file that sample has drawn"
        ) from None
    wrong = ""
    if not text.get("Software", "").startswith("ddpm-mindspore") or "Run" not in text:
        wrong = "does not say how it was drawn"
    elif LAYOUT in text:
        wrong = "is of training, with real images beside drawn ones"
    elif "Task" in text:
        wrong = f"was drawn from another picture ({text['Task']})"
    elif "Lora" in text:
        wrong = f"was drawn with what another file adds ({text['Lora']})"
    elif "Batch size" not in text:
        wrong = "does not say how many images were drawn at a time, as older ones"
    if wrong:
        raise ValueError(f"like {str(like)!r} {wrong}: give a picture that sample has drawn")
    return text, pixels


def _parsed(text: Mapping[str, str], run: RunConfig, folder: Path, like: Path) -> Drawn:
    if text["Run"] != (own := run_digest(run)):
        raise ValueError(
            f"like {str(like)!r} was drawn by run {text['Run']}, and {str(folder)!r} is {own}: "
            "name the run that has drawn it"
        )
    try:
        average = _AVERAGE.fullmatch(text["Weights"])
        weights: dict[str, Any] = {"step": int(text["Step"])}
        weights |= {"ema": float(average[1])} if average else {"weights": text["Weights"]}
        level, dtype = text.get("Precision", "O0 float16").split(" ")
        check_precision(level, dtype)
        single = "Image" in text
        first, last = (int(x) for x in text["Images"].split("-")) if not single else (
            int(text["Image"]), int(text["Image"])
        )  # fmt: skip
        labels = [text["Label"]] if "Label" in text else json.loads(text.get("Labels", "[]"))
        size = tuple(map(int, text.get("Image size", "").split())) or run.sides
        if len(size) != len(run.sides):
            raise ValueError(f"Image size {text['Image size']!r}")
        guide = text.get("Autoguidance")
        return Drawn(
            _sampling(text),
            weights,
            (level, dtype),
            int(text["Seed"]),
            first,
            last - first + 1,
            int(text["Batch size"]),
            size,
            tuple(map(str, labels)),
            text.get("Negative", ""),
            None if guide is None else int(guide),
        )
    except (KeyError, ValueError, TypeError) as error:
        raise ValueError(f"like {str(like)!r} says what no drawing says ({error})") from None


def _sampling(text: Mapping[str, str]) -> SamplingConfig:
    """All that its file says of the sampler, and nothing else."""
    known = {field.name: field.type for field in fields(SamplingConfig)}
    told: dict[str, Any] = {}
    for keyword, value in text.items():
        name = keyword.lower().replace(" ", "_")
        name = _SHORT.get(name, name)
        if name in known and name != "clip_denoised":
            told[name] = _value(str(known[name]), value)
    if isinstance(told.get("spacing"), tuple):
        told.pop("sampling_timesteps", None)
    return SamplingConfig(**told, clip_denoised=text.get("Clip denoised") != "no")


def _value(kind: str, text: str) -> Any:
    """A number, several, or a name."""
    try:
        numbers = tuple(map(float, text.split()))
    except ValueError:
        return text
    if len(numbers) > 1 or "tuple" in kind:
        return numbers
    return int(numbers[0]) if "int" in kind else numbers[0]


def _told(drawn: Drawn, known: RunConfig, folder: RunFolder) -> list[Any]:
    """What the network is told of images 0, 1, ... over and over; nothing where it is told none."""
    count = known.network.num_classes
    if count is None:
        return list(drawn.labels)
    return list(numbers_of(list(drawn.labels), count, class_names_of(folder), "label"))


def _batches(
    drawn: Drawn, run: OpenedRun, told: list[Any], folder: Path
) -> Callable[[int, Callable[[], None]], NDArray[Any]]:
    diffusion, size = run.diffusion, drawn.batch_size
    weak = None
    if drawn.autoguidance is not None:
        weights = str(drawn.weights.get("weights", "average"))
        weak = open_run(folder, weights=weights, step=drawn.autoguidance)
        set_precision(weak.diffusion.model, *drawn.precision)
    condition: dict[str, Any] = {}

    def draw(first: int, on_step: Callable[[], None]) -> NDArray[Any]:
        # The batch that it was in, whole.
        begin = (drawn.first + first) // size * size
        if told:
            of_each = [told[i % len(told)] for i in range(begin, begin + size)]
            condition["condition" if diffusion.model.captioned else "classes"] = of_each
            if diffusion.model.captioned:
                condition["negative"] = drawn.negative
        found = diffusion.sample(
            size,
            first=begin,
            seed=drawn.seed,
            image_size=drawn.image_size,
            weak=None if weak is None else weak.diffusion.model,
            on_step=on_step,
            **condition,
        )
        place = drawn.first + first - begin
        return Pictures().units(run.units(found))[place:]

    return draw


def _compared(before: NDArray[np.uint8], path: Path) -> int:
    """Say whether the picture is the same; an exit code."""
    with Image.open(path) as picture:
        now = np.asarray(picture)
    if now.shape == before.shape and (now == before).all():
        say("the same picture, bit for bit")
        return DONE
    off = "of another size"
    if now.shape == before.shape:
        difference = np.abs(now.astype(int) - before)
        off = f"off in {np.count_nonzero(difference):,} of {now.size:,} values, by up to "
        off += f"{difference.max()} of 255"
    say(
        f"not the same picture: {off}. It was drawn on another machine, by other versions or "
        "kernels, or with a checkpoint that was trained anew",
        error=True,
    )
    return FAILED
