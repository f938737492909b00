"""Wukong-Huahua: the sizes of the published Chinese text-to-image model, and of its process.

Noah's Ark Lab published it with MindDiffusion (https://github.com/mindspore-lab/minddiffusion,
vision/wukong-huahua, configs/v1-inference-chinese.yaml). The sizes are those of Stable Diffusion 1
(Rombach et al. 2022, arXiv 2112.10752), the text encoder's those of CLIP's ViT-L/14 with the
vocabulary of Chinese BERT.
"""

from __future__ import annotations

from .autoencoder import AutoencoderConfig
from .latent_unet import LatentUnetConfig
from .text_unet import TextUnetConfig
from .transformer import TransformerConfig

UNET = LatentUnetConfig(
    dim=320,
    dim_mults=(1, 2, 4, 4),
    blocks=2,
    heads=8,
    context_dim=768,
    groups=32,
    gelu="tanh",
)
"""859,520,964 parameters in 686 tensors."""

INPAINTING_UNET = LatentUnetConfig(**{**UNET.to_dict(), "extra_channels": 5})
"""Shown the mask (1 channel, 1 where it is to paint) and the masked image's latents (4) besides."""

AUTOENCODER = AutoencoderConfig(dim=128, dim_mults=(1, 2, 4, 4), blocks=2, groups=32)
"""83,653,863 parameters in 248 tensors."""

TEXT_ENCODER = TransformerConfig(
    vocabulary=49_408, length=77, width=768, layers=12, heads=12, norm_eps=1e-7
)
"""123,060,480 parameters in 148 tensors. Ids up to 21,127 are used."""

PAINTER = TextUnetConfig(
    **UNET.to_dict(),
    vocabulary=TEXT_ENCODER.vocabulary,
    length=TEXT_ENCODER.length,
    text_layers=TEXT_ENCODER.layers,
    text_heads=TEXT_ENCODER.heads,
    text_norm_eps=TEXT_ENCODER.norm_eps,
)
"""U-Net and text encoder as one network that is told ids."""

SCALE_FACTOR = 0.18215
"""Latents are multiplied by it: their standard deviation is then about 1."""

PREFIXES = {
    "unet": "model.diffusion_model.",
    "autoencoder": "first_stage_model.",
    "text_encoder": "cond_stage_model.transformer.",
}
"""What stands before the names of the parameters of each part in the published file."""
