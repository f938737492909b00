"""What a network refuses to be given."""

from __future__ import annotations

from collections.abc import Sequence

from ..config import NetworkConfig
from .layers import Array

AXES = {0: "", 1: ", L", 2: ", H, W"}


def check_arguments(
    config: NetworkConfig,
    x: Array,
    time: Array,
    x_self_cond: Array | None,
    dropout_masks: Sequence[Array] | None,
) -> None:
    """Raise ValueError for an argument that does not fit the configuration or the shape of x."""
    if x.ndim != 2 + config.rank or x.shape[1] != config.channels or x.dtype.kind != "f":
        raise ValueError(
            f"x has shape {x.shape} and dtype {x.dtype}: give floats "
            f"(B, {config.channels}{AXES[config.rank]})"
        )
    config.check_image_size(x.shape[2:])
    if time.shape != x.shape[:1]:
        raise ValueError(
            f"time has shape {time.shape}: it must be ({len(x)},), a number for each image"
        )
    if x_self_cond is not None and not config.self_condition:
        raise ValueError("x_self_cond is given, but the network has self_condition=False")
    if x_self_cond is not None and x_self_cond.shape != x.shape:
        raise ValueError(
            f"x_self_cond has shape {x_self_cond.shape}, x has {x.shape}: make it equal"
        )
    if dropout_masks is not None:
        expected = [(len(x), *s) for s in config.dropout_shapes(x.shape[2:])]
        if (given := [mask.shape for mask in dropout_masks]) != expected:
            raise ValueError(f"dropout_masks have shapes {given}: they must be {expected}")
