"""Latent diffusion's networks with one set of weights: ``diffusers``, ``transformers`` and ours.

The truth is the reference in float64, with which their float64 has to agree to rounding errors. The
float32 answer on MindSpore may be further from it than their float32 and NumPy's, whichever is
worse, by a small factor only. At full size (``pytest -m nightly``, 12 GB) their float32 is beside
ours, since float64 would not fit.
"""

from __future__ import annotations

import re
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import diffusers
import mindspore as ms
import numpy as np
import pytest
import safetensors.torch
import torch
import transformers
from mindspore import Tensor

from ddpm_mindspore.accelerated.networks.autoencoder import Autoencoder
from ddpm_mindspore.accelerated.networks.latent_unet import LatentUnet
from ddpm_mindspore.accelerated.networks.transformer import Transformer
from ddpm_mindspore.accelerated.weights.lora import write_lora
from ddpm_mindspore.reference.config import (
    AutoencoderConfig,
    LatentUnetConfig,
    TextUnetConfig,
    TransformerConfig,
    merged_network,
    wukong,
)
from ddpm_mindspore.reference.networks import autoencoder, latent_unet, text_unet, transformer

Array = np.ndarray
Arrays = dict[str, Array]

FLOAT64 = 1e-13
FACTOR = 4.0
FULL_SIZE = 2e-5
"""How far two float32 answers of the full size may be from each other: some 300 roundings."""


def value(name: str, shape: tuple[int, ...]) -> Array:
    """A parameter, float32: a function of its name and shape; none is all 0 or 1."""
    rng = np.random.default_rng(zlib.crc32(name.encode()))
    drawn = rng.standard_normal(shape, dtype=np.float32)
    if name.endswith((".gamma", ".beta", ".bias")):
        return np.float32(0.1) * drawn + np.float32(name.endswith(".gamma"))
    return drawn / np.float32(np.sqrt(np.prod(shape[1:])))


def values(shapes: dict[str, tuple[int, ...]]) -> Arrays:
    return {name: value(name, shape) for name, shape in shapes.items()}


