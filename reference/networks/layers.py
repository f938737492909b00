"""The layers of all networks, each as its definition reads, on ``autograd.numpy``.

Items are (B, C, *spatial): images (B, C, H, W), sequences (B, C, L), vectors (B, C). What is
convolved over images is convolved over sequences, and is a linear map of vectors. The first half
are functions of arrays; the second half find their parameters in a flat dict under ``name``, as
``params["mid_block1.block1.proj.weight"]``. Everything keeps the dtype it is given: with float32
arrays it is a float32 computation, gradients included, which is why constants are Python floats and
why ``np.where`` and ``np.maximum`` are avoided (their derivatives in autograd are float64).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, TypeAlias

import autograd.numpy as np
from autograd.scipy.special import erf, expit
from autograd.tracer import getval

Array: TypeAlias = Any
"""A NumPy array, or autograd's box around one while it follows a computation."""

Params: TypeAlias = Mapping[str, Array]


def conv2d(x: Array, weight: Array, bias: Array | None = None) -> Array:
    """Cross-correlation with a kernel of odd size k, zero-padded to keep the image's size.

        out[b, o, h, w] = bias[o] + sum_{c, i, j} weight[o, c, i, j] x[b, c, h + i - r, w + j - r]

    with r = (k - 1) / 2 and x = 0 outside the image. Shapes: x (B, C, H, W), weight (O, C, k, k),
    bias (O,), result (B, O, H, W). The shift by each kernel offset is a product with a 0/1 matrix:
    columns first, then the weights, then rows, so that autograd follows three large products
    instead of k^2 slices.
    """
    k, (height, width) = weight.shape[-1], x.shape[2:]
    if k == 1:  # the one offset is 0: nothing to shift
        out = np.tensordot(np.reshape(weight, weight.shape[:2]), x, ([1], [1]))  # (O, B, H, W)
        out = np.transpose(out, (1, 0, 2, 3))
    else:
        columns = np.tensordot(x, _shifts(k, width, x.dtype), ([3], [2]))  # (B, C, H, j, W)
        weighted = np.tensordot(weight, columns, ([1, 3], [1, 3]))  # (O, i, B, H, W)
        rows = _shifts(k, height, x.dtype)
        out = np.tensordot(weighted, rows, ([1, 3], [0, 2]))  # (O, B, W, H)
        out = np.transpose(out, (1, 0, 3, 2))
    return out if bias is None else out + np.reshape(bias, (1, -1, 1, 1))


def conv1d(x: Array, weight: Array, bias: Array | None = None, stride: int = 1) -> Array:
    """Cross-correlation along sequences, zero-padded so that the length is divided by ``stride``.

        out[b, o, l] = bias[o] + sum_{c, j} weight[o, c, j] x[b, c, stride l + j - r]

    with r = (k - stride) / 2 and x = 0 outside the sequence. Shapes: x (B, C, L), weight (O, C, k),
    bias (O,), result (B, O, L / stride).
    """
    shifts = _shifts(weight.shape[2], x.shape[2], x.dtype, stride)
    columns = np.tensordot(x, shifts, ([2], [2]))  # (B, C, j, L')
    out = np.transpose(np.tensordot(weight, columns, ([1, 2], [1, 2])), (1, 0, 2))
    return out if bias is None else out + np.reshape(bias, (1, -1, 1))


