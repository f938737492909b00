"""The network over vectors that predicts noise, x_0 or v from x_t and t.

A linear map, the U-Net's residual blocks one after another, in which linear maps stand where images
are convolved, and another linear map. The time scales and shifts in each block.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import repeat

import autograd.numpy as np

from ..config import MlpConfig
from . import layers, parameters
from .arguments import check_arguments
from .layers import Array, Params
from .parameters import Shapes
from .unet import embedded

__all__ = ["MlpConfig", "init", "mlp", "param_shapes"]


def mlp(
    params: Params,
    config: MlpConfig,
    x: Array,
    time: Array,
    x_self_cond: Array | None = None,
    dropout_masks: Sequence[Array] | None = None,
    condition: Array | None = None,
) -> Array:
    """Apply the network.

    Args:
        params: arrays named and shaped as in ``param_shapes(config)``.
        x: (B, channels) floats.
        time: (B,), the network's own time input: t - 1 for the paper's t = 1..T.
        x_self_cond: the last estimate of x_0, shaped as x; None stands for zeros. Only with
            ``config.self_condition`` (arXiv 2208.04202, section 3.2).
        dropout_masks: None (no dropout, as in sampling), or for each block an array (B, dim): 1
            keeps an activation, 0 drops it.
        condition: (B,) integers, the class of each item, as the U-Net of images takes it.

    Returns:
        (B, channels), of the dtype of ``x`` and ``params``.

    Raises:
        ValueError: an argument that does not fit the configuration or the shape of x.
    """
    time = np.asarray(time, dtype=x.dtype)
    check_arguments(config, x, time, x_self_cond, dropout_masks)
    masks = repeat(None) if dropout_masks is None else iter(dropout_masks)
    embedding = embedded(params, config, time, condition)
    if config.self_condition:
        x = np.concatenate((np.zeros_like(x) if x_self_cond is None else x_self_cond, x), axis=1)
    x = layers.conv(params, "init", x)
    for i in range(config.depth):
        x = layers.resnet_block(params, f"blocks.{i}", x, embedding, next(masks), config.dropout)
    return layers.conv(params, "final", x)


def init(config: MlpConfig, rng: np.random.Generator) -> dict[str, Array]:
    """Draw float64 parameters, as ``parameters.initial`` does."""
    return parameters.initial(param_shapes(config), rng)


def param_shapes(config: MlpConfig) -> Shapes:
    """Name and shape of every parameter, in the order in which they are drawn."""
    shapes = parameters.linear("init", config.in_channels, config.dim)
    shapes |= parameters.time_mlp(config) | parameters.classes_mlp(config)
    for i in range(config.depth):
        shapes |= parameters.resnet(
            f"blocks.{i}", config.dim, config.dim, config.time_dim, config.rank
        )
    return shapes | parameters.linear("final", config.dim, config.out_channels)
