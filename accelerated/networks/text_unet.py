"""A text encoder and the U-Net that reads its states, as one network: a MindSpore Cell.

``reference/networks/text_unet.py`` is the definition.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from mindspore import Tensor

from ...reference.config import TextUnetConfig
from ...reference.config.wukong import PREFIXES
from ..randomness import Purpose, stream
from .blocks import Values, drawn
from .latent_unet import LatentUnet
from .lora import adapt
from .network import Network, Weighted
from .transformer import Transformer


class TextUnet(Network):
    """Text encoder and U-Net of latent diffusion (arXiv 2112.10752, section 3.3).

    Args:
        dim: base width of the U-Net.
        seed: the initial parameters are a function of this number.
        values: the parameters, in place of initial ones: from name and shape to an array.
        options: every other field of
            :class:`~ddpm_mindspore.reference.config.TextUnetConfig`, by name.

    Raises:
        ValueError: an option that no network can be built from.
    """

    config: TextUnetConfig
    conditional = True
    captioned = True

    def __init__(
        self,
        dim: int = TextUnetConfig.dim,
        *,
        seed: int = 0,
        values: Values | None = None,
        **options: Any,
    ) -> None:
        super().__init__(auto_prefix=False)
        self.config = config = TextUnetConfig(dim=dim, **options)
        first = drawn(stream(seed, Purpose.INIT))

        def values_of(prefix: str) -> Values:
            if values is None:
                return first
            return lambda name, shape: values(prefix + name, shape)

        text, unet = PREFIXES["text_encoder"], PREFIXES["unet"]
        self.text = _named(text, Transformer(values=values_of(text), **config.text.to_dict()))
        self.unet = _named(unet, LatentUnet(values=values_of(unet), **config.unet.to_dict()))
        if config.lora_rank is not None:
            adapt(self, first if values is None else values, config)
        elif config.freeze_text_encoder:
            for parameter in self.text.get_parameters():
                parameter.requires_grad = False

    def construct(
        self,
        x: Tensor,
        time: Tensor,
        x_self_cond: Tensor | None = None,
        dropout_masks: tuple[Tensor, ...] | None = None,
        condition: Tensor | None = None,
    ) -> Tensor:
        """Apply the network; all as of ``LatentUnet``, but ``condition`` (B, N) int32, ids.

        Or (B, N, context_dim), what the text encoder has made of them before.
        """
        states = condition
        if condition is None or condition.ndim != 3:
            states = self.text(condition)
        return self.unet(x, time, x_self_cond, dropout_masks, states)

    def beside(self) -> TextUnet:
        """Another one, which shares the parameters that are not trained: of a base, nearly all."""
        fixed = {p.name: p for p in self.get_parameters() if not p.requires_grad}

        def values(name: str, shape: tuple[int, ...]) -> Any:
            return fixed[name] if name in fixed else np.zeros(shape)

        return TextUnet(**self.config.to_dict(), values=values)

    def without_text_encoder(self) -> TextUnet:
        """Let go of the text encoder: from now on it is told states."""
        self.text = None
        return self


def _named(prefix: str, part: Weighted) -> Any:
    """The part, with the full names of its parameters."""
    for parameter in part.get_parameters():
        parameter.name = prefix + parameter.name
    return part
