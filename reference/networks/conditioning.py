"""How a picture reads a text: cross-attention (Rombach et al. 2022, arXiv 2112.10752, eq. 1).

Pixels become tokens, which attend to each other, then to the text's states, then pass through a
gated feed-forward layer. Tokens are (B, N, C), the states ("context") (B, M, D).
"""

from __future__ import annotations

import autograd.numpy as np

from . import layers
from .blocks import (
    Shapes,
    conv_shapes,
    dense,
    dense_shapes,
    gelu_tanh,
    layer_norm,
    norm,
    norm_shapes,
)
from .layers import Array, Params

SPATIAL_EPS = 1e-6
"""What the group norm before the tokens adds to the variance."""


def attend(q: Array, k: Array, v: Array, heads: int, mask: Array | None = None) -> Array:
    """softmax(Q K^T / sqrt(d) + mask) V for each head (arXiv 1706.03762, eq. 1).

    Shapes: q (B, N, C), k and v (B, M, C), mask (N, M), result (B, N, C). Head h is the channels
    h d to (h + 1) d - 1, d = C / heads.
    """

    def split(x: Array) -> Array:  # (B, heads, N, d)
        return np.swapaxes(np.reshape(x, (*x.shape[:2], heads, -1)), 1, 2)

    q, k, v = split(q), split(k), split(v)
    scores = np.matmul(q, np.swapaxes(k, 2, 3)) * q.shape[3] ** -0.5
    weights = layers.softmax(scores if mask is None else scores + mask, axis=3)
    out = np.swapaxes(np.matmul(weights, v), 1, 2)
    return np.reshape(out, (*out.shape[:2], -1))


def cross_attention(params: Params, name: str, x: Array, context: Array, heads: int) -> Array:
    """Queries of x (B, N, C); keys and values of the context (B, M, D), which may be x itself."""
    q = dense(params, f"{name}.to_q", x)
    k, v = (dense(params, f"{name}.to_{which}", context) for which in "kv")
    return dense(params, f"{name}.to_out.0", attend(q, k, v, heads))


def geglu(params: Params, name: str, x: Array, gelu: str) -> Array:
    """value * gelu(gate), both linear in x (Shazeer 2020, arXiv 2002.05202, eq. 6).

    Args:
        x: (B, N, C), the result (B, N, 4C).
        gelu: "erf", or "tanh" for the approximation.
    """
    value, gate = np.split(dense(params, f"{name}.proj", x), 2, axis=2)
    return value * (gelu_tanh if gelu == "tanh" else layers.gelu)(gate)


def transformer_block(
    params: Params, name: str, x: Array, context: Array, heads: int, gelu: str, eps: float
) -> Array:
    """x + attention(x), + attention(x, context), + feed-forward(x), each of a layer norm of x."""

    def normed(which: str) -> Array:
        prefix = f"{name}.{which}"
        return layer_norm(x, params[f"{prefix}.gamma"], params[f"{prefix}.beta"], eps)

    own = normed("norm1")
    x = x + cross_attention(params, f"{name}.attn1", own, own, heads)
    x = x + cross_attention(params, f"{name}.attn2", normed("norm2"), context, heads)
    hidden = geglu(params, f"{name}.ff.net.0", normed("norm3"), gelu)
    return x + dense(params, f"{name}.ff.net.2", hidden)


def spatial_transformer(
    params: Params,
    name: str,
    x: Array,
    context: Array,
    heads: int,
    groups: int,
    gelu: str,
    eps: float,
) -> Array:
    """x + what a transformer block makes of its pixels.

    Args:
        x: (B, C, H, W), and so is the result.
        context: (B, M, D).
        eps: of the layer norms.
    """
    h = norm(params, f"{name}.norm", x, groups, SPATIAL_EPS)
    h = layers.conv(params, f"{name}.proj_in", h)
    tokens = np.swapaxes(np.reshape(h, (*h.shape[:2], -1)), 1, 2)
    block = f"{name}.transformer_blocks.0"
    tokens = transformer_block(params, block, tokens, context, heads, gelu, eps)
    h = np.reshape(np.swapaxes(tokens, 1, 2), h.shape)
    return x + layers.conv(params, f"{name}.proj_out", h)


def spatial_transformer_shapes(name: str, dim: int, context_dim: int) -> Shapes:
    """Names and shapes of its parameters."""
    block = f"{name}.transformer_blocks.0"
    shapes = norm_shapes(f"{name}.norm", dim) | conv_shapes(f"{name}.proj_in", dim, dim, 1)
    for attention, width in (("attn1", dim), ("attn2", context_dim)):
        shapes |= dense_shapes(f"{block}.{attention}.to_q", dim, dim, bias=False)
        shapes |= dense_shapes(f"{block}.{attention}.to_k", width, dim, bias=False)
        shapes |= dense_shapes(f"{block}.{attention}.to_v", width, dim, bias=False)
        shapes |= dense_shapes(f"{block}.{attention}.to_out.0", dim, dim)
    shapes |= dense_shapes(f"{block}.ff.net.0.proj", dim, 8 * dim)
    shapes |= dense_shapes(f"{block}.ff.net.2", 4 * dim, dim)
    for which in ("norm1", "norm2", "norm3"):
        shapes |= norm_shapes(f"{block}.{which}", dim)
    return shapes | conv_shapes(f"{name}.proj_out", dim, dim, 1)
