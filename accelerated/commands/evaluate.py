"""``ddpm-mindspore evaluate``: how good is what a model draws, in figures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from time import perf_counter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...reference.config import SamplingConfig, TextUnetConfig
from ...reference.config.inception import DIGEST, FILE
from ...reference.evaluation import LEAST
from ...reference.evaluation.document import Sets, document, stages
from ..config import Sides, sides
from ..data import Images, open_images, read_spread
from ..data.crops import CENTER
from ..data.scaling import from_dict
from ..evaluation import INCEPTION, WEIGHTS
from ..evaluation.features import TINY, chosen, describer, feature_weights
from ..precision import set_precision
from ..reports import evaluation as report
from ..runs.config_file import versions
from ..runs.folder import RunFolder
from ..runs.images import encoding_of, place_of_images
from ..runs.kept import Kept, digest
from ..runs.names import EVALUATION
from ..runs.opened import OpenedRun
from ..runs.provenance import precision_text
from ..system.files import write_json
from ..system.say import answer, bar, say
from ..weights.autoencoder import coder_config
from ..weights.features import FeatureWeights
from ..weights.shipped import place_of
from .batches import opened, written_to
from .bits import bits_of, check_images
from .evaluation_options import USUAL, EvaluateConfig
from .exit_codes import DONE, INTERRUPTED
from .labels import Captions, Labels, sampling_of
from .obeyed import texts_of
from .sample import asked_of, draw

DOCUMENT, CLOSEST, BITS = "evaluation.json", "closest.png", "bits.png"
VERSION = 1
_SAID = ("versions", "step", "weights", "sampling", "precision", "seed")


def evaluate(config: EvaluateConfig) -> int:
    """Draw samples, or go on with those of an earlier evaluation, and measure them; an exit code.

    Raises:
        ValueError: no run, options or data that do not fit it, or an output that holds others'
            files. Nothing was drawn then.
        OSError: a full disk.
    """
    began, folder = perf_counter(), place_of(config.run)
    sampling, classes, size = asked_of(config, captions=True)
    run_config = folder.config.read()
    shape = (run_config.network.channels, *sides(size))
    if folder.draws_latents():
        shape = coder_config(folder).picture_shape(sides(size))
    space = chosen(config.features, shape)
    weights = feature_weights(space, config.feature_weights)
    _warn(space, weights)
    real = _opened(config, folder, shape, config.data, "data")
    unseen = _opened(config, folder, shape, config.against, "against") if config.against else None
    output = written_to(config.output, config.run, EVALUATION)
    number = USUAL if config.num_samples is None else config.num_samples
    device, run = opened(config)
    set_precision(run.diffusion.model, config.amp_level, config.amp_dtype)
    texts = texts_of(run, real, number)
    labels = classes if texts is None else texts.said
    if run.diffusion.model.conditional and labels is classes and not classes.count:
        raise ValueError(f"run {str(config.run)!r} is told more of an item than its class")
    bits = {"training": real} | ({"held_out": unseen} if unseen is not None else {})
    check_images(config, run, bits)
    by = _drawn_by(run, config, sampling, labels, size)
    total = number if texts is None else texts.number
    with Kept(output, total, shape, by) as kept:
        there = f", {kept.finished:,} of them are there" if kept.finished else ""
        say(
            f"device: {device}; {total:,} {kept.form.noun} with the weights of step {run.step:,} "
            f"({run.weights}){there}"
        )
        if kept.finished < total:
            say("compiling the network: about 10 s, and less where it was compiled before")
            if draw(run, config, sampling, size, kept, labels):
                say(
                    f"stopped: {kept.finished:,} of {total:,} {kept.form.noun} are kept in "
                    f"{output}/; the same command goes on with them",
                    error=True,
                )
                return INTERRUPTED
        shown = read_spread(real, config.num_real)
        sets = Sets(
            kept.items()[:number],
            shown.x,
            None if unseen is None else read_spread(unseen, config.num_real).x,
            None if len(real.classes) < 2 else shown.labels,
            _asked(classes, real.classes, number),
        )
        what = {
            "version": VERSION,
            "run": str(folder.path.absolute()),
            **{name: by[name] for name in _SAID},
            "device": device,
            "data": config.data or place_of_images(folder),
            "against": config.against,
            "counts": {
                "samples": number,
                "training": len(sets.real),
                "training_in_all": len(real),
                "held_out": 0 if sets.held_out is None else len(sets.held_out),
            },
        }
        found = what | _measured(config, space, sets, weights)
        if texts is not None:
            found |= texts.obeyed(kept.items())
        found |= bits_of(config, run, bits)
        found["seconds"] = round(perf_counter() - began, 1)
        found["date"] = datetime.now().astimezone().isoformat(timespec="seconds")
        write_json(output / DOCUMENT, found)
        files = [DOCUMENT]
        if len(shape) == 3:
            files.append(CLOSEST)
            report.closest(found, sets.drawn, sets.real, output / CLOSEST)
        if "likelihood" in found:
            files.append(BITS)
            report.bits(found, output / BITS)
    answer(f"{report.heading(found)}\n\n{report.table(found, real.classes)}\n")
    say("done: " + ", ".join(f"{output}/{file}" for file in files))
    return DONE


def _warn(space: str, weights: FeatureWeights | None) -> None:
    """Say so if FID is to be measured by a file that is not the published one."""
    if space == INCEPTION and weights is not None and not weights.sha256.startswith(DIGEST):
        say(
            f"! the SHA-256 of {str(weights.file)!r} begins with {weights.sha256[:8]}, that of "
            f"{FILE} with {DIGEST}: unless it holds the same numbers, what follows is no FID",
            error=True,
        )


def _measured(
    config: EvaluateConfig, name: str, sets: Sets, weights: FeatureWeights | None
) -> dict[str, Any]:
    """All figures, while a bar is shown."""
    replicates = config.replicates
    if replicates is None:
        many = name in WEIGHTS or (name == "pixels" and sets.real[0].size > TINY)
        replicates = 10 if many else 50
    with bar(total=stages(sets), desc="measuring", unit="part") as measuring:
        found = document(
            sets,
            describer(name, sets.real, weights),
            seed=config.seed,
            replicates=replicates,
            on_stage=measuring.update,
        )
    space: dict[str, Any] = {"feature_space": name}
    if weights is not None:
        space["feature_weights"] = {"file": str(weights.file), "sha256": weights.sha256}
    return space | {"replicates": replicates, **found}


def _asked(labels: Labels, classes: Sequence[str], number: int) -> NDArray[Any] | None:
    """The class among the data's that each sample was to be of."""
    if not labels.count or not set(labels.names) <= set(classes):
        return None
    own = np.array([list(classes).index(name) for name in labels.names])
    asked: NDArray[Any] = own[np.arange(number) % len(own)]
    return asked


