"""The U-Net that predicts noise, x_0 or v from x_t and t: forward only; autograd differentiates it.

Ho et al. 2020 (arXiv 2006.11239, appendix B) as it is built today: normalisation by the root mean
square over channels, a time embedding that scales and shifts, linear attention on the outer levels
and full attention innermost. Parameters are a flat dict with the names and shapes of
``denoising-diffusion-pytorch`` 2.3.4, so weights move both ways without renaming.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import repeat

import autograd.numpy as np
from autograd.tracer import getval

from ..config import NetworkConfig, UnetConfig
from . import layers, parameters
from .arguments import check_arguments, check_condition, check_shown
from .layers import Array, Params
from .parameters import Shapes

__all__ = ["MEMORY_PAIRS", "UnetConfig", "embedded", "init", "param_shapes", "unet"]

MEMORY_PAIRS = 4
"""Learned key-value pairs in each attention layer."""


def unet(
    params: Params,
    config: UnetConfig,
    x: Array,
    time: Array,
    x_self_cond: Array | None = None,
    dropout_masks: Sequence[Array] | None = None,
    condition: Array | None = None,
) -> Array:
    """Apply the network.

    With classes, what every residual block is told is the time embedding plus that of the class,

        e = time_mlp(time) + W_2 gelu(W_0 E[condition] + b_0) + b_2,

    where E, W and b are ``classes_emb`` and ``classes_mlp``. The last row of E stands for "no
    class": in training it is put in the place of some labels (arXiv 2207.12598, algorithm 1).

    With ``config.cond_channels`` it is shown a picture instead, as further channels beside x (SR3,
    arXiv 2104.07636, section 2.1); 0 everywhere stands for none.

    Args:
        params: arrays named and shaped as in ``param_shapes(config)``.
        x: (B, channels, H, W) floats, H and W multiples of ``config.downsample_factor``.
        time: (B,), the network's own time input: t - 1 for the paper's t = 1..T.
        x_self_cond: the last estimate of x_0, shaped as x; None stands for zeros. Only with
            ``config.self_condition`` (arXiv 2208.04202, section 3.2).
        dropout_masks: None (no dropout, as in sampling), or for each entry (C, H, W) of
            ``config.dropout_shapes`` an array (B, C, H, W): 1 keeps an activation, 0 drops it.
        condition: (B,) integers, the class of each image, and ``num_classes`` for none, or the
            pictures, (B, cond_channels, H, W). Only for a network with one of both, and then
            always.

    Returns:
        (B, config.out_channels, H, W), of the dtype of ``x`` and ``params``.

    Raises:
        ValueError: an argument that does not fit the configuration or the shape of x.
    """
    time = np.asarray(time, dtype=x.dtype)
    check_arguments(config, x, time, x_self_cond, dropout_masks)
    if config.self_condition:
        x = np.concatenate((np.zeros_like(x) if x_self_cond is None else x_self_cond, x), axis=1)
    if config.cond_channels:
        check_shown(config, x, condition)
        x = np.concatenate((x, np.asarray(condition, dtype=x.dtype)), axis=1)
        condition = None
    embedding = embedded(params, config, time, condition)
    masks = repeat(None) if dropout_masks is None else iter(dropout_masks)
    return _body(params, config, x, embedding, masks)


def _body(
    params: Params, config: UnetConfig, x: Array, embedding: Array, masks: Iterator[Array | None]
) -> Array:
    def resnet(name: str, x: Array) -> Array:
        return layers.resnet_block(params, name, x, embedding, next(masks), config.dropout)

    def attend(name: str, x: Array, full: bool = True) -> Array:
        return x + (layers.attention if full else layers.linear_attention)(params, name, x)

    x = first = layers.conv(params, "init_conv", x)
    skips = []
    for i, level in enumerate(config.levels):
        x = resnet(f"downs.{i}.0", x)
        skips.append(x)
        x = attend(f"downs.{i}.2", resnet(f"downs.{i}.1", x), level.full_attn)
        skips.append(x)
        x = _rescale(params, f"downs.{i}.3", x, None if level.is_innermost else "down")
    x = resnet("mid_block2", attend("mid_attn", resnet("mid_block1", x)))
    for i, level in enumerate(reversed(config.levels)):
        for block in (0, 1):
            x = resnet(f"ups.{i}.{block}", np.concatenate((x, skips.pop()), axis=1))
        x = attend(f"ups.{i}.2", x, level.full_attn)
        x = _rescale(params, f"ups.{i}.3", x, "up" if len(skips) else None)
    x = resnet("final_res_block", np.concatenate((x, first), axis=1))
    return layers.conv(params, "final_conv", x)


def _rescale(params: Params, name: str, x: Array, direction: str | None) -> Array:
    """Halve or double the image and convolve; at the ends of the U (None) only convolve."""
    if direction == "down":
        return layers.conv(params, f"{name}.1", layers.pixel_unshuffle(x))
    if direction == "up":
        return layers.conv(params, f"{name}.1", layers.upsample_nearest(x))
    return layers.conv(params, name, x)


def time_embedding(params: Params, config: NetworkConfig, time: Array) -> Array:
    """(B,) to (B, config.time_dim): features of the time, and two layers."""
    if config.random_fourier_features:  # fixed: the gradient stops here
        features = layers.fourier_embedding(time, getval(params["time_mlp.0.weights"]))
    elif config.learned_sinusoidal_cond:
        features = layers.fourier_embedding(time, params["time_mlp.0.weights"])
    else:
        theta = config.sinusoidal_pos_emb_theta
        features = layers.sinusoidal_embedding(time, config.dim, theta)
    hidden = layers.linear(features, params["time_mlp.1.weight"], params["time_mlp.1.bias"])
    return layers.linear(
        layers.gelu(hidden), params["time_mlp.3.weight"], params["time_mlp.3.bias"]
    )


def embedded(params: Params, config: NetworkConfig, time: Array, condition: Array | None) -> Array:
    """What residual blocks are told, (B, config.time_dim): the time, and the class if there is one.

    Raises ValueError for a condition that does not fit.
    """
    check_condition(config, len(time), condition)
    embedding = time_embedding(params, config, time)
    return embedding if condition is None else embedding + class_embedding(params, condition)


def class_embedding(params: Params, labels: Array) -> Array:
    """(B,) to (B, config.time_dim): the row of each class, and two layers."""
    rows = layers.class_embedding(labels, params["classes_emb.weight"])
    hidden = layers.linear(rows, params["classes_mlp.0.weight"], params["classes_mlp.0.bias"])
    return layers.linear(
        layers.gelu(hidden), params["classes_mlp.2.weight"], params["classes_mlp.2.bias"]
    )


def init(config: UnetConfig, rng: np.random.Generator) -> dict[str, Array]:
    """Draw float64 parameters, as ``parameters.initial`` does."""
    return parameters.initial(param_shapes(config), rng)


def param_shapes(config: UnetConfig) -> Shapes:
    """Name and shape of every parameter, in the order in which they are drawn."""
    conv, resnet = parameters.conv, parameters.resnet
    shapes = conv("init_conv", config.in_channels, config.first_dim, 7)
    shapes |= parameters.time_mlp(config) | parameters.classes_mlp(config)
    last = len(config.levels) - 1
    for i, v in enumerate(config.levels):
        shapes |= resnet(f"downs.{i}.0", v.dim_in, v.dim_in, config.time_dim)
        shapes |= resnet(f"downs.{i}.1", v.dim_in, v.dim_in, config.time_dim)
        shapes |= _attention(f"downs.{i}.2", v.dim_in, v.heads, v.dim_head, v.full_attn)
        if v.is_innermost:
            shapes |= conv(f"downs.{i}.3", v.dim_in, v.dim_out, 3)
        else:
            shapes |= conv(f"downs.{i}.3.1", 4 * v.dim_in, v.dim_out, 1)
    for i, v in enumerate(reversed(config.levels)):
        shapes |= resnet(f"ups.{i}.0", v.dim_out + v.dim_in, v.dim_out, config.time_dim)
        shapes |= resnet(f"ups.{i}.1", v.dim_out + v.dim_in, v.dim_out, config.time_dim)
        shapes |= _attention(f"ups.{i}.2", v.dim_out, v.heads, v.dim_head, v.full_attn)
        shapes |= conv(f"ups.{i}.3" if i == last else f"ups.{i}.3.1", v.dim_out, v.dim_in, 3)
    inner = config.levels[-1]
    shapes |= resnet("mid_block1", inner.dim_out, inner.dim_out, config.time_dim)
    shapes |= _attention("mid_attn", inner.dim_out, inner.heads, inner.dim_head, full=True)
    shapes |= resnet("mid_block2", inner.dim_out, inner.dim_out, config.time_dim)
    shapes |= resnet("final_res_block", 2 * config.first_dim, config.first_dim, config.time_dim)
    return shapes | conv("final_conv", config.first_dim, config.out_channels, 1)


def _attention(name: str, dim: int, heads: int, dim_head: int, full: bool) -> Shapes:
    hidden = heads * dim_head
    memory = (MEMORY_PAIRS, dim_head) if full else (dim_head, MEMORY_PAIRS)
    shapes: Shapes = {f"{name}.mem_kv": (2, heads, *memory)}
    shapes |= parameters.gain(f"{name}.norm", dim)
    shapes[f"{name}.to_qkv.weight"] = (3 * hidden, dim, 1, 1)
    if full:
        return shapes | parameters.conv(f"{name}.to_out", hidden, dim, 1)
    shapes |= parameters.conv(f"{name}.to_out.0", hidden, dim, 1)
    return shapes | parameters.gain(f"{name}.to_out.1", dim)