@lru_cache
def _shifts(k: int, size: int, dtype: Any, stride: int = 1) -> Array:
    """(k, size / stride, size): ``[i] @ x`` is x[stride p + i - r] at p, and 0 outside."""
    offset = np.arange(k)[:, None, None] - (k - stride) // 2
    places = stride * np.arange(size // stride)[:, None] + offset
    return (np.arange(size) == places).astype(dtype)


def linear(x: Array, weight: Array, bias: Array) -> Array:
    """x W^T + b. Shapes: x (B, C), weight (O, C), bias (O,), result (B, O)."""
    return np.dot(x, np.transpose(weight)) + bias


def silu(x: Array) -> Array:
    """x / (1 + exp(-x)) (arXiv 1702.03118)."""
    return x * expit(x)


def gelu(x: Array) -> Array:
    """x Phi(x), with Phi the standard normal distribution function (arXiv 1606.08415)."""
    return 0.5 * x * (1.0 + erf(x * math.sqrt(0.5)))


def softmax(x: Array, axis: int) -> Array:
    """exp(x) / sum(exp(x)) along ``axis``.

    The maximum is taken out first, so that nothing overflows; the quotient does not depend on it.
    """
    e = np.exp(x - getval(x).max(axis=axis, keepdims=True))
    return e / np.sum(e, axis=axis, keepdims=True)


def rms_norm(x: Array, g: Array) -> Array:
    """sqrt(C) g x / max(||x||, 1e-12), the norm taken over the C channels of each pixel.

    Root-mean-square normalisation (arXiv 1910.07467). Shapes: x (B, C, *spatial), g (1, C, 1, ...).
    """
    # The floor stands under the root, where the derivative at x = 0 is finite.
    square = np.clip(np.sum(x * x, axis=1, keepdims=True), 1e-24, np.inf)
    return x / np.sqrt(square) * g * math.sqrt(x.shape[1])


def class_embedding(labels: Array, weight: Array) -> Array:
    """Row ``labels[b]`` of ``weight`` for each b, as a product with zeros and ones.

    Shapes: labels (B,) integers in 0..K-1, weight (K, C), result (B, C).
    """
    chosen = np.asarray(labels).reshape(-1, 1) == np.arange(len(weight))
    return np.dot(chosen.astype(getval(weight).dtype), weight)


def upsample_nearest(x: Array) -> Array:
    """Each pixel becomes 2 x 2 equal ones: (B, C, H, W) to (B, C, 2H, 2W); (B, C, L): two."""
    for axis in range(2, x.ndim):
        x = np.repeat(x, 2, axis=axis)
    return x


def pixel_unshuffle(x: Array) -> Array:
    """Each 2 x 2 square of pixels becomes four channels: (B, C, H, W) to (B, 4C, H/2, W/2).

    Channel 4c + 2p + q of the result is row p and column q of each square of channel c.
    """
    b, c, height, width = x.shape
    squares = np.reshape(x, (b, c, height // 2, 2, width // 2, 2))
    return np.reshape(
        np.transpose(squares, (0, 1, 3, 5, 2, 4)), (b, 4 * c, height // 2, width // 2)
    )


def sinusoidal_embedding(time: Array, dim: int, theta: float = 10000.0) -> Array:
    """sin and cos of time * theta^(-i / (n - 1)) for i = 0..n-1, n = dim / 2.

    arXiv 1706.03762, section 3.5, with the first half sines. Shapes: time (B,), result (B, dim).
    """
    half = dim // 2
    frequencies = np.exp(np.arange(half) * (-math.log(theta) / (half - 1))).astype(time.dtype)
    angles = time[:, None] * frequencies
    return np.concatenate((np.sin(angles), np.cos(angles)), axis=1)


def fourier_embedding(time: Array, weights: Array) -> Array:
    """time itself, then sin and cos of 2 pi time * weights (arXiv 2006.10739).

    Shapes: time (B,), weights (n,), result (B, 2n + 1).
    """
    column = np.reshape(time, (-1, 1))
    angles = column * weights * (2.0 * math.pi)
    return np.concatenate((column, np.sin(angles), np.cos(angles)), axis=1)


def conv(params: Params, name: str, x: Array) -> Array:
    """The weight, and the bias if there is one, called ``name``, applied to x (B, C, *spatial).

    As the rank of x has it: ``conv2d``, ``conv1d``, or ``linear`` for vectors.
    """
    function = {2: linear, 3: conv1d, 4: conv2d}[x.ndim]
    return function(x, params[f"{name}.weight"], params.get(f"{name}.bias"))


def block(
    params: Params, name: str, x: Array, scale_shift: tuple[Array, Array] | None = None
) -> Array:
    """Convolution with k = 3, normalisation, (scale + 1) x + shift, SiLU.

    Shapes: x (B, C, *spatial), scale and shift (B, O, 1, ...), result (B, O, *spatial).
    """
    x = rms_norm(conv(params, f"{name}.proj", x), params[f"{name}.norm.g"])
    if scale_shift is not None:
        scale, shift = scale_shift
        x = x * (scale + 1.0) + shift
    return silu(x)


def resnet_block(
    params: Params,
    name: str,
    x: Array,
    embedding: Array,
    keep: Array | None = None,
    dropout: float = 0.0,
) -> Array:
    """Two blocks and a way around them; the time sets scale and shift in the first.

    Args:
        x: (B, C, *spatial).
        embedding: (B, time_dim), of the time.
        keep: 0 or 1 for each activation after the first block, (B, O, *spatial); what is kept is
            divided by 1 - ``dropout`` (arXiv 1207.0580). None keeps all, undivided.
    """
    modulation = linear(
        silu(embedding), params[f"{name}.mlp.1.weight"], params[f"{name}.mlp.1.bias"]
    )
    of_each = (len(x), -1, *(1,) * (x.ndim - 2))
    scale, shift = np.split(np.reshape(modulation, of_each), 2, axis=1)
    h = block(params, f"{name}.block1", x, (scale, shift))
    if keep is not None:
        h = h * keep.astype(h.dtype) / (1.0 - dropout)
    h = block(params, f"{name}.block2", h)
    return h + (conv(params, f"{name}.res_conv", x) if f"{name}.res_conv.weight" in params else x)


def attention(params: Params, name: str, x: Array, heads: int | None = None) -> Array:
    """softmax(Q K^T / sqrt(d)) V over the N pixels, for each head (arXiv 1706.03762, eq. 1).

    Learned pairs ``mem_kv`` (2, heads, M, d) stand before the keys and values of the pixels; where
    there are none, ``heads`` says how many heads there are. x is normalised first where there is a
    gain for it. Shapes: x and the result (B, C, *spatial).
    """
    memory = params.get(f"{name}.mem_kv")
    memory = None if memory is None else np.swapaxes(memory, 2, 3)
    q, k, v = _queries_keys_values(params, name, x, memory, heads)
    scores = np.matmul(np.swapaxes(q, 2, 3), k) * q.shape[2] ** -0.5  # (B, heads, N, M + N)
    out = np.matmul(v, np.swapaxes(softmax(scores, axis=3), 2, 3))  # (B, heads, d, N)
    return conv(params, f"{name}.to_out", np.reshape(out, (len(x), -1, *x.shape[2:])))


def linear_attention(params: Params, name: str, x: Array, heads: int | None = None) -> Array:
    """(softmax(K) V^T)^T softmax(Q) / sqrt(d), for each head: linear in the number of pixels.

    Keys are normalised over the pixels, queries over the d channels (arXiv 1812.01243, eq. 7).
    Learned pairs ``mem_kv`` (2, heads, d, M), ``heads`` and the norm: as in :func:`attention`.
    Shapes: x and the result (B, C, *spatial).
    """
    q, k, v = _queries_keys_values(params, name, x, params.get(f"{name}.mem_kv"), heads)
    context = np.matmul(v, np.swapaxes(softmax(k, axis=3), 2, 3))  # (B, heads, d, d)
    out = np.matmul(context, softmax(q, axis=2)) * q.shape[2] ** -0.5  # (B, heads, d, N)
    out = conv(params, f"{name}.to_out.0", np.reshape(out, (len(x), -1, *x.shape[2:])))
    return rms_norm(out, params[f"{name}.to_out.1.g"])


def _queries_keys_values(
    params: Params, name: str, x: Array, memory: Array | None, heads: int | None
) -> tuple[Array, Array, Array]:
    """Q (B, heads, d, N); K and V (B, heads, d, M + N), the memory (2, heads, d, M) first."""
    gain = params.get(f"{name}.norm.g")
    qkv = conv(params, f"{name}.to_qkv", x if gain is None else rms_norm(x, gain))
    heads = memory.shape[1] if memory is not None else heads or 1
    by_head = (len(x), 3 * heads, qkv.shape[1] // (3 * heads), -1)
    q, k, v = np.split(np.reshape(qkv, by_head), 3, axis=1)
    if memory is None:
        return q, k, v
    pairs = [np.repeat(m, len(x), axis=0) for m in np.split(memory, 2)]
    k, v = (np.concatenate((m, part), axis=3) for m, part in zip(pairs, (k, v), strict=True))
    return q, k, v
