"""Networks of ``diffusers`` and ``transformers``, filled with our parameters under their names."""

from __future__ import annotations

import re
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeAlias

import diffusers
import numpy as np
import torch

from ddpm_mindspore.reference.config import AutoencoderConfig, LatentUnetConfig, TransformerConfig
from ddpm_mindspore.reference.networks import autoencoder, latent_unet, transformer

from ..benchmarks import peer_networks

Array: TypeAlias = np.ndarray


def value(name: str, shape: tuple[int, ...]) -> Array:
    """A parameter, float32: a function of its name and shape; none is all 0 or 1."""
    rng = np.random.default_rng(zlib.crc32(name.encode()))
    drawn = rng.standard_normal(shape, dtype=np.float32)
    if name.endswith((".gamma", ".beta", ".bias")):
        return np.float32(0.1) * drawn + np.float32(name.endswith(".gamma"))
    return drawn / np.float32(np.sqrt(np.prod(shape[1:])))


def normal(seed: int, *shape: int) -> Array:
    return np.random.default_rng(seed).standard_normal(shape, dtype=np.float32)


# Their names: ``norm.gamma`` is ``norm.weight`` everywhere.

RESIDUAL = {
    "in_layers_norm": "norm1", "in_layers_conv.conv": "conv1", "emb_layers.1": "time_emb_proj",
    "out_layers_norm": "norm2", "out_layers_conv.conv": "conv2",
    "skip_connection.conv": "conv_shortcut",
}  # fmt: skip
ENDS = {
    "time_embed.0": "time_embedding.linear_1", "time_embed.2": "time_embedding.linear_2",
    "input_blocks.0.0.conv": "conv_in", "out.0": "conv_norm_out", "out.2.conv": "conv_out",
}  # fmt: skip
PIXELS = {"norm": "group_norm", "q": "to_q", "k": "to_k", "v": "to_v", "proj_out": "to_out.0"}


def unet_name(config: LatentUnetConfig, name: str) -> str:
    path, _, kind = name.rpartition(".")
    kind = {"gamma": "weight", "beta": "bias"}.get(kind, kind)
    if path in ENDS:
        return f"{ENDS[path]}.{kind}"
    way, block, rest = path.split(".", 2)
    if way == "middle_block":
        place = {"0": "resnets.0", "1": "attentions.0", "2": "resnets.1"}[block]
        return f"mid_block.{place}.{RESIDUAL.get(rest, rest)}.{kind}"
    part, _, rest = rest.partition(".")
    each = config.blocks + 1
    level, j = divmod(int(block) - (way == "input_blocks"), each)
    side = "down_blocks" if way == "input_blocks" else "up_blocks"
    if rest == "op.conv":
        return f"{side}.{level}.downsamplers.0.conv.{kind}"
    if rest == "conv.conv":
        return f"{side}.{level}.upsamplers.0.conv.{kind}"
    where = f"{side}.{level}.{'attentions' if part == '1' else 'resnets'}.{j}"
    return f"{where}.{RESIDUAL.get(rest, rest)}.{kind}"


def autoencoder_name(config: AutoencoderConfig, name: str) -> str:
    path, _, kind = name.rpartition(".")
    kind = {"gamma": "weight", "beta": "bias"}.get(kind, kind)
    last = len(config.widths) - 1
    path = path.replace("nin_shortcut", "conv_shortcut").replace("norm_out", "conv_norm_out")
    path = re.sub(r"mid\.block_(\d)", lambda m: f"mid_block.resnets.{int(m[1]) - 1}", path)
    path = re.sub(r"mid\.attn_1\.(\w+)", lambda m: f"mid_block.attentions.0.{PIXELS[m[1]]}", path)
    path = re.sub(r"down\.(\d)\.block\.", r"down_blocks.\1.resnets.", path)
    path = re.sub(r"down\.(\d)\.downsample", r"down_blocks.\1.downsamplers.0", path)
    path = re.sub(r"up\.(\d)\.block\.", lambda m: f"up_blocks.{last - int(m[1])}.resnets.", path)
    up = r"up\.(\d)\.upsample"
    path = re.sub(up, lambda m: f"up_blocks.{last - int(m[1])}.upsamplers.0", path)
    return f"{path}.{kind}"


