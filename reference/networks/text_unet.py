"""A text encoder and the U-Net that reads its states, as one network that is told ids.

Rombach et al. 2022 (arXiv 2112.10752, section 3.3): the text encoder is trained together with the
network that denoises. Parameters are a flat dict with the names and shapes of the published
Wukong-Huahua weights, what stands before the names of each part included (``config/wukong.py``);
with ``config.lora_rank`` factors besides, whose products are added to weights (``lora.py``).
"""

from __future__ import annotations

from collections.abc import Sequence

import autograd.numpy as np

from ..config import TextUnetConfig
from ..config.wukong import PREFIXES
from . import latent_unet, lora, transformer
from .initial import draw
from .layers import Array, Params
from .parameters import Shapes

__all__ = ["TextUnetConfig", "init", "param_shapes", "text_unet"]

TEXT, UNET = PREFIXES["text_encoder"], PREFIXES["unet"]


def text_unet(
    params: Params,
    config: TextUnetConfig,
    x: Array,
    time: Array,
    x_self_cond: None = None,
    dropout_masks: Sequence[Array] | None = None,
    condition: Array | None = None,
) -> Array:
    """Apply the network; all as of ``latent_unet``, but the condition.

    Args:
        condition: (B, N) whole numbers, the ids of a text's pieces, N at most ``config.length``.

    Raises:
        ValueError: an argument that does not fit the configuration or the shape of x.
    """
    if condition is None:
        raise ValueError("condition is missing: give the ids of a text, of the empty one for none")
    if config.lora_rank is not None:
        params = lora.merged(params, config.lora_scale)
    states = transformer.transformer(_under(TEXT, params), config.text, condition)
    given = (x, time, x_self_cond, dropout_masks, states)
    return latent_unet.latent_unet(_under(UNET, params), config.unet, *given)


def init(config: TextUnetConfig, rng: np.random.Generator) -> dict[str, Array]:
    """Draw float64 parameters: the text encoder's first, factors last."""
    text, unet = transformer.init(config.text, rng), latent_unet.init(config.unet, rng)
    params = {TEXT + n: p for n, p in text.items()} | {UNET + n: p for n, p in unet.items()}
    shapes = param_shapes(config)
    return params | {n: draw(n, s, rng) for n, s in shapes.items() if n not in params}


def param_shapes(config: TextUnetConfig) -> Shapes:
    """Name and shape of every parameter, in the order in which they are drawn."""
    text, unet = transformer.param_shapes(config.text), latent_unet.param_shapes(config.unet)
    shapes = {TEXT + n: s for n, s in text.items()} | {UNET + n: s for n, s in unet.items()}
    if config.lora_rank is None:
        return shapes
    return shapes | lora.factor_shapes(shapes, config.lora_rank, config.lora_text_encoder)


def _under(prefix: str, params: Params) -> Params:
    """The parameters of one part, by the names that it knows."""
    return {n.removeprefix(prefix): p for n, p in params.items() if n.startswith(prefix)}
