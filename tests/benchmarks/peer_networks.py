"""The networks of ``diffusers`` and ``transformers`` that have the shapes of this package's."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import torch
from diffusers import UNet2DConditionModel
from transformers import CLIPTextConfig, CLIPTextModel


def unet(
    in_channels: int,
    out_channels: int,
    widths: Sequence[int],
    attention: Sequence[bool],
    *,
    blocks: int,
    heads: int,
    context_dim: int,
    groups: int,
    gelu: str,
) -> Any:
    """The U-Net of latent diffusion; what it is told are fields of ``LatentUnetConfig``."""
    model = UNet2DConditionModel(
        in_channels=in_channels,
        out_channels=out_channels,
        down_block_types=tuple(
            "CrossAttnDownBlock2D" if there else "DownBlock2D" for there in attention
        ),
        up_block_types=tuple(
            "CrossAttnUpBlock2D" if there else "UpBlock2D" for there in reversed(attention)
        ),
        block_out_channels=tuple(widths),
        layers_per_block=blocks,
        cross_attention_dim=context_dim,
        attention_head_dim=heads,  # its name for their number
        norm_num_groups=groups,
        flip_sin_to_cos=True,
        freq_shift=0,
    )
    for module in model.modules():
        if gelu == "tanh" and type(module).__name__ == "GEGLU":
            module.gelu = partial(torch.nn.functional.gelu, approximate="tanh")
    return model


def text_encoder(
    *,
    vocabulary: int,
    length: int,
    width: int,
    inner: int,
    layers: int,
    heads: int,
    norm_eps: float,
) -> Any:
    """The causal text transformer; what it is told are fields of ``TransformerConfig``."""
    return CLIPTextModel(
        CLIPTextConfig(
            vocab_size=vocabulary,
            hidden_size=width,
            intermediate_size=inner,
            num_hidden_layers=layers,
            num_attention_heads=heads,
            max_position_embeddings=length,
            hidden_act="quick_gelu",
            layer_norm_eps=norm_eps,
            pad_token_id=0,
            bos_token_id=0,
            eos_token_id=2,
        )
    )
