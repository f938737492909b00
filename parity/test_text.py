"""The networks that paint from text, their parts first: forwards and backwards.

The backward pass is that of sum(output * cotangent), by the inputs and by every parameter; bounds
are those of deep computations (``tolerance.deep``).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given

from ddpm_mindspore.accelerated.precision import check_dtype, set_precision
from ddpm_mindspore.parity.examples.text import AUTOENCODER, TEXT, UNET, UNETS, WORDS, part_cases
from ddpm_mindspore.parity.examples.values import Case, first
from ddpm_mindspore.parity.judgement.compare import check, reproducible
from ddpm_mindspore.parity.judgement.tolerance import deep
from ddpm_mindspore.parity.report import budget
from ddpm_mindspore.parity.sides import device, text
from ddpm_mindspore.parity.sides.layers import Layer

EAGER = ("eager",)
GROUPS: Case = {"groups": (2, 1, 4), "eps": (1e-5, 1e-6, 0.5), "silu": (False, True)}
BOTH = (("stock", False), ("auto", True))
PART: Case = {"dim": 8, "size": (4, 6), "batch": 2, "scale": 1.0, "seed": 0}


@first([{**PART, "groups": 2, "eps": 0.5, "kernels": k, "silu": s} for k, s in BOTH])
@budget.examples(0.2)
@given(case=part_cases(scales=(1.0, 1e-3, 1e3), **GROUPS, kernels=device.KERNELS))
def test_group_norm(case: Case) -> None:
    """gamma (x - mean) / sqrt(variance + eps) + beta, over a group of channels, and its SiLU"""
    part(kind="group_norm", **case)


@pytest.mark.parametrize("kernels", device.KERNELS)
def test_large(kernels: str) -> None:
    """a group norm over more than 65,536 numbers, as a graph"""
    large: Case = {"dim": 4, "size": (190, 180), "batch": 2, "groups": 2, "eps": 1e-6}
    options: Case = {**PART, **large, "kernels": kernels, "modes": ("compiled",)}
    part(kind="group_norm", **options)


@pytest.mark.parametrize("kernels", device.KERNELS)
def test_large_tokens(kernels: str) -> None:
    """a layer norm of more tokens than share their sums"""
    options: Case = {**PART, "dim": 35, "size": (150, 1), "batch": 3, "kernels": kernels}
    part(kind="layer_norm", **options, eps=1e-5)


@first([{**PART, "eps": 0.5, "kernels": "stock"}])
@budget.examples(0.2)
@given(case=part_cases(scales=(1.0, 1e-3, 1e3), eps=(1e-5, 1e-7, 0.5), kernels=device.KERNELS))
def test_layer_norm(case: Case) -> None:
    """gamma (x - mean) / sqrt(variance + eps) + beta, over the channels of a token"""
    part(kind="layer_norm", **case)


@budget.examples(0.25)
@given(case=part_cases(name=("quick_gelu", "gelu_tanh"), scales=(1.0, 10.0)))
def test_activation(case: Case) -> None:
    """x / (1 + exp(-1.702 x)), and GELU by its approximation with tanh"""
    part(kind="activation", **case)


@budget.examples(0.2)
@given(case=part_cases(gelu=("tanh", "erf"), kernels=device.KERNELS))
def test_geglu(case: Case) -> None:
    """value * gelu(gate), both linear in x"""
    part(kind="geglu", **case)


@budget.examples(0.05)
@given(case=part_cases(heads=(2, 1, 4), scales=(1.0, 8.0), kernels=device.KERNELS))
def test_cross_attention(case: Case) -> None:
    """softmax(Q K^T / sqrt(d)) V, queries of x, keys and values of a context"""
    part(kind="cross_attention", **case)


@budget.examples(0.1)
@given(
    case=part_cases(rank=(2, 1, 5), alpha=(3.0, 0.5), scales=(1.0, 30.0), kernels=device.KERNELS)
)
def test_low_rank(case: Case) -> None:
    """x (W + alpha / rank B A)^T + b, without making that sum of weights"""
    part(kind="low_rank", **case)


@budget.examples(0.25)
@given(case=part_cases(before=(1, 0), kernels=device.KERNELS))
def test_halving_conv(case: Case) -> None:
    """a 3 x 3 convolution at every second pixel, centred there or beginning there"""
    part(kind="halving_conv", **case)


@budget.examples(0.05)
@given(case=part_cases(scales=(30.0, 1.0, 999.0)))
def test_time_embedding(case: Case) -> None:
    """cos, then sin, of time 10000^(-i / n)"""
    part(kind="time_embedding", **case)


@budget.examples(0.05)
@given(case=part_cases(heads=(2, 1), gelu=("tanh", "erf")))
def test_spatial_transformer(case: Case) -> None:
    """x + what attention to pixels and text and a feed-forward layer make of it"""
    part(kind="spatial_transformer", **case)


@budget.examples(0.05)
@given(case=part_cases())
def test_divergence(case: Case) -> None:
    """sum (mean^2 + variance - 1 - log variance) / 2"""
    part(kind="divergence", **case)


def test_transformer() -> None:
    """the states of texts of two lengths, of which no one sees a later token"""
    text_encoder(length=6, seed=0, modes=EAGER)
    text_encoder(length=3, seed=1, modes=EAGER)


def test_encoder() -> None:
    """images to latents: mean + exp(log_variance / 2) noise"""
    coder(kind="encoder", size=(4, 6), seed=0, modes=EAGER)


def test_decoder() -> None:
    """latents to images"""
    coder(kind="decoder", size=(4, 6), seed=0, modes=EAGER)


def test_latent_unet() -> None:
    """the network that a text's states are told, at two times"""
    latent_unet(size=(2, 4), seed=0, modes=EAGER)