TEXT = {
    "ln_1": "layer_norm1", "ln_2": "layer_norm2", "c_fc": "mlp.fc1", "c_proj": "mlp.fc2",
    "attn.attn.out_proj": "self_attn.out_proj",
}  # fmt: skip


def text_tensors(name: str, array: Array) -> Iterator[tuple[str, Array]]:
    """Queries, keys and values are three there."""
    if name in ("embedding_table", "positional_embedding"):
        table = "token_embedding" if name[0] == "e" else "position_embedding"
        yield f"text_model.embeddings.{table}.weight", array
        return
    path, _, kind = name.rpartition(".")
    kind = {"gamma": "weight", "beta": "bias"}.get(kind, kind)
    if path == "ln_final":
        yield f"text_model.final_layer_norm.{kind}", array
        return
    _, _, number, part = path.split(".", 3)
    layer = f"text_model.encoder.layers.{number}"
    if part == "attn.attn.in_proj":
        for which, rows in zip("qkv", np.split(array, 3), strict=True):
            yield f"{layer}.self_attn.{which}_proj.{kind}", rows
        return
    yield f"{layer}.{TEXT[part]}.{kind}", array


def their_unet(config: LatentUnetConfig) -> Any:
    model = peer_networks.unet(
        config.in_channels,
        config.out_channels,
        config.widths,
        config.has_attention,
        blocks=config.blocks,
        heads=config.heads,
        context_dim=config.context_dim,
        groups=config.groups,
        gelu=config.gelu,
    )
    shapes = latent_unet.param_shapes(config)
    names = {n: unet_name(config, n) for n in shapes}
    return filled(model, ((names[n], value(n, s)) for n, s in shapes.items()))


def their_autoencoder(config: AutoencoderConfig) -> Any:
    count = len(config.widths)
    model = diffusers.AutoencoderKL(
        in_channels=config.channels,
        out_channels=config.channels,
        down_block_types=("DownEncoderBlock2D",) * count,
        up_block_types=("UpDecoderBlock2D",) * count,
        block_out_channels=config.widths,
        layers_per_block=config.blocks,
        latent_channels=config.latent_channels,
        norm_num_groups=config.groups,
    )
    shapes = autoencoder.param_shapes(config)
    return filled(model, ((autoencoder_name(config, n), value(n, s)) for n, s in shapes.items()))


def their_text_encoder(config: TransformerConfig) -> Any:
    model = peer_networks.text_encoder(
        vocabulary=config.vocabulary,
        length=config.length,
        width=config.width,
        inner=config.inner,
        layers=config.layers,
        heads=config.heads,
        norm_eps=config.norm_eps,
    )
    shapes = transformer.param_shapes(config)
    tensors = (pair for n, s in shapes.items() for pair in text_tensors(n, value(n, s)))
    return filled(model, tensors)


def filled(model: Any, tensors: Iterator[tuple[str, Array]]) -> Any:
    """The model with these in place of its own parameters, each given once."""
    missing = dict(model.named_parameters())
    for name, array in tensors:
        parameter = missing.pop(name)
        parameter.data.copy_(torch.from_numpy(array).reshape(parameter.shape))
    assert not missing
    return model.eval()


@contextmanager
def in_float64() -> Iterator[None]:
    """What is made within it is float64: diffusers embeds the time in torch.float32."""
    float32 = torch.float32
    torch.set_default_dtype(torch.float64)
    torch.float32 = torch.float64  # type: ignore[misc]
    try:
        yield
    finally:
        torch.float32 = float32  # type: ignore[misc]
        torch.set_default_dtype(float32)


def asked(function: Callable[..., Any], *arrays: Array) -> Array:
    with torch.no_grad():
        result: Array = function(*map(torch.from_numpy, arrays)).numpy()
    return result
