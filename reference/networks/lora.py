"""Low-rank adaptation: a trained network learns something new through a few numbers.

Hu et al. 2021 (arXiv 2106.09685, eq. 3): the weight W (O, C) of a linear map stays as it is, and

    W + (alpha / rank) B A,    A (rank, C),    B (O, rank)

stands in its place, of which A and B alone are trained. B is 0 at first: the network begins as it
was. A is called ``<layer>.lora_down.weight`` and B ``<layer>.lora_up.weight``, as in MindONE
(https://github.com/mindspore-lab/mindone, examples/stable_diffusion_v2, ldm/modules/lora.py).
Nothing here is particular to NumPy: whoever has weights on the host adds factors to them with it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:  # who trains needs no autodiff, which takes 35 MB to import
    from .layers import Array, Params
    from .parameters import Shapes

DOWN, UP = ".lora_down.weight", ".lora_up.weight"
"""How the names of A and B end."""

ATTENTION = tuple(f".attn{i}.to_{part}.weight" for i in (1, 2) for part in ("q", "k", "v", "out.0"))
"""How the names of the weights end that are adapted: queries, keys, values and results."""

TEXT_ATTENTION = (".attn.attn.in_proj.weight", ".attn.attn.out_proj.weight")
"""The same of a text encoder, where queries, keys and values are one weight."""


def factor_shapes(shapes: Shapes, rank: int, text_encoder: bool) -> Shapes:
    """Names and shapes of all factors.

    Args:
        shapes: of the network's parameters, whose order is kept.
        rank: of each product B A, at most.
        text_encoder: whether the text encoder's attention is adapted too, or stays as it is.
    """
    found: Shapes = {}
    for name, (dim_out, *dims) in shapes.items():
        if name.endswith(ATTENTION + TEXT_ATTENTION * text_encoder):
            layer = name.removesuffix(".weight")
            found |= {layer + DOWN: (rank, *dims), layer + UP: (dim_out, rank)}
    return found


def merged(params: Params, scale: float) -> dict[str, Array]:
    """The parameters with W + scale B A in place of each W that has factors, and without those.

    ``scale``: alpha / rank. The dtype that is given is kept.
    """
    found = {n: p for n, p in params.items() if not n.endswith((DOWN, UP))}
    for name in params:
        if name.endswith(DOWN):
            layer = name.removesuffix(DOWN)
            found[f"{layer}.weight"] = added(
                params[f"{layer}.weight"], params[name], params[layer + UP], scale
            )
    return found


def added(weight: Array, down: Array, up: Array, scale: float) -> Array:
    """W + scale B A. Shapes: weight (O, C), down (rank, C), up (O, rank)."""
    return weight + scale * (up @ down)
