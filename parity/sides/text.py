"""The parts of the networks that paint from text on both sides, with parameters of equal names."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import autograd.numpy as anp
import numpy as np
from mindspore import Tensor, nn, ops

from ...accelerated.networks import autoencoder as accelerated_autoencoder
from ...accelerated.networks import blocks as accelerated
from ...accelerated.networks import conditioning as accelerated_conditioning
from ...accelerated.networks import lora as accelerated_lora
from ...accelerated.networks.autoencoder import Autoencoder
from ...accelerated.networks.latent_unet import LatentUnet
from ...accelerated.networks.text_unet import TextUnet
from ...accelerated.networks.transformer import Transformer
from ...accelerated.tasks.inpainting import Shown
from ...reference.config import (
    AutoencoderConfig,
    LatentUnetConfig,
    TextUnetConfig,
    TransformerConfig,
)
from ...reference.networks import (
    autoencoder,
    blocks,
    conditioning,
    latent_unet,
    layers,
    lora,
    transformer,
)
from ...reference.networks import text_unet as reference_text_unet
from ...reference.networks.layers import Array as Value
from ...reference.networks.layers import Params
from ..judgement.tolerance import Arrays
from .device import Array
from .layers import PREFIX, Layer, Shape

Sizes = Sequence[int]


def blank(name: str, shape: Shape) -> Any:
    """What a parameter is before it is given its value."""
    return np.zeros(shape, np.float32)


def draw(cell: nn.Cell, seed: int) -> Arrays:
    """Values of all parameters by name: none is 0, none is 1. The cell has them from now on."""
    rng = np.random.default_rng(seed)
    values = {}
    for parameter in cell.get_parameters():
        value = rng.standard_normal(parameter.shape)
        if parameter.name.endswith((".gamma", ".beta", ".bias")):
            value = 0.3 * value + parameter.name.endswith(".gamma")
        else:
            value = value / np.sqrt(np.prod(parameter.shape[1:]))
        values[parameter.name] = value.astype(np.float32)
        ops.assign(parameter, Tensor(values[parameter.name]))
    return values


def group_norm(dim: int, size: Sizes, groups: int, eps: float, silu: bool = False) -> Layer:
    def expected(p: Params, x: Value) -> Value:
        out = blocks.norm(p, PREFIX, x, groups, eps)
        return layers.silu(out) if silu else out

    cell = accelerated.GroupNorm(blank, PREFIX, dim, groups, eps, silu)
    return Layer(cell, cell, expected, (dim, *size), {"x": (dim, *size)})


def layer_norm(dim: int, size: Sizes, eps: float) -> Layer:
    def expected(p: Params, x: Value) -> Value:
        return blocks.layer_norm(x, p[f"{PREFIX}.gamma"], p[f"{PREFIX}.beta"], eps)

    cell = accelerated.LayerNorm(blank, PREFIX, dim, eps)
    return Layer(cell, cell, expected, (size[0], dim), {"x": (size[0], dim)})


def activation(dim: int, size: Sizes, name: str) -> Layer:
    def expected(p: Params, x: Value) -> Value:
        return getattr(blocks, name)(x)

    call = getattr(accelerated, name)
    return Layer(nn.Cell(), call, expected, (dim, *size), {"x": (dim, *size)})


def geglu(dim: int, size: Sizes, gelu: str) -> Layer:
    def expected(p: Params, x: Value) -> Value:
        return conditioning.geglu(p, PREFIX, x, gelu)

    cell = accelerated_conditioning.Geglu(blank, PREFIX, dim, gelu)
    return Layer(cell, cell, expected, (size[0], 4 * dim), {"x": (size[0], dim)})


def cross_attention(dim: int, size: Sizes, heads: int) -> Layer:
    def expected(p: Params, x: Value, context: Value) -> Value:
        return conditioning.cross_attention(p, PREFIX, x, context, heads)

    cell = accelerated_conditioning.CrossAttention(blank, PREFIX, dim, 3, heads)
    inputs: dict[str, Shape] = {"x": (size[0], dim), "context": (size[1], 3)}
    return Layer(cell, cell, expected, (size[0], dim), inputs)


def low_rank(dim: int, size: Sizes, rank: int, alpha: float) -> Layer:
    """A linear map with factors, of which all is differentiated by here."""
    scale = alpha / rank

    def expected(p: Params, x: Value) -> Value:
        return blocks.dense(lora.merged(p, scale), PREFIX, x)

    dense = accelerated.Dense(blank, PREFIX, dim, dim + 3)
    cell = accelerated_lora.Adapted(blank, dense, rank, scale)
    return Layer(cell, cell, expected, (size[0], dim + 3), {"x": (size[0], dim)})


def halving_conv(dim: int, size: Sizes, before: int) -> Layer:
    def expected(p: Params, x: Value) -> Value:
        weight, bias = p[f"{PREFIX}.weight"], p[f"{PREFIX}.bias"]
        return blocks.halving_conv2d(x, weight, bias, before)

    cell = accelerated.HalvingConv(blank, PREFIX, dim, before)
    twice = tuple(2 * side for side in size)
    return Layer(cell, cell, expected, (dim, *size), {"x": (dim, *twice)})


def time_embedding(dim: int, size: Sizes) -> Layer:
    def expected(p: Params, time: Value) -> Value:
        return blocks.time_embedding(time, dim)

    cell = accelerated.TimeEmbedding(dim)
    return Layer(cell, cell, expected, (dim,), {"time": ()})


def spatial_transformer(dim: int, size: Sizes, heads: int, gelu: str) -> Layer:
    config = LatentUnetConfig(dim=dim, dim_mults=(1,), heads=heads, groups=2, context_dim=3)
    config = LatentUnetConfig(**{**config.to_dict(), "gelu": gelu})

    def expected(p: Params, x: Value, context: Value) -> Value:
        settings = (config.heads, config.groups, config.gelu, config.norm_eps)
        return conditioning.spatial_transformer(p, PREFIX, x, context, *settings)

    cell = accelerated_conditioning.SpatialTransformer(blank, PREFIX, dim, config)
    shape = (dim, *size)
    return Layer(cell, cell, expected, shape, {"x": shape, "context": (5, 3)})


def text(ids: Shape, **options: Any) -> Layer:
    """The last argument of both sides: ids (B, *ids)."""
    config = TransformerConfig(**options)

    def expected(p: Params, ids: Value) -> Value:
        return transformer.transformer(p, config, ids)

    cell = Transformer(values=blank, **options)
    assert shapes(cell) == transformer.param_shapes(config)
    return Layer(cell, cell, expected, (*ids, config.width), {})


def encoder(size: Sizes, **options: Any) -> Layer:
    """Images to samples of their latents."""
    config = AutoencoderConfig(**options)

    def expected(p: Params, x: Value, noise: Value) -> Value:
        return autoencoder.sample(autoencoder.encode(p, config, x), noise)

    cell = Autoencoder(values=blank, **options)
    assert shapes(cell) == autoencoder.param_shapes(config)

    def call(x: Tensor, noise: Tensor) -> Tensor:
        return accelerated_autoencoder.sample(cell.encode(x), noise)

    latent = config.latent_shape(tuple(size))
    inputs = {"x": (config.channels, *size), "noise": latent}
    return Layer(part(cell, ("encoder.", "quant_conv.")), call, expected, latent, inputs)


def decoder(size: Sizes, **options: Any) -> Layer:
    """Latents to images."""
    config = AutoencoderConfig(**options)

    def expected(p: Params, z: Value) -> Value:
        return autoencoder.decode(p, config, z)

    cell = Autoencoder(values=blank, **options)
    latent = config.latent_shape(tuple(size))
    chosen = part(cell, ("decoder.", "post_quant_conv."))
    return Layer(chosen, cell.decode, expected, (config.channels, *size), {"z": latent})


def divergence(dim: int, size: Sizes) -> Layer:
    """The Kullback-Leibler divergence of moments (dim, H, W)."""

    def expected(p: Params, moments: Value) -> Value:
        mean, log_variance = anp.split(moments, 2, axis=1)
        return autoencoder.kl(autoencoder.Gaussian(mean, log_variance))

    call = accelerated_autoencoder.kl
    return Layer(nn.Cell(), call, expected, (), {"moments": (dim, *size)})


def unet(size: Sizes, time: Sequence[float], **options: Any) -> Layer:
    """The last arguments of both sides: a dropout mask for each residual block, if there are."""
    config = LatentUnetConfig(**options)
    cell = LatentUnet(values=blank, **options)
    assert shapes(cell) == latent_unet.param_shapes(config)
    times = Tensor(np.array(time, np.float32))

    def call(x, context, *masks):  # type: ignore[no-untyped-def]
        return cell(x, times, None, masks if len(masks) else None, context)

    def expected(p: Params, x: Value, context: Value, *masks: Value) -> Value:
        now = np.array(time)
        return latent_unet.latent_unet(p, config, x, now, None, masks or None, context)

    inputs = {"x": (config.in_channels, *size), "context": (5, config.context_dim)}
    return Layer(cell, call, expected, (config.channels, *size), inputs)


def text_unet(size: Sizes, time: Sequence[float], **options: Any) -> Layer:
    """The last argument of both sides: ids (B, N)."""
    config = TextUnetConfig(**options)
    cell = TextUnet(values=blank, **options)
    assert shapes(cell) == reference_text_unet.param_shapes(config)
    times = Tensor(np.array(time, np.float32))

    def call(x, ids):  # type: ignore[no-untyped-def]
        return cell(x, times, None, None, ids)

    # What is not trained is no argument of the gradient, and there all the same.
    fixed = [p for p in cell.get_parameters() if not p.requires_grad]

    def expected(p: Params, x: Value, ids: Value) -> Value:
        now = np.array(time)
        params = {f.name: f.asnumpy().astype(x.dtype) for f in fixed} | dict(p)
        return reference_text_unet.text_unet(params, config, x, now, None, None, ids)

    inputs = {"x": (config.in_channels, *size)}
    return Layer(cell, call, expected, (config.channels, *size), inputs)


def inpainting_unet(size: Sizes, time: Sequence[float], shown: Array, **options: Any) -> Layer:
    """A network that is ``shown`` (K, *size) behind every x; last the states of a text."""
    config = LatentUnetConfig(**options, extra_channels=len(shown))
    cell = Shown(LatentUnet(values=blank, **config.to_dict()), shown)
    times = Tensor(np.array(time, np.float32))

    def call(x, context):  # type: ignore[no-untyped-def]
        return cell(x, times, None, None, context)

    def expected(p: Params, x: Value, context: Value) -> Value:
        beside = np.repeat(shown[None], len(x), axis=0).astype(x.dtype)
        whole = anp.concatenate((x, beside), axis=1)
        return latent_unet.latent_unet(p, config, whole, np.array(time), condition=context)

    inputs = {"x": (config.channels, *size), "context": (5, config.context_dim)}
    return Layer(cell.model, call, expected, (config.channels, *size), inputs)


def dropout_masks(options: Mapping[str, Any], size: Sizes, batch: int, seed: int) -> list[Array]:
    """Zeros and ones for every residual block, or none without dropout."""
    config = LatentUnetConfig(**options)
    if not config.dropout:
        return []
    rng = np.random.default_rng(seed)
    kept = [rng.random((batch, *s)) for s in config.dropout_shapes(tuple(size))]
    return [(number >= config.dropout).astype(np.float32) for number in kept]


def shapes(cell: nn.Cell) -> Mapping[str, Shape]:
    """Of the parameters, by name."""
    return {p.name: tuple(p.shape) for p in cell.get_parameters()}


def part(cell: nn.Cell, prefixes: tuple[str, ...]) -> nn.Cell:
    """The same, whose other parameters are no parameters: they have no gradient here."""
    for parameter in cell.get_parameters():
        parameter.requires_grad = parameter.name.startswith(prefixes)
    return cell


KINDS: dict[str, Callable[..., Layer]] = {
    f.__name__: f
    for f in (
        *(group_norm, layer_norm, activation, geglu, cross_attention, low_rank, halving_conv),
        *(time_embedding, spatial_transformer, text, encoder, decoder, divergence, unet),
        *(text_unet, inpainting_unet),
    )
}
