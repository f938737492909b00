"""Layers that are made once and called again and again, with inputs that are functions of a seed.

Each with the truth, and a bound from ``tolerance.deep``, about its output and its gradients.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from typing import Any

import numpy as np
from mindspore import Tensor

from ..judgement.tolerance import Arrays, deep
from . import device, layers
from .device import Array
from .layers import PREFIX, Layer

HEADS = {"heads": 2, "dim_head": 8}
OPTIONS: dict[str, dict[str, Any]] = {
    "conv2d": {"kernel": 3},
    "linear": {},
    "gelu": {},
    "softmax": {},
    "rms_norm": {},
    "upsample": {},
    "downsample": {},
    "block": {},
    "resnet_block": {"dropout": 0.0},
    "linear_attention": HEADS,
    "attention": HEADS,
}
"""Every kind of layer, and what else it needs to be told."""

DIMS, SIZE = (24, 24), (11, 9)
"""So large that a convolution is shared among threads, and of no power of two."""


@device.remembered
def made(kind: str, kernels: str) -> Layer:
    """The layer of this kind: one object."""
    rng = np.random.default_rng(0)
    with device.kernels(kernels):
        layer: Layer = getattr(layers, kind)(rng, DIMS, SIZE, **OPTIONS[kind])
    initial = layers.parameters(layer.cell)
    layers.assign(layer.cell, {n: layers.varied(rng, n, x) for n, x in initial.items()})
    return layer


def arguments(layer: Layer, batch: int, seed: int) -> tuple[list[Array], list[Array]]:
    """Inputs; and what is constant: a mask that keeps everything, and the cotangent."""
    shapes = enumerate(layer.inputs.values())
    inputs = [device.draw(seed + 10 * i, (batch, *shape)) for i, shape in shapes]
    masks = [] if layer.mask is None else [np.ones((batch, *layer.mask), np.float32)]
    return inputs, [*masks, device.draw(seed + 5, (batch, *layer.output))]


def results(layer: Layer, inputs: list[Array], constants: list[Array]) -> Arrays:
    """Output and gradients on the device, by name."""
    out, gradients = layer.backward("eager", inputs, constants)
    params = (f"{PREFIX}.{name}" for name in layers.parameters(layer.cell))
    names = ["output", *(f"d/d {name}" for name in (*layer.inputs, *params))]
    return dict(zip(names, (out, *gradients), strict=True))


def output(layer: Layer, inputs: list[Any], constants: list[Array]) -> Array:
    """The output alone, without gradients."""
    masks = [] if layer.mask is None else constants[:1]
    value: Array = layer.call(*(Tensor(x) for x in (*inputs, *masks))).asnumpy()
    return value


@device.remembered
def truth(kind: str, kernels: str, batch: int, seed: int) -> tuple[Arrays, dict[str, float]]:
    """What ``results`` ought to be, and the bounds."""
    layer = made(kind, kernels)
    inputs, (*masks, cotangent) = arguments(layer, batch, seed)
    params = {f"{PREFIX}.{n}": x for n, x in layers.parameters(layer.cell).items()}
    function = layer.in_reference(tuple(layer.inputs), masks, cotangent)
    return deep(function, {**dict(zip(layer.inputs, inputs, strict=True)), **params})


@contextlib.contextmanager
def load() -> Iterator[None]:
    """Within it, another thread of this process keeps a processor busy."""
    ended = threading.Event()
    matrix = np.ones((200, 200), np.float32)

    def work() -> None:
        while not ended.is_set():
            np.matmul(matrix, matrix)

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
