"""``ddpm-mindspore restore``: undo a known linear degradation."""

from __future__ import annotations

from ...reference.degradations import degradation
from ..data.single import read_picture
from ..process import to_model_range
from .given import asked
from .solve import solved
from .task_options import RestoreConfig


def restore(config: RestoreConfig) -> int:
    """Draw pictures of which the image may be the degraded one; an exit code.

    Raises:
        ValueError: wrong input, before any long work.
    """
    told = asked(config)
    of = degradation(config.degradation, told.shape)
    if of.name == "noise" and config.noise == 0.0:
        raise ValueError(
            "degradation 'noise' without noise is no degradation: say how much (--noise 0.1)"
        )
    y = to_model_range(read_picture(config.image, of.measured, fit=config.fit))
    task = {"task": "restore", "image": str(config.image), "degradation": of.name}
    return solved(config, told, of, y, config.noise, task)