def rms(x: Array) -> float:
    return float(np.sqrt(np.mean(np.square(x, dtype=np.float64))))


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
    levels = config.has_attention
    model = diffusers.UNet2DConditionModel(
        in_channels=config.in_channels,
        out_channels=config.out_channels,
        down_block_types=tuple(
            "CrossAttnDownBlock2D" if attention else "DownBlock2D" for attention in levels
        ),
        up_block_types=tuple(
            "CrossAttnUpBlock2D" if attention else "UpBlock2D" for attention in reversed(levels)
        ),
        block_out_channels=config.widths,
        layers_per_block=config.blocks,
        cross_attention_dim=config.context_dim,
        attention_head_dim=config.heads,  # its name for their number
        norm_num_groups=config.groups,
        flip_sin_to_cos=True,
        freq_shift=0,
    )
    if config.gelu == "tanh":
        for module in model.modules():
            if type(module).__name__ == "GEGLU":
                module.gelu = partial(torch.nn.functional.gelu, approximate="tanh")
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
    model = transformers.CLIPTextModel(
        transformers.CLIPTextConfig(
            vocab_size=config.vocabulary,
            hidden_size=config.width,
            intermediate_size=config.inner,
            num_hidden_layers=config.layers,
            num_attention_heads=config.heads,
            max_position_embeddings=config.length,
            hidden_act="quick_gelu",
            layer_norm_eps=config.norm_eps,
            pad_token_id=0,
            bos_token_id=0,
            eos_token_id=2,
        )
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
    theirs = their_unet(config)

    def ask(x: Any, times: Any, context: Any) -> Any:
        return theirs(x, times, context, return_dict=False)[0]

    def ours(params: Arrays, x: Array, times: Array, context: Array) -> Array:
        return latent_unet.latent_unet(params, config, x, times, condition=context)

    network = LatentUnet(values=value, **config.to_dict())
    call = partial(network_call, lambda x, t, c: network(x, t, None, None, c))
    judge(f"latent U-Net, {name}", latent_unet.param_shapes(config), ask, theirs, ours, call)(
        x, times, context, table=table
    )


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
    theirs, network = their_autoencoder(config), Autoencoder(values=value, **options)
    side = 2 * config.downsample_factor
    if half == "encoder":
        given = normal(1, 2, config.channels, side, side + config.downsample_factor)

        def ask(x: Any) -> Any:
            return theirs.encode(x).latent_dist.parameters

        def ours(params: Arrays, x: Array) -> Array:
            return np.concatenate(autoencoder.encode(params, config, x), axis=1)

        call = partial(network_call, network.encode)
    else:
        given = normal(1, 2, config.latent_channels, 2, 3)

        def ask(x: Any) -> Any:
            return theirs.decode(x, return_dict=False)[0]

        def ours(params: Arrays, x: Array) -> Array:
            return autoencoder.decode(params, config, x)

        call = partial(network_call, network.decode)
    name = f"{half}, width {config.dim}, {len(config.widths)} levels"
    shapes = autoencoder.param_shapes(config)
    judge(name, shapes, ask, theirs, ours, call)(given, table=table)


@pytest.mark.parametrize("eps", [1e-5, 1e-7])
def test_text_encoder(eps: float, table: Any) -> None:
    config = TransformerConfig(vocabulary=50, length=9, width=24, layers=3, heads=4, norm_eps=eps)
    theirs, network = their_text_encoder(config), Transformer(values=value, **config.to_dict())
    ids = np.random.default_rng(0).integers(0, 50, (3, 9)).astype(np.int32)

    def ask(ids: Any) -> Any:
        return theirs(ids.long(), return_dict=False)[0]

    def ours(params: Arrays, ids: Array) -> Array:
        return transformer.transformer(params, config, ids)

    call = partial(network_call, network)
    shapes = transformer.param_shapes(config)
    judge(f"text encoder, eps {eps}", shapes, ask, theirs, ours, call)(ids, table=table)


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


def network_call(network: Callable[..., Any], *arrays: Array) -> Array:
    ms.set_device("CPU")
    return np.asarray(network(*map(Tensor, arrays)).asnumpy())


def judge(
    name: str,
    shapes: dict[str, tuple[int, ...]],
    ask: Callable[..., Any],
    theirs: Any,
    ours: Callable[..., Array],
    on_mindspore: Callable[..., Array],
) -> Callable[..., None]:
    """What compares all of them, given inputs."""

    def compare(*given: Array, table: Any) -> None:
        params = values(shapes)
        wide = [a.astype(np.float64) if a.dtype == np.float32 else a for a in given]
        truth = ours({n: a.astype(np.float64) for n, a in params.items()}, *wide)
        scale = rms(truth)
        numpy32 = rms(ours(params, *given) - truth) / scale
        torch32 = rms(asked(ask, *given) - truth) / scale
        theirs.double()
        with in_float64():
            torch64 = rms(asked(ask, *wide) - truth) / scale
        mindspore32 = rms(on_mindspore(*given) - truth) / scale
        allowed = FACTOR * max(numpy32, torch32)
        table.add(f"{name}: PyTorch float64", f"{torch64:.1e}", f"{FLOAT64:.0e}")
        table.add(
            "    MindSpore float32 (beside PyTorch's, NumPy's)",
            f"{mindspore32:.1e} ({torch32:.1e}, {numpy32:.1e})",
            f"{allowed:.1e}",
        )
        assert torch64 <= FLOAT64
        assert mindspore32 <= allowed

    return compare


@pytest.mark.nightly
def test_full_size_text_encoder(table: Any) -> None:
    config = wukong.TEXT_ENCODER
    ids = np.random.default_rng(0).integers(0, 21_128, (2, config.length)).astype(np.int32)

    def ask(theirs: Any, ids: Any) -> Any:
        return theirs(ids.long(), return_dict=False)[0]

    (expected,) = once(their_text_encoder(config), (ask, ids))
    network = Transformer(values=value, **config.to_dict())
    full_size("text encoder, 2 texts", network, expected, table, ids)


@pytest.mark.nightly
def test_full_size_autoencoder(table: Any) -> None:
    config = wukong.AUTOENCODER
    x, z = normal(1, 1, 3, 128, 128), normal(2, 1, 4, 16, 16)
    moments, image = once(
        their_autoencoder(config),
        (lambda theirs, x: theirs.encode(x).latent_dist.parameters, x),
        (lambda theirs, z: theirs.decode(z, return_dict=False)[0], z),
    )
    network = Autoencoder(values=value, **config.to_dict())
    full_size("encoder, 128 pixels", network.encode, moments, table, x)
    full_size("decoder, 128 pixels", network.decode, image, table, z)


@pytest.mark.nightly
def test_full_size_unet(table: Any) -> None:
    config = wukong.UNET
    given = (normal(1, 1, 4, 16, 16), np.array([500.0], np.float32))
    given = (*given, normal(2, 1, 77, config.context_dim))

    def ask(theirs: Any, *tensors: Any) -> Any:
        return theirs(*tensors, return_dict=False)[0]

    (expected,) = once(their_unet(config), (ask, *given))
    network = LatentUnet(values=value, **config.to_dict())
    call = lambda x, t, context: network(x, t, None, None, context)  # noqa: E731
    full_size("latent U-Net, 16x16 latents", call, expected, table, *given)


def once(theirs: Any, *questions: tuple[Any, ...]) -> list[Array]:
    """Their answers, after which they are no longer in memory."""
    return [asked(partial(ask, theirs), *given) for ask, *given in questions]


def full_size(
    name: str, network: Callable[..., Any], expected: Array, table: Any, *given: Array
) -> None:
    """The same in float32, and how long it takes when it is asked again."""
    network_call(network, *given)
    start = time.perf_counter()
    out = network_call(network, *given)
    seconds = time.perf_counter() - start
    error = rms(out - expected) / rms(expected)
    table.add(f"full size, {name}: {seconds:.1f} s", f"{error:.1e}", f"{FULL_SIZE:.0e}")
    assert error <= FULL_SIZE
