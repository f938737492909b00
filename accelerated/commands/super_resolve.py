"""``ddpm-mindspore super-resolve``: draw what a small picture may be the small picture of."""

from __future__ import annotations

from ...reference.degradations import downsampled
from ..data.single import read_picture, size_of
from ..process import to_model_range
from .given import Asked, asked
from .solve import solved
from .task_options import SuperResolveConfig


def super_resolve(config: SuperResolveConfig) -> int:
    """Draw pictures whose small picture is the image; an exit code.

    Raises:
        ValueError: wrong input, before any long work.
    """
    told = asked(config)
    of = downsampled(told.shape, _factor(config, told))
    y = to_model_range(read_picture(config.image, of.measured, fit=config.fit))
    task = {
        "task": "super-resolve",
        "image": str(config.image),
        "factor": told.shape[1] // len(y[0]),
    }
    return solved(config, told, of, y, config.noise, task)


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