def test_text_unet() -> None:
    """the network that is told a text, with the encoder that is trained together with it"""
    text_unet(seed=0, modes=EAGER)


def test_text_unet_adapted() -> None:
    """the same with factors in its attention, and the gradient by them alone"""
    text_unet(seed=0, modes=EAGER, lora_rank=2, lora_alpha=3.0)
    text_unet(seed=1, modes=EAGER, lora_rank=1, lora_text_encoder=True)


def test_inpainting_unet() -> None:
    """the network that is shown a mask and a picture behind x"""
    inpainting_unet(seed=0, modes=EAGER)


@pytest.mark.nightly
@pytest.mark.parametrize("changed", UNETS)
def test_latent_unet_compiled(changed: Case) -> None:
    """the network as a graph that is used twice, for every option"""
    latent_unet(size=(4, 8), seed=0, draws=2, modes=("compiled",), **changed)


@pytest.mark.nightly
def test_others_compiled() -> None:
    """text encoder and autoencoder as graphs that are used twice"""
    text_encoder(length=6, seed=0, draws=2, modes=("compiled",))
    coder(kind="encoder", size=(4, 6), seed=0, draws=2, modes=("compiled",))
    coder(kind="decoder", size=(4, 6), seed=0, draws=2, modes=("compiled",))
    text_unet(seed=0, draws=2, modes=("compiled",))
    text_unet(seed=0, draws=2, modes=("compiled",), lora_rank=2, lora_text_encoder=True)
    inpainting_unet(seed=0, draws=2, modes=("compiled",))


def test_levels() -> None:
    """a spatial transformer with float16 in it, or with products of bfloat16"""
    half(level="O2")
    try:
        check_dtype("bfloat16")
    except ValueError as refusal:
        pytest.skip(f"not on this device: {refusal}")
    half(level="O1", dtype="bfloat16")


@pytest.mark.nightly
@pytest.mark.parametrize("level", ["O1", "O3"])
def test_other_levels(level: str) -> None:
    """the same at the other levels of mixed precision"""
    half(level=level)


@reproducible
def part(
    kind: str,
    dim: int,
    size: Sequence[int],
    batch: int,
    scale: float,
    seed: int,
    level: str = "O0",
    dtype: str = "float32",
    modes: Sequence[str] = EAGER,
    kernels: str = "auto",
    **options: Any,
) -> None:
    """Output and gradients of one of ``text.KINDS`` with ``dim`` channels."""
    with device.kernels(kernels):
        made = text.KINDS[kind](dim, tuple(size), **options)
    set_precision(made.cell, level, dtype)
    _compare(kind, made, batch, [], seed, modes, scale, dtype)


