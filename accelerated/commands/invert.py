"""``ddpm-mindspore invert``: the noise that a picture is drawn from."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np

from ...reference.tasks.inversion import root_mean_square
from ..data.single import read_picture
from ..process import to_model_range
from ..system.files import replace_file
from ..tasks.inversion import invert as inverted
from ..tasks.inversion import walk_back
from .given import Array, Walk, asked, carry_out
from .task_options import InvertConfig


def invert(config: InvertConfig) -> int:
    """Find the noise, draw from it, and say by how much the picture is missed; an exit code.

    Raises:
        ValueError: wrong input, before any long work.
    """
    told = asked(config)
    picture = to_model_range(read_picture(config.image, told.shape, fit=config.fit))[None]
    found: list[Array] = []
    error = 0.0

    def work(walk: Walk) -> Array:
        nonlocal error
        x_T = inverted(walk.solver, picture, timesteps=told.timesteps, iterations=config.iterations)
        again = walk_back(walk.solver, x_T, timesteps=told.timesteps)
        found.append(x_T)
        error = 0.5 * float(root_mean_square(picture - again)[0])
        return again

    def finish(folder: Path) -> str:
        data = io.BytesIO()
        np.save(data, found[0])
        replace_file(folder / "noise.npy", data.getvalue(), flush=False)
        return (
            f"\nthe noise is in {folder}/noise.npy {found[0].shape}; the picture drawn from it "
            f"differs by {error:.2g} (root mean square, pixels from 0 to 1)"
        )

    task = {"task": "invert", "image": str(config.image), "iterations": config.iterations}
    task |= {"sampler": "ddim"}
    return carry_out(config, told, 1, work, task=task, evaluations=None, clip=False, finish=finish)
