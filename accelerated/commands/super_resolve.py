"""``ddpm-mindspore super-resolve``: draw what a small picture may be the small picture of."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...reference.degradations import downsampled
from ...reference.schedule import make_schedule
from ...reference.tasks.super_resolution import enlarged
from ..data.single import read_picture, size_of
from ..process import to_model_range
from ..samplers import plan_for
from .given import Array, Asked, Walk, asked, carry_out, repeated
from .solve import solved
from .task_options import SuperResolveConfig


def super_resolve(config: SuperResolveConfig) -> int:
    """Draw pictures whose small picture is the image; an exit code.

    By the run's network, where it was trained to enlarge (SR3, arXiv 2104.07636); any other is held
    to the picture (DDNM, DPS).

    Raises:
        ValueError: wrong input, before any long work.
    """
    told = asked(config, enlarges=True)
    trained = told.config.trainer.super_resolve
    _check_method(config, trained)
    factor = _factor(config, told) if trained is None else trained
    of = downsampled(told.shape, factor)
    y = to_model_range(read_picture(config.image, of.measured, fit=config.fit))
    task = {"task": "super-resolve", "image": str(config.image), "factor": factor}
    if trained is None:
        asks = replace(config, method=config.method or "ddnm")
        return solved(asks, told, of, y, config.noise, task)
    return _drawn(config, told, y, factor, task)


def _check_method(config: SuperResolveConfig, trained: int | None) -> None:
    run = f"run {str(config.run)!r}"
    if trained is None:
        if config.method == "sr3":
            raise ValueError(
                f"method sr3 needs a run that was trained to enlarge (train --super-resolve 4), "
                f"which {run} was not: use ddnm or dps"
            )
        return
    if config.method not in (None, "sr3"):
        raise ValueError(
            f"method {config.method} is for a run that was not trained to enlarge, which {run} "
            "was: leave it out"
        )
    if config.factor not in (None, trained):
        raise ValueError(f"factor {config.factor} is not that of {run}, {trained}: leave it out")
    if config.noise:
        raise ValueError(
            f"noise {config.noise} is for ddnm and dps: {run} was shown pictures without noise"
        )
    if config.label is not None:
        raise ValueError(f"label {config.label!r} is for a run with classes: leave it out")


def _factor(config: SuperResolveConfig, told: Asked) -> int:
    """How many times the run's images are larger than the picture."""
    if config.factor is not None:
        return config.factor
    (height, width), (_, large, wide) = size_of(config.image), told.shape
    factor = large // height
    if factor < 2 or (height * factor, width * factor) != (large, wide):
        raise ValueError(
            f"image {str(config.image)!r} is {height} x {width} (height x width), and the run's "
            f"{large} x {wide} are no whole number of times larger: resize it, or add --fit "
            "--factor 2"
        )
    return factor


def _drawn(
    config: SuperResolveConfig,
    told: Asked,
    y: NDArray[np.float32],
    factor: int,
    task: dict[str, Any],
) -> int:
    """Draw as ``sample`` does, with the run's sampler; an exit code."""
    process = told.config.diffusion
    sampling = told.config.sampling.but(sampling_timesteps=config.sampling_timesteps)
    schedule = make_schedule(
        process.beta_schedule, process.timesteps, zero_terminal_snr=process.zero_terminal_snr
    )

    def work(walk: Walk) -> Array:
        count = len(walk.start)
        drawn = walk.diffusion.sample(
            count,
            first=walk.first,
            seed=config.seed,
            sampling_timesteps=config.sampling_timesteps,
            condition=repeated((y + 1.0) / 2.0, count),
            on_step=walk.solver.on_step,
        )
        return to_model_range(drawn)

    return carry_out(
        config,
        replace(told, told=enlarged(y[None], factor)[0]),
        config.num_samples,
        work,
        task={**task, "method": "sr3", **sampling.facts(process.timesteps)},
        evaluations=len(plan_for(schedule, sampling)),
    )
