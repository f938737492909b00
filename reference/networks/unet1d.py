"""The U-Net over sequences that predicts noise, x_0 or v from x_t and t.

That of images (``unet.py``), with these differences: it is convolved along one side, a level is
halved by a convolution over 4 places with stride 2, every level has linear attention and only the
middle softmax attention, and there are no learned keys and values. Parameters are a flat dict with
the names and shapes of the ``Unet1D`` of ``denoising-diffusion-pytorch`` 2.3.4.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import repeat

import autograd.numpy as np

from ..config import Unet1DConfig
from . import layers, parameters
from .arguments import check_arguments
from .layers import Array, Params
from .parameters import Shapes
from .unet import embedded

__all__ = ["Unet1DConfig", "init", "param_shapes", "unet1d"]

RANK = 1


def unet1d(
    params: Params,
    config: Unet1DConfig,
    x: Array,
    time: Array,
    x_self_cond: Array | None = None,
    dropout_masks: Sequence[Array] | None = None,
    condition: Array | None = None,
) -> Array:
    """Apply the network.

    Args:
        params: arrays named and shaped as in ``param_shapes(config)``.
        x: (B, channels, L) floats, L a multiple of ``config.downsample_factor``.
        time: (B,), the network's own time input: t - 1 for the paper's t = 1..T.
        x_self_cond: the last estimate of x_0, shaped as x; None stands for zeros. Only with
            ``config.self_condition`` (arXiv 2208.04202, section 3.2).
        dropout_masks: None (no dropout, as in sampling), or for each entry (C, L) of
            ``config.dropout_shapes`` an array (B, C, L): 1 keeps an activation, 0 drops it.
        condition: (B,) integers, the class of each item, as the U-Net of images takes it.

    Returns:
        (B, config.out_channels, L), of the dtype of ``x`` and ``params``.

    Raises:
        ValueError: an argument that does not fit the configuration or the shape of x.
    """
    time = np.asarray(time, dtype=x.dtype)
    check_arguments(config, x, time, x_self_cond, dropout_masks)
    masks = repeat(None) if dropout_masks is None else iter(dropout_masks)
    embedding = embedded(params, config, time, condition)

    def resnet(name: str, x: Array) -> Array:
        return layers.resnet_block(params, name, x, embedding, next(masks), config.dropout)

    def attend(name: str, x: Array, full: bool = False) -> Array:
        attention = layers.attention if full else layers.linear_attention
        heads = config.attn_heads if full else config.linear_attn_heads
        normal = layers.rms_norm(x, params[f"{name}.fn.norm.g"])
        return x + attention(params, f"{name}.fn.fn", normal, heads)

    if config.self_condition:
        x = np.concatenate((np.zeros_like(x) if x_self_cond is None else x_self_cond, x), axis=1)
    x = first = layers.conv(params, "init_conv", x)
    skips = []
    last = len(config.widths) - 1
    for i in range(last + 1):
        x = resnet(f"downs.{i}.0", x)
        skips.append(x)
        x = attend(f"downs.{i}.2", resnet(f"downs.{i}.1", x))
        skips.append(x)
        name = f"downs.{i}.3"
        weight, bias = params[f"{name}.weight"], params[f"{name}.bias"]
        x = layers.conv1d(x, weight, bias, stride=1 if i == last else 2)
    x = resnet("mid_block2", attend("mid_attn", resnet("mid_block1", x), full=True))
    for i in range(last + 1):
        for block in (0, 1):
            x = resnet(f"ups.{i}.{block}", np.concatenate((x, skips.pop()), axis=1))
        x = attend(f"ups.{i}.2", x)
        if i < last:
            x = layers.conv(params, f"ups.{i}.3.1", layers.upsample_nearest(x))
        else:
            x = layers.conv(params, f"ups.{i}.3", x)
    x = resnet("final_res_block", np.concatenate((x, first), axis=1))
    return layers.conv(params, "final_conv", x)


def init(config: Unet1DConfig, rng: np.random.Generator) -> dict[str, Array]:
    """Draw float64 parameters, as ``parameters.initial`` does."""
    return parameters.initial(param_shapes(config), rng)


def param_shapes(config: Unet1DConfig) -> Shapes:
    """Name and shape of every parameter, in the order in which they are drawn."""
    time_dim, last = config.time_dim, len(config.widths) - 1

    def resnets(name: str, dim: int, dim_out: int) -> Shapes:
        return _resnet(f"{name}.0", dim, dim_out) | _resnet(f"{name}.1", dim, dim_out)

    def _resnet(name: str, dim: int, dim_out: int) -> Shapes:
        return parameters.resnet(name, dim, dim_out, time_dim, RANK)

    shapes = parameters.conv("init_conv", config.in_channels, config.first_dim, 7, RANK)
    shapes |= parameters.time_mlp(config) | parameters.classes_mlp(config)
    for i, (dim, dim_out) in enumerate(config.widths):
        shapes |= resnets(f"downs.{i}", dim, dim)
        shapes |= _attention(f"downs.{i}.2", dim, config, full=False)
        shapes |= parameters.conv(f"downs.{i}.3", dim, dim_out, 3 if i == last else 4, RANK)
    for i, (dim, dim_out) in enumerate(reversed(config.widths)):
        shapes |= resnets(f"ups.{i}", dim_out + dim, dim_out)
        shapes |= _attention(f"ups.{i}.2", dim_out, config, full=False)
        name = f"ups.{i}.3" if i == last else f"ups.{i}.3.1"
        shapes |= parameters.conv(name, dim_out, dim, 3, RANK)
    inner = config.widths[-1][1]
    shapes |= _resnet("mid_block1", inner, inner)
    shapes |= _attention("mid_attn", inner, config, full=True)
    shapes |= _resnet("mid_block2", inner, inner)
    shapes |= _resnet("final_res_block", 2 * config.first_dim, config.first_dim)
    return shapes | parameters.conv("final_conv", config.first_dim, config.out_channels, 1, RANK)


def _attention(name: str, dim: int, config: Unet1DConfig, full: bool) -> Shapes:
    hidden = config.linear_attn_heads * config.linear_attn_dim_head
    if full:
        hidden = config.attn_heads * config.attn_dim_head
    shapes = parameters.gain(f"{name}.fn.norm", dim, RANK)
    shapes[f"{name}.fn.fn.to_qkv.weight"] = (3 * hidden, dim, 1)
    if full:
        return shapes | parameters.conv(f"{name}.fn.fn.to_out", hidden, dim, 1, RANK)
    shapes |= parameters.conv(f"{name}.fn.fn.to_out.0", hidden, dim, 1, RANK)
    return shapes | parameters.gain(f"{name}.fn.fn.to_out.1", dim, RANK)