def half(level: str, dtype: str = "float16") -> None:
    """``part`` in half precision."""
    sizes: Case = {"dim": 8, "size": (3, 5), "batch": 2, "scale": 1.0, "seed": 0}
    options: Case = {"heads": 2, "gelu": "tanh", "level": level, "dtype": dtype}
    part(kind="spatial_transformer", **sizes, **options)


@reproducible
def text_encoder(length: int, seed: int, modes: Sequence[str], draws: int = 1) -> None:
    """States and gradients of ``Transformer(**TEXT)`` for texts of this length."""
    made = text.text((length,), **TEXT)
    for number in range(seed, seed + draws):
        drawn = np.random.default_rng(number).integers(0, TEXT["vocabulary"], (2, length))
        _compare("transformer", made, 2, [drawn.astype(np.int32)], number, modes)


@reproducible
def coder(kind: str, size: Sequence[int], seed: int, modes: Sequence[str], draws: int = 1) -> None:
    """Output and gradients of the two halves of ``Autoencoder(**AUTOENCODER)``."""
    made = text.KINDS[kind](tuple(size), **AUTOENCODER)
    for number in range(seed, seed + draws):
        _compare(kind, made, 2, [], number, modes)


@reproducible
def latent_unet(
    size: Sequence[int], seed: int, modes: Sequence[str], draws: int = 1, **changed: Any
) -> None:
    """Output and gradients of ``LatentUnet(**UNET, **changed)``."""
    made = text.unet(tuple(size), (3.0, 500.0), **{**UNET, **changed})
    for number in range(seed, seed + draws):
        masks = text.dropout_masks({**UNET, **changed}, size, 2, number)
        _compare("latent_unet", made, 2, masks, number, modes)


@reproducible
def text_unet(seed: int, modes: Sequence[str], draws: int = 1, **more: Any) -> None:
    """Output and gradients of ``TextUnet(**UNET, **WORDS, **more)``, by all that is trained."""
    made = text.text_unet((2, 4), (3.0, 500.0), **UNET, **WORDS, **more)
    for number in range(seed, seed + draws):
        drawn = np.random.default_rng(number).integers(0, WORDS["vocabulary"], (2, WORDS["length"]))
        _compare("text_unet", made, 2, [drawn.astype(np.int32)], number, modes)


@reproducible
def inpainting_unet(seed: int, modes: Sequence[str], draws: int = 1) -> None:
    """Output and gradients of ``LatentUnet(**UNET, extra_channels=5)`` that is shown the rest."""
    shown = device.draw(seed + 3, (5, 2, 4))
    made = text.inpainting_unet((2, 4), (3.0, 500.0), shown, **UNET)
    for number in range(seed, seed + draws):
        _compare("inpainting_unet", made, 2, [], number, modes)


def _compare(
    kind: str,
    made: Layer,
    batch: int,
    constants: Sequence[device.Array],
    seed: int,
    modes: Sequence[str],
    scale: float = 1.0,
    dtype: str = "float32",
) -> None:
    """``constants`` (the last arguments of both sides) are not differentiated by."""
    values = text.draw(made.cell, seed)
    params = {p.name: values[p.name] for p in made.cell.trainable_params()}
    inputs = {
        name: device.draw(seed + i, (batch, *shape), scale if i == 0 else 1.0)
        for i, (name, shape) in enumerate(made.inputs.items())
    }
    cotangent = device.draw(seed + 7, (batch, *made.output))
    function = made.in_reference(tuple(inputs), constants, cotangent)
    expected, bounds = deep(function, {**inputs, **params}, dtype)
    for mode in modes:
        out, gradients = made.backward(mode, [*inputs.values()], [*constants, cotangent])
        names = ["output", *(f"d/d {name}" for name in (*inputs, *params))]
        for name, value in zip(names, (out, *gradients), strict=True):
            check(f"{kind}: {name} ({mode})", value, expected[name], bounds[name], **inputs)
