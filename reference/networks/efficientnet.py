"""The features of EfficientNet-lite (arXiv 1905.11946) as its layers read, without gradients.

Parameters have the names of the published files, and norms their means and variances of training.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from ..config.efficientnet import EPS, EfficientNetConfig
from ..schedule import Array

Params = Mapping[str, Array]


def features(params: Params, config: EfficientNetConfig, x: Array) -> Array:
    """Images (B, 3, H, W), scaled as (pixel - 127) / 128, to (B, config.head).

    A convolution of stride 2; inverted bottlenecks (widen, filter each channel, narrow; no
    activation at their ends); a wide convolution; the mean over pixels. After every convolution
    but the narrowing ones stands min(max(x, 0), 6).
    """
    x = relu6(_step(params, config, "_conv_stem", x, 2))
    for block in config.blocks:
        inside = x
        if block.expand != 1:
            inside = relu6(_step(params, config, f"{block.name}_expand_conv", x))
        inside = relu6(_step(params, config, f"{block.name}_depthwise_conv", inside, block.stride))
        out = _step(params, config, f"{block.name}_project_conv", inside)
        x = x + out if block.adds else out
    pooled: Array = relu6(_step(params, config, "_conv_head", x)).mean((2, 3))
    return pooled


def _step(
    params: Params, config: EfficientNetConfig, name: str, x: Array, stride: int = 1
) -> Array:
    """A convolution and the norm behind it."""
    return norm(params, config.norms[name], conv(x, params[f"{name}.weight"], stride))


def conv(x: Array, weight: Array, stride: int = 1) -> Array:
    """Cross-correlation of odd side k with ceil(H / stride) rows and as many columns.

    What is padded, k - 1 or fewer zeros, is split evenly, and an odd one stands behind:

        out[b, o, h, w] = sum_{c, i, j} weight[o, c, i, j] x[b, c, s h + i - p, s w + j - p]

    Shapes: x (B, C, H, W), weight (O, C, k, k); or (C, 1, k, k), a filter for each channel.
    """
    k = weight.shape[-1]
    sizes = [-(-side // stride) for side in x.shape[2:]]
    missing = [
        max((n - 1) * stride + k - side, 0) for n, side in zip(sizes, x.shape[2:], strict=True)
    ]
    x = np.pad(x, ((0, 0), (0, 0), *((m // 2, m - m // 2) for m in missing)))
    alone = weight.shape[1] == 1 and x.shape[1] > 1
    out: Array = np.zeros((), x.dtype)
    for i in range(k):
        for j in range(k):
            seen = x[:, :, i:, j:][:, :, ::stride, ::stride][:, :, : sizes[0], : sizes[1]]
            if alone:
                out = out + weight[:, 0, i, j][:, None, None] * seen
            else:
                out = out + np.einsum("oc,bchw->bohw", weight[:, :, i, j], seen, optimize=True)
    return out


def norm(params: Params, name: str, x: Array) -> Array:
    """gamma (x - mean) / sqrt(variance + eps) + beta, by the statistics of training."""
    gamma, beta, mean, variance = (
        params[f"{name}.{part}"][:, None, None]
        for part in ("weight", "bias", "running_mean", "running_var")
    )
    out: Array = gamma * (x - mean) / np.sqrt(variance + x.dtype.type(EPS)) + beta
    return out


def relu6(x: Array) -> Array:
    """min(max(x, 0), 6)."""
    cut: Array = np.clip(x, 0.0, 6.0)
    return cut
