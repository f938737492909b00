"""``ddpm-mindspore inpaint``: paint what a mask hides."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...reference.degradations import masked
from ..data.single import read_picture
from ..process import to_model_range
from ..tasks.inpainting import repaint
from ..weights.shipped import place_of
from .given import Array, Walk, asked, carry_out, evaluations, repeated
from .inpaint_shown import inpaint_shown, is_shown, mask_of
from .solve import solved
from .task_options import InpaintConfig


def inpaint(config: InpaintConfig) -> int:
    """Draw pictures that are the image where the mask is black; an exit code.

    Raises:
        ValueError: wrong input, before any long work.
    """
    if is_shown(place_of(config.run).config.read().network):
        return inpaint_shown(config)
    if config.method == "shown":
        raise ValueError(
            f"method shown needs a network that was trained to inpaint, which run "
            f"{str(config.run)!r} has not: use repaint, ddnm or dps"
        )
    told = asked(config)
    picture = to_model_range(read_picture(config.image, told.shape, fit=config.fit))
    mask = mask_of(config, (told.shape[1], told.shape[2])).astype(np.float64)
    task: dict[str, Any] = {"task": "inpaint", "image": str(config.image), "mask": config.mask}
    if config.method not in (None, "repaint"):
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
