"""``ddpm-mindspore inpaint``: paint what a mask hides."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...reference.degradations import masked
from ..data.single import read_alpha, read_mask, read_picture
from ..process import to_model_range
from ..tasks.inpainting import repaint
from .given import Array, Walk, asked, carry_out, evaluations, repeated
from .solve import solved
from .task_options import InpaintConfig


def inpaint(config: InpaintConfig) -> int:
    """Draw pictures that are the image where the mask is black; an exit code.

    Raises:
        ValueError: wrong input, before any long work.
    """
    told = asked(config)
    picture = to_model_range(read_picture(config.image, told.shape, fit=config.fit))
    mask = _mask(config, (told.shape[1], told.shape[2])).astype(np.float64)
    task: dict[str, Any] = {"task": "inpaint", "image": str(config.image), "mask": config.mask}
    if config.method != "repaint":
        of = masked(mask, told.shape)
        return solved(config, told, of, of(picture[None])[0], 0.0, task)
    jumps = config.jump_length, config.jump_repeats

    def work(walk: Walk) -> Array:
        return repaint(
            walk.solver,
            walk.start,
            repeated(picture, len(walk.start)),
            mask,
            timesteps=told.timesteps,
            noise=walk.noise,
            jump_length=jumps[0],
            jump_repeats=jumps[1],
        )

    task |= {"method": "repaint", "jump_length": jumps[0], "jump_repeats": jumps[1]}
    asks = evaluations(told.timesteps, *jumps)
    return carry_out(config, told, config.num_samples, work, task=task, evaluations=asks)


def _mask(config: InpaintConfig, size: tuple[int, int]) -> NDArray[np.uint8]:
    if config.mask == "alpha":
        return read_alpha(config.image, size, fit=config.fit)
    return read_mask(Path(config.mask), size, fit=config.fit)
