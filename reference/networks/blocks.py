"""What the networks of latent diffusion are built of (Rombach et al. 2022, arXiv 2112.10752).

Images are (B, C, H, W), tokens (B, N, C). Functions of arrays first; then those that find their
parameters in a flat dict by name. As in ``layers``, the dtype that is given is kept.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Any, TypeAlias

import autograd.numpy as np
from autograd.scipy.special import expit

from . import layers
from .layers import Array, Params

Shapes: TypeAlias = dict[str, tuple[int, ...]]


def group_norm(x: Array, gamma: Array, beta: Array, groups: int, eps: float) -> Array:
    """gamma (x - mean) / sqrt(variance + eps) + beta, over the pixels of a group of channels.

    Wu and He 2018 (arXiv 1803.08494, eq. 1 and 2). Shapes: x (B, C, H, W), gamma and beta (C,).
    """
    grouped = np.reshape(x, (len(x), groups, -1))
    unit = np.reshape(_standardise(grouped, eps), x.shape)
    column = (1, -1, 1, 1)
    return unit * np.reshape(gamma, column) + np.reshape(beta, column)


def layer_norm(x: Array, gamma: Array, beta: Array, eps: float) -> Array:
    """gamma (x - mean) / sqrt(variance + eps) + beta, over the channels of a token.

    Ba et al. 2016 (arXiv 1607.06450, eq. 3 and 4). Shapes: x (B, N, C), gamma and beta (C,).
    """
    return _standardise(x, eps) * gamma + beta


def _standardise(x: Array, eps: float) -> Array:
    centred = x - np.mean(x, axis=-1, keepdims=True)
    return centred / np.sqrt(np.mean(centred * centred, axis=-1, keepdims=True) + eps)


def quick_gelu(x: Array) -> Array:
    """x / (1 + exp(-1.702 x)) (arXiv 1606.08415, section 2)."""
    return x * expit(1.702 * x)


def gelu_tanh(x: Array) -> Array:
    """x (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3))) / 2 (arXiv 1606.08415, section 2)."""
    return 0.5 * x * (1.0 + np.tanh(math.sqrt(2.0 / math.pi) * (x + 0.044715 * x * x * x)))


def halving_conv2d(x: Array, weight: Array, bias: Array, before: int) -> Array:
    """A 3 x 3 cross-correlation at every second pixel, down and across.

        out[b, o, p, q] = bias[o] + sum_{c, i, j} weight[o, c, i, j] x[b, c, 2p + i - r, 2q + j - r]

    with r = ``before``: 1 where every kernel is centred on its pixel, 0 where it begins there; and
    x = 0 outside. Shapes: x (B, C, 2P, 2Q), weight (O, C, 3, 3), bias (O,), result (B, O, P, Q).
    """
    height, width = x.shape[2:]
    columns = np.tensordot(x, _every_second(width, before, x.dtype), ([3], [2]))  # (B, C, H, j, Q)
    weighted = np.tensordot(weight, columns, ([1, 3], [1, 3]))  # (O, i, B, H, Q)
    rows = _every_second(height, before, x.dtype)
    out = np.tensordot(weighted, rows, ([1, 3], [0, 2]))  # (O, B, Q, P)
    return np.transpose(out, (1, 0, 3, 2)) + np.reshape(bias, (1, -1, 1, 1))


@lru_cache
def _every_second(size: int, before: int, dtype: Any) -> Array:
    """(3, size / 2, size): ``_every_second(n, r)[i] @ x`` is x[2p + i - r] at p, 0 outside."""
    place = 2 * np.arange(size // 2)[:, None] + np.arange(3)[:, None, None] - before
    return (np.arange(size) == place).astype(dtype)


def time_embedding(time: Array, dim: int) -> Array:
    """cos and sin of time * 10000^(-i / n) for i = 0..n-1, n = dim / 2: cosines first.

    Another than ``layers.sinusoidal_embedding``. Shapes: time (B,), result (B, dim).
    """
    half = dim // 2
    frequencies = np.exp(np.arange(half) * (-math.log(10000.0) / half)).astype(time.dtype)
    angles = time[:, None] * frequencies
    return np.concatenate((np.cos(angles), np.sin(angles)), axis=1)


def dense(params: Params, name: str, x: Array) -> Array:
    """x W^T, plus the bias if there is one, of the weight called ``name``: x (..., C)."""
    return layers.linear(x, params[f"{name}.weight"], params.get(f"{name}.bias", 0.0))


def norm(params: Params, name: str, x: Array, groups: int, eps: float) -> Array:
    """``group_norm`` with the parameters called ``name``."""
    return group_norm(x, params[f"{name}.gamma"], params[f"{name}.beta"], groups, eps)


def norm_silu_conv(
    params: Params, names: tuple[str, str], x: Array, groups: int, eps: float
) -> Array:
    """Group norm, SiLU and convolution, whose names are given."""
    return layers.conv(params, names[1], layers.silu(norm(params, names[0], x, groups, eps)))


def norm_shapes(name: str, dim: int) -> Shapes:
    """Names and shapes of a norm's parameters."""
    return {f"{name}.gamma": (dim,), f"{name}.beta": (dim,)}


def dense_shapes(name: str, dim: int, dim_out: int, bias: bool = True) -> Shapes:
    """Names and shapes of a linear layer's parameters."""
    return {f"{name}.weight": (dim_out, dim)} | ({f"{name}.bias": (dim_out,)} if bias else {})


def conv_shapes(name: str, dim: int, dim_out: int, k: int = 3) -> Shapes:
    """Names and shapes of a convolution's parameters."""
    return {f"{name}.weight": (dim_out, dim, k, k), f"{name}.bias": (dim_out,)}
