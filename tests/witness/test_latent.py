"""Latent diffusion's networks with one set of weights: ``diffusers``, ``transformers`` and ours.

Small ones; ``latents.py`` says what is compared, and ``test_full_size.py`` has the published size.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.torch

from ddpm_mindspore.accelerated.weights.lora import write_lora
from ddpm_mindspore.reference.config import (
    AutoencoderConfig,
    LatentUnetConfig,
    TextUnetConfig,
    TransformerConfig,
    merged_network,
    wukong,
)
from ddpm_mindspore.reference.networks import text_unet

from .latents import judge, of_autoencoder, of_text_encoder, of_unet, rms
from .their_networks import asked, in_float64, normal, their_text_encoder, their_unet, value

UNETS = {
    "as Wukong's, narrow": {
        **wukong.UNET.to_dict(),
        **{"dim": 16, "context_dim": 12, "groups": 8},
    },
    "for inpainting, GELU with erf": {
        **{"dim": 8, "dim_mults": (1, 3), "blocks": 1, "heads": 2, "context_dim": 6, "groups": 4},
        "extra_channels": 5,
    },
    "attention everywhere": {
        **{"dim": 8, "dim_mults": (1, 2), "attention": True, "heads": 4, "context_dim": 5},
    },
}


@pytest.mark.parametrize("name", UNETS)
def test_latent_unet(name: str, table: Any) -> None:
    config = LatentUnetConfig(**UNETS[name])
    side = 2 * config.downsample_factor
    x, context = normal(1, 3, config.in_channels, side, side), normal(2, 3, 7, config.context_dim)
    times = np.array([0.0, 7.0, 999.0], np.float32)
    judge(f"latent U-Net, {name}", of_unet(config), x, times, context, table=table)


@pytest.mark.parametrize(
    "options",
    [
        {**wukong.AUTOENCODER.to_dict(), "dim": 8, "groups": 8},
        {"dim": 8, "dim_mults": (1, 3), "groups": 4, "channels": 1, "latent_channels": 3},
    ],
    ids=["as Wukong's, narrow", "other sizes"],
)
@pytest.mark.parametrize("half", ["encoder", "decoder"])
def test_autoencoder(half: str, options: dict[str, Any], table: Any) -> None:
    config = AutoencoderConfig(**options)
    side = 2 * config.downsample_factor
    given = normal(1, 2, config.latent_channels, 2, 3)
    if half == "encoder":
        given = normal(1, 2, config.channels, side, side + config.downsample_factor)
    name = f"{half}, width {config.dim}, {len(config.widths)} levels"
    judge(name, of_autoencoder(config, half), given, table=table)


@pytest.mark.parametrize("eps", [1e-5, 1e-7])
def test_text_encoder(eps: float, table: Any) -> None:
    config = TransformerConfig(vocabulary=50, length=9, width=24, layers=3, heads=4, norm_eps=eps)
    ids = np.random.default_rng(0).integers(0, 50, (3, 9)).astype(np.int32)
    judge(f"text encoder, eps {eps}", of_text_encoder(config), ids, table=table)


@pytest.mark.parametrize("text_encoder", [False, True])
def test_factors_mean_the_same_there(text_encoder: bool, tmp_path: Path, table: Any) -> None:
    """What ``export --layout diffusers`` writes is loaded there with ``peft``, and back."""
    peft = pytest.importorskip("peft")
    from diffusers.loaders.lora_base import _load_lora_into_text_encoder

    options = {"dim": 8, "dim_mults": (1, 2), "attention": True, "heads": 4, "context_dim": 12}
    text = {"vocabulary": 50, "length": 9, "text_layers": 2, "text_heads": 3}
    adapted = {"lora_rank": 3, "lora_alpha": 1.5, "lora_text_encoder": text_encoder}
    config = TextUnetConfig(**options, **text, **adapted)
    # As those of their networks, which know nothing of what stands before the names here.
    before = (wukong.PREFIXES["unet"], wukong.PREFIXES["text_encoder"])
    params = {
        name: value(name.removeprefix(before[0]).removeprefix(before[1]), shape)
        for name, shape in text_unet.param_shapes(config).items()
    }
    path = tmp_path / "lora.safetensors"
    write_lora(path, params, config, "diffusers", {})
    tensors = safetensors.torch.load_file(path)
    unet, encoder = their_unet(config.unet), their_text_encoder(config.text)
    unet.load_lora_adapter(dict(tensors), prefix="unet")
    if text_encoder:
        _load_lora_into_text_encoder(dict(tensors), None, encoder, prefix="text_encoder")
    found = {f"unet.{n}" for n in peft.get_peft_model_state_dict(unet, adapter_name="default_0")}
    if text_encoder:
        theirs = peft.get_peft_model_state_dict(encoder, adapter_name="default_0")
        found |= {f"text_encoder.{name}" for name in theirs}
    assert found == tensors.keys()
    x, ids = normal(1, 2, 4, 4, 4), np.random.default_rng(0).integers(0, 50, (2, 9))
    times = np.array([7.0, 999.0], np.float32)
    unet.double()
    encoder.double()
    with in_float64():
        states = asked(lambda i: encoder(i, return_dict=False)[0], ids)
        given = (x.astype(np.float64), times.astype(np.float64), states)
        out = asked(lambda *arrays: unet(*arrays, return_dict=False)[0], *given)
    wide = {name: array.astype(np.float64) for name, array in params.items()}
    truth = text_unet.text_unet(wide, config, given[0], given[1], condition=ids)
    error = rms(out - truth) / rms(truth)
    plain = text_unet.text_unet(wide, merged_network(config), given[0], given[1], condition=ids)
    assert rms(plain - truth) / rms(truth) > 1e-3
    # alpha / rank is in the file's second factor, rounded to float32.
    table.add(
        f"factors of text-conditioned U-Net (text encoder: {text_encoder})", f"{error:.1e}", "1e-6"
    )
    assert error <= 1e-6