def _opened(
    config: EvaluateConfig,
    folder: RunFolder,
    shape: tuple[int, ...],
    source: str | None,
    option: str,
) -> Images:
    """Real items as the run has seen them, but for what is random about it."""
    run = folder.config.read()
    trainer, bits = run.trainer, config.likelihood > 0
    latents = folder.draws_latents()
    classes = tuple(config.label) or trainer.only_class
    data = place_of_images(folder) if source is None else source
    encoding = encoding_of(trainer, data, captioned=isinstance(run.network, TextUnetConfig))
    try:
        images = open_images(
            data,
            shape[1:],
            shape[0],
            crop=CENTER if trainer.crop != "none" else replace(CENTER, kind="none"),
            only_class=classes,
            cache=trainer.data_cache if source is None and not latents else None,
            memory_limit=int(min(trainer.data_memory_gb * 1e9, 2**62)),
            progress=True,
            leave_out=trainer.leave_out,
            # Of others only bits are conditional on what is said of them.
            caption_encoding=encoding if option == "data" or bits else None,
            bounded=run.diffusion.auto_normalize or latents,
            scaling=from_dict(folder.config.images().get("scaling")),
        )
    except ValueError as error:
        raise ValueError(f"{option}: {error}" if source is not None else str(error)) from None
    least = 2 * LEAST if option == "data" else LEAST
    if len(images) < least:
        raise ValueError(f"{option} has {len(images)} items: {least} are needed at least")
    return images


def _drawn_by(
    run: OpenedRun,
    config: EvaluateConfig,
    sampling: SamplingConfig,
    labels: Labels | Captions,
    size: Sides,
) -> dict[str, Any]:
    """All that samples are a function of."""
    return {
        "versions": versions(),
        "network": digest(run.diffusion.model.arrays()),
        "step": run.step,
        "weights": run.weights,
        "sampling": {
            **sampling.facts(run.config.diffusion.timesteps),
            **{name: v for name, v in sampling_of(config).items() if v is not None},
        },
        "autoguidance": config.autoguidance,
        "labels": list(labels.names),
        "captions": labels.digest if isinstance(labels, Captions) else None,
        "precision": precision_text(config.amp_level, config.amp_dtype) or None,
        "image_size": list(np.atleast_1d(size).tolist()),
        "seed": config.seed,
    }
