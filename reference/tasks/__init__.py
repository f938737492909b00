"""What a trained denoiser is good for besides drawing: each a small function, as its paper has it.

All of them take ``(schedule, predict_x0, ...)`` as the samplers do; no network is trained for them.
Random numbers are a function ``noise(i)``, the i-th draw, standard normal of the shape of x.
"""

from __future__ import annotations

from . import (
    editing,
    inpainting,
    interpolation,
    inversion,
    paths,
    posterior_sampling,
    restoration,
    super_resolution,
)

__all__ = [
    "editing",
    "inpainting",
    "interpolation",
    "inversion",
    "paths",
    "posterior_sampling",
    "restoration",
    "super_resolution",
]
