"""The text encoder: a causal transformer (Radford et al. 2021, arXiv 2103.00020, section 2.4).

Ids become states: a table's rows plus learned positions, blocks in which a token attends to itself
and to those before it, and a last norm. All states are returned: a picture reads each of them.
"""

from __future__ import annotations

import autograd.numpy as np

from ..config import TransformerConfig
from .blocks import Shapes, dense, dense_shapes, layer_norm, norm_shapes, quick_gelu
from .conditioning import attend
from .initial import draw
from .layers import Array, Params

__all__ = ["TransformerConfig", "init", "param_shapes", "transformer"]


def transformer(params: Params, config: TransformerConfig, ids: Array) -> Array:
    """Apply the network.

    Args:
        params: arrays named and shaped as in ``param_shapes(config)``.
        ids: (B, N) integers, N at most ``config.length``.

    Returns:
        (B, N, width), of the dtype of ``params``.

    Raises:
        ValueError: a shape that does not fit, or an id that the table does not have.
    """
    config.check_ids(ids.shape)
    if ids.min() < 0 or ids.max() >= config.vocabulary:
        raise ValueError(
            f"ids lie between {ids.min()} and {ids.max()}: the table has 0 to "
            f"{config.vocabulary - 1}"
        )
    length = ids.shape[1]
    x = params["embedding_table"][ids] + params["positional_embedding"][:length]
    # No token sees a later one.
    mask = np.triu(np.full((length, length), -np.inf, x.dtype), 1)
    for i in range(config.layers):
        x = _block(params, config, f"transformer_layer.resblocks.{i}", x, mask)
    return _norm(params, config, "ln_final", x)


def _block(params: Params, config: TransformerConfig, name: str, x: Array, mask: Array) -> Array:
    """x + attention(norm(x)), then + mlp(norm(x)); the mlp's activation is QuickGELU."""
    projected = dense(params, f"{name}.attn.attn.in_proj", _norm(params, config, f"{name}.ln_1", x))
    q, k, v = np.split(projected, 3, axis=2)
    x = x + dense(params, f"{name}.attn.attn.out_proj", attend(q, k, v, config.heads, mask))
    hidden = dense(params, f"{name}.c_fc", _norm(params, config, f"{name}.ln_2", x))
    return x + dense(params, f"{name}.c_proj", quick_gelu(hidden))


def _norm(params: Params, config: TransformerConfig, name: str, x: Array) -> Array:
    return layer_norm(x, params[f"{name}.gamma"], params[f"{name}.beta"], config.norm_eps)


def init(config: TransformerConfig, rng: np.random.Generator) -> dict[str, Array]:
    """Draw float64 parameters; see ``initial``."""
    return {name: draw(name, shape, rng) for name, shape in param_shapes(config).items()}


def param_shapes(config: TransformerConfig) -> Shapes:
    """Name and shape of every parameter, in the order in which they are drawn."""
    width = config.width
    shapes: Shapes = {
        "embedding_table": (config.vocabulary, width),
        "positional_embedding": (config.length, width),
    }
    for i in range(config.layers):
        name = f"transformer_layer.resblocks.{i}"
        shapes |= norm_shapes(f"{name}.ln_1", width) | norm_shapes(f"{name}.ln_2", width)
        shapes |= dense_shapes(f"{name}.attn.attn.in_proj", width, 3 * width)
        shapes |= dense_shapes(f"{name}.attn.attn.out_proj", width, width)
        shapes |= dense_shapes(f"{name}.c_fc", width, config.inner)
        shapes |= dense_shapes(f"{name}.c_proj", config.inner, width)
    return shapes | norm_shapes("ln_final", width)
