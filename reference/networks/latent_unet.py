"""The U-Net of latent diffusion: what it predicts depends on x_t, on t and on a text's states.

Rombach et al. 2022 (arXiv 2112.10752, section 3.3 and appendix E.2.1): residual blocks with group
norms, to which the time is added, and after each a spatial transformer that reads the states.
Parameters are a flat dict with the names and shapes of the published Wukong-Huahua weights, without
their ``model.diffusion_model.`` in front.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import repeat

import autograd.numpy as np

from ..config import LatentUnetConfig
from . import layers
from .blocks import (
    Shapes,
    conv_shapes,
    dense,
    dense_shapes,
    halving_conv2d,
    norm,
    norm_shapes,
    norm_silu_conv,
    time_embedding,
)
from .conditioning import spatial_transformer, spatial_transformer_shapes
from .initial import draw
from .layers import Array, Params

__all__ = ["LatentUnetConfig", "init", "latent_unet", "param_shapes"]

EPS = 1e-5
"""What the group norms of the residual blocks add to the variance."""


def latent_unet(
    params: Params,
    config: LatentUnetConfig,
    x: Array,
    time: Array,
    x_self_cond: None = None,
    dropout_masks: Sequence[Array] | None = None,
    condition: Array | None = None,
) -> Array:
    """Apply the network.

    Args:
        params: arrays named and shaped as in ``param_shapes(config)``.
        x: (B, in_channels, H, W) floats, H and W multiples of ``config.downsample_factor``. Where
            the network inpaints: x_t, the mask and the latents of the masked image.
        time: (B,), the network's own time input: t - 1 for the paper's t = 1..T.
        x_self_cond: None; other networks take the last estimate of x_0.
        dropout_masks: None (no dropout, as in sampling), or for each entry (C, H, W) of
            ``config.dropout_shapes`` an array (B, C, H, W): 1 keeps an activation, 0 drops it.
        condition: (B, M, context_dim), the text's states.

    Returns:
        (B, channels, H, W), of the dtype of ``x`` and ``params``.

    Raises:
        ValueError: an argument that does not fit the configuration or the shape of x.
    """
    time = np.asarray(time, dtype=x.dtype)
    context = _checked(config, x, time, x_self_cond, dropout_masks, condition)
    embedding = dense(params, "time_embed.0", time_embedding(time, config.dim))
    embedding = dense(params, "time_embed.2", layers.silu(embedding))
    masks = repeat(None) if dropout_masks is None else iter(dropout_masks)
    return _body(params, config, x, embedding, context, masks)


def _body(
    params: Params,
    config: LatentUnetConfig,
    x: Array,
    embedding: Array,
    context: Array,
    masks: Iterator[Array | None],
) -> Array:
    def residual(name: str, x: Array) -> Array:
        return _residual(params, config, name, x, embedding, next(masks))

    def attend(name: str, x: Array) -> Array:
        settings = (config.heads, config.groups, config.gelu, config.norm_eps)
        return spatial_transformer(params, name, x, context, *settings)

    x = layers.conv(params, "input_blocks.0.0.conv", x)
    skips = [x]
    for i, stage in enumerate(config.input_stages, 1):
        if stage.rescale:
            name = f"input_blocks.{i}.0.op.conv"
            x = halving_conv2d(x, params[f"{name}.weight"], params[f"{name}.bias"], before=1)
        else:
            x = residual(f"input_blocks.{i}.0", x)
        if stage.attention:
            x = attend(f"input_blocks.{i}.1", x)
        skips.append(x)
    x = residual("middle_block.0", x)
    x = residual("middle_block.2", attend("middle_block.1", x))
    for i, stage in enumerate(config.output_stages):
        x = residual(f"output_blocks.{i}.0", np.concatenate((x, skips.pop()), axis=1))
        if stage.attention:
            x = attend(f"output_blocks.{i}.1", x)
        if stage.rescale:
            name = f"output_blocks.{i}.{2 if stage.attention else 1}.conv.conv"
            x = layers.conv(params, name, layers.upsample_nearest(x))
    return norm_silu_conv(params, ("out.0", "out.2.conv"), x, config.groups, EPS)


def _residual(
    params: Params,
    config: LatentUnetConfig,
    name: str,
    x: Array,
    embedding: Array,
    keep: Array | None,
) -> Array:
    """Twice group norm, SiLU and convolution, and a way around; the time is added in between."""
    names = (f"{name}.in_layers_norm", f"{name}.in_layers_conv.conv")
    h = norm_silu_conv(params, names, x, config.groups, EPS)
    told = dense(params, f"{name}.emb_layers.1", layers.silu(embedding))
    h = h + np.reshape(told, (len(x), -1, 1, 1))
    h = layers.silu(norm(params, f"{name}.out_layers_norm", h, config.groups, EPS))
    if keep is not None:
        h = h * keep.astype(h.dtype) / (1.0 - config.dropout)
    h = layers.conv(params, f"{name}.out_layers_conv.conv", h)
    skip = f"{name}.skip_connection.conv"
    return h + (layers.conv(params, skip, x) if f"{skip}.weight" in params else x)


def _checked(
    config: LatentUnetConfig,
    x: Array,
    time: Array,
    x_self_cond: None,
    dropout_masks: Sequence[Array] | None,
    condition: Array | None,
) -> Array:
    """The condition, which fits, as all else does."""
    if x.ndim != 4 or x.shape[1] != config.in_channels or x.dtype.kind != "f":
        raise ValueError(
            f"x has shape {x.shape} and dtype {x.dtype}: give floats "
            f"(B, {config.in_channels}, H, W)"
        )
    config.check_image_size((x.shape[2], x.shape[3]))
    if time.shape != x.shape[:1]:
        raise ValueError(
            f"time has shape {time.shape}: it must be ({len(x)},), a number for each image"
        )
    if x_self_cond is not None:
        raise ValueError("x_self_cond is given, but this network is not shown its last estimate")
    if dropout_masks is not None:
        expected = [(len(x), *s) for s in config.dropout_shapes((x.shape[2], x.shape[3]))]
        if (given := [mask.shape for mask in dropout_masks]) != expected:
            raise ValueError(f"dropout_masks have shapes {given}: they must be {expected}")
    if condition is None:
        raise ValueError("condition is missing: give the states of a text, the empty one for none")
    if condition.ndim != 3 or (len(condition), condition.shape[2]) != (len(x), config.context_dim):
        raise ValueError(
            f"condition has shape {condition.shape}: it must be ({len(x)}, M, "
            f"{config.context_dim}), the states of a text for each image"
        )
    return condition


def init(config: LatentUnetConfig, rng: np.random.Generator) -> dict[str, Array]:
    """Draw float64 parameters; see ``initial``."""
    return {name: draw(name, shape, rng) for name, shape in param_shapes(config).items()}


def param_shapes(config: LatentUnetConfig) -> Shapes:
    """Name and shape of every parameter, in the order in which they are drawn."""

    def transformer(name: str, dim: int) -> Shapes:
        return spatial_transformer_shapes(name, dim, config.context_dim)

    time_dim, last = config.time_dim, config.widths[-1]
    shapes = dense_shapes("time_embed.0", config.dim, time_dim)
    shapes |= dense_shapes("time_embed.2", time_dim, time_dim)
    shapes |= conv_shapes("input_blocks.0.0.conv", config.in_channels, config.dim)
    for i, stage in enumerate(config.input_stages, 1):
        if stage.rescale:
            shapes |= conv_shapes(f"input_blocks.{i}.0.op.conv", stage.dim_in, stage.dim_out)
        else:
            name = f"input_blocks.{i}.0"
            shapes |= _residual_shapes(name, stage.dim_in, stage.dim_out, time_dim)
        if stage.attention:
            shapes |= transformer(f"input_blocks.{i}.1", stage.dim_out)
    shapes |= _residual_shapes("middle_block.0", last, last, time_dim)
    shapes |= transformer("middle_block.1", last)
    shapes |= _residual_shapes("middle_block.2", last, last, time_dim)
    for i, stage in enumerate(config.output_stages):
        shapes |= _residual_shapes(f"output_blocks.{i}.0", stage.dim_in, stage.dim_out, time_dim)
        if stage.attention:
            shapes |= transformer(f"output_blocks.{i}.1", stage.dim_out)
        if stage.rescale:
            name = f"output_blocks.{i}.{2 if stage.attention else 1}.conv.conv"
            shapes |= conv_shapes(name, stage.dim_out, stage.dim_out)
    shapes |= norm_shapes("out.0", config.dim)
    return shapes | conv_shapes("out.2.conv", config.dim, config.out_channels)


def _residual_shapes(name: str, dim: int, dim_out: int, time_dim: int) -> Shapes:
    shapes = norm_shapes(f"{name}.in_layers_norm", dim)
    shapes |= conv_shapes(f"{name}.in_layers_conv.conv", dim, dim_out)
    shapes |= dense_shapes(f"{name}.emb_layers.1", time_dim, dim_out)
    shapes |= norm_shapes(f"{name}.out_layers_norm", dim_out)
    shapes |= conv_shapes(f"{name}.out_layers_conv.conv", dim_out, dim_out)
    skip = f"{name}.skip_connection.conv"
    return shapes | (conv_shapes(skip, dim, dim_out, 1) if dim != dim_out else {})
