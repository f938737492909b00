"""What a network refuses to be given."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

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


def check_shown(config: NetworkConfig, x: Array, condition: Array | None) -> None:
    """Raise ValueError unless a picture is given for each of x."""
    expected = (len(x), config.cond_channels, *x.shape[2:])
    if condition is None:
        raise ValueError(f"condition is missing: give pictures {expected}")
    given = np.shape(condition)
    if given != expected:
        raise ValueError(f"condition has shape {given}: give pictures {expected}")


def check_condition(config: NetworkConfig, batch: int, condition: Array | None) -> None:
    """Raise ValueError for a class of an item that the network does not know, or none of it."""
    if condition is None and config.num_classes is None:
        return
    if config.num_classes is None:
        raise ValueError("condition is given, but the network has num_classes=None")
    if condition is None:
        raise ValueError(
            f"condition is missing: give each image's class, 0 to {config.num_classes - 1}, or "
            f"{config.num_classes} for none"
        )
    labels = np.asarray(condition)
    if labels.shape != (batch,) or labels.dtype.kind not in "iu":
        raise ValueError(
            f"condition has shape {labels.shape} and dtype {labels.dtype}: give integers ({batch},)"
        )
    for label in labels[(labels < 0) | (labels > config.num_classes)]:
        raise ValueError(
            f"condition {label} is no class: they are 0 to {config.num_classes - 1}, and "
            f"{config.num_classes} stands for none"
        )
