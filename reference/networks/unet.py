"""The U-Net that predicts noise, x_0 or v from x_t and t: forward only; autograd differentiates it.

Ho et al. 2020 (arXiv 2006.11239, appendix B) as it is built today: normalisation by the root mean
square over channels, a time embedding that scales and shifts, linear attention on the outer levels
and full attention innermost. Parameters are a flat dict with the names and shapes of
``denoising-diffusion-pytorch`` 2.3.4, so weights move both ways without renaming.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import repeat
from typing import TypeAlias

import autograd.numpy as np
from autograd.tracer import getval

from ..config import UnetConfig
from . import layers
from .layers import Array, Params

__all__ = ["MEMORY_PAIRS", "UnetConfig", "init", "param_shapes", "unet"]

Shapes: TypeAlias = dict[str, tuple[int, ...]]

MEMORY_PAIRS = 4
"""Learned key-value pairs in each attention layer."""


def unet(
    params: Params,
    config: UnetConfig,
    x: Array,
    time: Array,
    x_self_cond: Array | None = None,
    dropout_masks: Sequence[Array] | None = None,
) -> Array:
    """Apply the network.

    Args:
        params: arrays named and shaped as in ``param_shapes(config)``.
        x: (B, channels, H, W) floats, H and W multiples of ``config.downsample_factor``.
        time: (B,), the network's own time input: t - 1 for the paper's t = 1..T.
        x_self_cond: the last estimate of x_0, shaped as x; None stands for zeros. Only with
            ``config.self_condition`` (arXiv 2208.04202, section 3.2).
        dropout_masks: None (no dropout, as in sampling), or for each entry (C, H, W) of
            ``config.dropout_shapes`` an array (B, C, H, W): 1 keeps an activation, 0 drops it.

    Returns:
        (B, config.out_channels, H, W), of the dtype of ``x`` and ``params``.

    Raises:
        ValueError: an argument that does not fit the configuration or the shape of x.
    """
    time = np.asarray(time, dtype=x.dtype)
    _check(config, x, time, x_self_cond, dropout_masks)
    if config.self_condition:
        x = np.concatenate((np.zeros_like(x) if x_self_cond is None else x_self_cond, x), axis=1)
    embedding = _time_embedding(params, config, time)
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


def _time_embedding(params: Params, config: UnetConfig, time: Array) -> Array:
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


def _check(
    config: UnetConfig,
    x: Array,
    time: Array,
    x_self_cond: Array | None,
    dropout_masks: Sequence[Array] | None,
) -> None:
    if x.ndim != 4 or x.shape[1] != config.channels or x.dtype.kind != "f":
        raise ValueError(
            f"x has shape {x.shape} and dtype {x.dtype}: give floats (B, {config.channels}, H, W)"
        )
    config.check_image_size((x.shape[2], x.shape[3]))
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
        expected = [(len(x), *s) for s in config.dropout_shapes((x.shape[2], x.shape[3]))]
        if (given := [mask.shape for mask in dropout_masks]) != expected:
            raise ValueError(f"dropout_masks have shapes {given}: they must be {expected}")


def init(config: UnetConfig, rng: np.random.Generator) -> dict[str, Array]:
    """Draw float64 parameters; the result depends on ``config`` and on the state of ``rng`` alone.

    Convolutions and linear layers: uniform within +-1 / sqrt(fan_in), weights and biases (arXiv
    1502.01852 with a = sqrt(5)). Norm gains: 1. Memory pairs and Fourier frequencies: N(0, 1).
    """
    shapes = param_shapes(config)

    def draw(name: str, shape: tuple[int, ...]) -> Array:
        if name.endswith(".g"):
            return np.ones(shape)
        if name.endswith((".mem_kv", ".weights")):
            return rng.standard_normal(shape)
        _, *fan_in = shapes[name.removesuffix("bias") + "weight" if name.endswith("bias") else name]
        bound = float(np.prod(fan_in)) ** -0.5
        return rng.uniform(-bound, bound, shape)

    return {name: draw(name, shape) for name, shape in shapes.items()}


def param_shapes(config: UnetConfig) -> Shapes:
    """Name and shape of every parameter, in the order in which they are drawn."""
    shapes = _conv("init_conv", config.in_channels, config.first_dim, 7)
    if config.learned_sinusoidal_cond or config.random_fourier_features:
        shapes["time_mlp.0.weights"] = (config.learned_sinusoidal_dim // 2,)
    shapes |= _linear("time_mlp.1", config.fourier_dim, config.time_dim)
    shapes |= _linear("time_mlp.3", config.time_dim, config.time_dim)
    last = len(config.levels) - 1
    for i, v in enumerate(config.levels):
        shapes |= _resnet(f"downs.{i}.0", v.dim_in, v.dim_in, config.time_dim)
        shapes |= _resnet(f"downs.{i}.1", v.dim_in, v.dim_in, config.time_dim)
        shapes |= _attention(f"downs.{i}.2", v.dim_in, v.heads, v.dim_head, v.full_attn)
        if v.is_innermost:
            shapes |= _conv(f"downs.{i}.3", v.dim_in, v.dim_out, 3)
        else:
            shapes |= _conv(f"downs.{i}.3.1", 4 * v.dim_in, v.dim_out, 1)
    for i, v in enumerate(reversed(config.levels)):
        shapes |= _resnet(f"ups.{i}.0", v.dim_out + v.dim_in, v.dim_out, config.time_dim)
        shapes |= _resnet(f"ups.{i}.1", v.dim_out + v.dim_in, v.dim_out, config.time_dim)
        shapes |= _attention(f"ups.{i}.2", v.dim_out, v.heads, v.dim_head, v.full_attn)
        shapes |= _conv(f"ups.{i}.3" if i == last else f"ups.{i}.3.1", v.dim_out, v.dim_in, 3)
    inner = config.levels[-1]
    shapes |= _resnet("mid_block1", inner.dim_out, inner.dim_out, config.time_dim)
    shapes |= _attention("mid_attn", inner.dim_out, inner.heads, inner.dim_head, full=True)
    shapes |= _resnet("mid_block2", inner.dim_out, inner.dim_out, config.time_dim)
    shapes |= _resnet("final_res_block", 2 * config.first_dim, config.first_dim, config.time_dim)
    return shapes | _conv("final_conv", config.first_dim, config.out_channels, 1)


def _conv(name: str, dim: int, dim_out: int, k: int) -> Shapes:
    return {f"{name}.weight": (dim_out, dim, k, k), f"{name}.bias": (dim_out,)}


def _linear(name: str, dim: int, dim_out: int) -> Shapes:
    return {f"{name}.weight": (dim_out, dim), f"{name}.bias": (dim_out,)}


def _resnet(name: str, dim: int, dim_out: int, time_dim: int) -> Shapes:
    shapes = _linear(f"{name}.mlp.1", time_dim, 2 * dim_out)
    for block, width in (("block1", dim), ("block2", dim_out)):
        shapes |= _conv(f"{name}.{block}.proj", width, dim_out, 3)
        shapes[f"{name}.{block}.norm.g"] = (1, dim_out, 1, 1)
    return shapes | (_conv(f"{name}.res_conv", dim, dim_out, 1) if dim != dim_out else {})


def _attention(name: str, dim: int, heads: int, dim_head: int, full: bool) -> Shapes:
    hidden = heads * dim_head
    memory = (MEMORY_PAIRS, dim_head) if full else (dim_head, MEMORY_PAIRS)
    shapes: Shapes = {
        f"{name}.mem_kv": (2, heads, *memory),
        f"{name}.norm.g": (1, dim, 1, 1),
        f"{name}.to_qkv.weight": (3 * hidden, dim, 1, 1),
    }
    if full:
        return shapes | _conv(f"{name}.to_out", hidden, dim, 1)
    shapes |= _conv(f"{name}.to_out.0", hidden, dim, 1)
    return shapes | {f"{name}.to_out.1.g": (1, dim, 1, 1)}
