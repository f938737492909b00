"""``ddpm-mindspore interpolate``: from one picture to another, by way of their noise."""

from __future__ import annotations

import numpy as np

from ..data.single import read_picture
from ..process import to_model_range
from ..tasks.interpolation import interpolate as between
from .given import Array, Walk, asked, carry_out
from .task_options import InterpolateConfig


def interpolate(config: InterpolateConfig) -> int:
    """Draw what lies between two pictures; an exit code.

    Raises:
        ValueError: wrong input, before any long work.
    """
    told = asked(config)
    first, second = (
        to_model_range(read_picture(path, told.shape, fit=config.fit))
        for path in (config.image, config.other)
    )
    shares = np.linspace(0.0, 1.0, config.frames).tolist()

    def work(walk: Walk) -> Array:
        return between(walk.solver, first, second, shares=shares, timesteps=told.timesteps)

    task = {"task": "interpolate", "image": str(config.image), "other": str(config.other)}
    task |= {"sampler": "ddim"}
    return carry_out(
        config,
        told,
        config.frames,
        work,
        task=task,
        evaluations=None,
        clip=False,
        together=True,
    )
