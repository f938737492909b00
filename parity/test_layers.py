"""Each layer of the network, forwards and backwards.

The layers compute in another order than the reference, so that their bounds are those of deep
computations: see ``tolerance.deep``. The backward pass is that of sum(output * cotangent), by the
input and by every parameter.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given

from ddpm_mindspore.accelerated.precision import set_precision
from ddpm_mindspore.parity.examples.layers import LARGE_LAYERS, layer_cases, stock
from ddpm_mindspore.parity.examples.values import Case, first
from ddpm_mindspore.parity.judgement.compare import check, reproducible
from ddpm_mindspore.parity.judgement.tolerance import Arrays, deep
from ddpm_mindspore.parity.report import budget, trace
from ddpm_mindspore.parity.sides import device, layers

KERNELS = device.KERNELS
HEADS: dict[str, tuple[Any, ...]] = {"heads": (2, 1), "dim_head": (4, 3), "sharpness": (8.0, 1.0)}


@pytest.mark.parametrize("case", LARGE_LAYERS, ids=lambda case: case["kind"])
def test_large(case: Case) -> None:
    """layers with as many channels and pixels as those that people train"""
    layer(**case, modes=("eager",))


@pytest.mark.nightly
@pytest.mark.parametrize("case", LARGE_LAYERS, ids=lambda case: case["kind"])
def test_large_compiled(case: Case) -> None:
    """layers of the sizes of training, as graphs that are used twice"""
    layer(**case, draws=2, modes=("compiled",))


@first(stock(kernel=3))
@budget.examples(0.1)
@given(case=layer_cases(kernel=(3, 7, 1), kernels=KERNELS))
def test_conv2d(case: Case) -> None:
    """out[b, o, h, w] = bias[o] + sum weight[o, c, i, j] x[b, c, h + i - r, w + j - r]"""
    layer(kind="conv2d", **case, draws=2)


@first(stock(kernel=4))
@budget.examples(0.1)
@given(case=layer_cases(kernel=(4, 3, 7), kernels=KERNELS))
def test_conv1d(case: Case) -> None:
    """out[b, o, l] = bias[o] + sum weight[o, c, j] x[b, c, s l + j - r], s = 2 if k = 4"""
    layer(kind="conv1d", **case, draws=2)


@budget.examples(0.1)
@given(case=layer_cases())
def test_linear(case: Case) -> None:
    """x W^T + b"""
    layer(kind="linear", **case, draws=2)


@budget.examples(0.1)
@given(case=layer_cases())
def test_gelu(case: Case) -> None:
    """x Phi(x)"""
    layer(kind="gelu", **case, draws=2)


@first(stock())
@budget.examples(0.2)
@given(case=layer_cases(scales=(1.0, 1e-3, 0.0, 1e4), kernels=KERNELS))
def test_rms_norm(case: Case) -> None:
    """sqrt(C) g x / max(||x||, 1e-12), over the channels"""
    layer(kind="rms_norm", **case, draws=2)


@first(stock())
@budget.examples(0.1)
@given(case=layer_cases(kernels=KERNELS))
def test_upsample(case: Case) -> None:
    """every pixel becomes 2 x 2 equal ones, then a 3 x 3 convolution"""
    layer(kind="upsample", **case, draws=2)


@first(stock())
@budget.examples(0.1)
@given(case=layer_cases(kernels=KERNELS))
def test_downsample(case: Case) -> None:
    """every 2 x 2 square of pixels becomes four channels, then a 1 x 1 convolution"""
    layer(kind="downsample", **case, draws=2)


@budget.examples(0.1)
@given(case=layer_cases(scales=(30.0, 1.0, 999.0), theta=(1e4, 100.0)))
def test_sinusoidal_embedding(case: Case) -> None:
    """sin and cos of time theta^(-i / (n - 1))"""
    layer(kind="sinusoidal_embedding", **case, draws=2)


@budget.examples(0.1)
@given(case=layer_cases(scales=(30.0, 1.0, 999.0)))
def test_fourier_embedding(case: Case) -> None:
    """time, then sin and cos of 2 pi time w"""
    layer(kind="fourier_embedding", **case, draws=2)


@first(stock())
@budget.examples(0.1)
@given(case=layer_cases(kernels=KERNELS))
def test_block(case: Case) -> None:
    """silu((scale + 1) norm(conv(x)) + shift)"""
    layer(kind="block", **case, draws=2)


@first(stock(dropout=0.25))
@budget.examples(0.1)
@given(case=layer_cases(dropout=(0.25, 0.0), kernels=KERNELS))
def test_resnet_block(case: Case) -> None:
    """two blocks, the first modulated by time and dropped out, and a way around them"""
    layer(kind="resnet_block", **case, draws=2)


@first(stock(heads=2, dim_head=3, sharpness=8.0))
@budget.examples(0.1)
@given(case=layer_cases(**HEADS, kernels=KERNELS))
def test_linear_attention(case: Case) -> None:
    """(softmax(K) V^T)^T softmax(Q) / sqrt(d), with memory"""
    layer(kind="linear_attention", **case, draws=2)


@first(stock(heads=2, dim_head=3, sharpness=8.0))
@budget.examples(0.1)
@given(case=layer_cases(**HEADS, kernels=KERNELS))
def test_attention(case: Case) -> None:
    """softmax(Q K^T / sqrt(d)) V, with memory"""
    layer(kind="attention", **case, draws=2)


@reproducible
def layer(
    kind: str,
    dims: Sequence[int],
    size: Sequence[int],
    batch: int,
    scale: float,
    seed: int,
    sharpness: float = 1.0,
    level: str = "O0",
    dtype: str = "float32",
    modes: Sequence[str] = device.MODES,
    kernels: str = "auto",
    draws: int = 1,
    **options: Any,
) -> None:
    """Output and gradients of ``layers.<kind>``, from ``dims[0]`` to ``dims[1]`` channels.

    One layer is given the parameters and inputs of the seeds ``seed``, ``seed + 1``, ... in turn,
    ``draws`` of them.
    """
    device.make_room()
    rng = np.random.default_rng(seed)
    with device.kernels(kernels):
        made: layers.Layer = getattr(layers, kind)(rng, dims, size, **options)
    set_precision(made.cell, level, dtype)
    initial = layers.parameters(made.cell)
    for number in range(seed, seed + draws):
        rng = np.random.default_rng(number)
        values = {n: layers.varied(rng, n, x, sharpness) for n, x in initial.items()}
        layers.assign(made.cell, values)
        _compare(kind, options, made, values, batch, scale, number, dtype, modes)


def _compare(
    kind: str,
    options: dict[str, Any],
    made: layers.Layer,
    values: Arrays,
    batch: int,
    scale: float,
    seed: int,
    dtype: str,
    modes: Sequence[str],
) -> None:
    params = {f"{layers.PREFIX}.{name}": value for name, value in values.items()}
    first, *others = made.inputs.items()
    inputs = {first[0]: device.draw(seed, (batch, *first[1]), scale)}
    inputs |= {
        name: device.draw(seed + 3 + i, (batch, *shape)) for i, (name, shape) in enumerate(others)
    }
    masks = [] if made.mask is None else [device.draw(seed, (batch, *made.mask)) > -0.5]
    cotangent = device.draw(seed + 2, (batch, *made.output))
    function = made.in_reference(tuple(inputs), masks, cotangent)
    expected, bounds = deep(function, {**inputs, **params}, dtype)
    if dtype == "float32":
        given = {**inputs, **params, **dict(zip(("mask",), masks, strict=False))}
        given["cotangent"] = cotangent
        results = ({n.replace("d/d", "grad"): x for n, x in v.items()} for v in (expected, bounds))
        trace.note(lambda: (kind, options, given, *results))
    for mode in modes:
        constants = [*(mask.astype(np.float32) for mask in masks), cotangent]
        out, gradients = made.backward(mode, [*inputs.values()], constants)
        names = ["output", *(f"d/d {name}" for name in (*inputs, *params))]
        for name, value in zip(names, (out, *gradients), strict=True):
            check(f"{kind}: {name} ({mode})", value, expected[name], bounds[name], **inputs)
