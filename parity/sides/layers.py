"""Each layer of the network on both sides, with parameters of equal names."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import autograd.numpy as anp
import mindspore as ms
import numpy as np
from mindspore import Tensor, nn, ops

from ...accelerated.networks import attention as pixel_attention
from ...accelerated.networks import convolutions, operators
from ...accelerated.networks import layers as accelerated
from ...accelerated.precision import cast
from ...accelerated.trainer.recomputation import recompute
from ...reference.networks import layers as reference
from ...reference.networks.layers import Array as Value
from ...reference.networks.layers import Params
from ...reference.training import value_and_grad
from ..judgement.tolerance import Arrays
from . import device
from .device import Array

PREFIX = "layer"
"""What the reference is told the layer is called."""

Shape = tuple[int, ...]
Sizes = Sequence[int]
Rng = np.random.Generator


@dataclass(frozen=True, eq=False)
class Layer:
    """A layer, made twice.

    Attributes:
        cell: holds the parameters.
        call: the device's side: tensors to a tensor.
        reference: ``(params, *arrays)`` to an array, with params named ``layer.weight`` and so on.
        output: the shape of the result for one image.
        inputs: the shape for one image of each array that is differentiated by.
        mask: the shape for one image of the zeros and ones that come last, if any do.
    """

    cell: nn.Cell
    call: Callable[..., Tensor]
    reference: Callable[..., Array]
    output: Shape
    inputs: dict[str, Shape]
    mask: Shape | None = None

    def backward(
        self, mode: str, inputs: Sequence[Array], constants: Sequence[Array]
    ) -> tuple[Array, tuple[Array, ...]]:
        """The output, and the gradients of sum(output * cotangent) by inputs and parameters.

        ``constants`` are the mask, if there is one, and the cotangent.
        """
        (_, output), gradients = device.run(mode, self._gradient, *inputs, *constants)
        return output, _flat(gradients)

    @cached_property
    def _gradient(self) -> Callable[..., Any]:
        def loss(*args):  # type: ignore[no-untyped-def]
            output = cast(self.call(*args[:-1]), ms.float32)
            return (output * args[-1]).sum(), output

        positions = tuple(range(len(self.inputs))) or None
        weights = self.cell.trainable_params() or None
        gradient: Callable[..., Any] = ms.value_and_grad(loss, positions, weights, has_aux=True)
        return gradient

    def in_reference(
        self, inputs: Sequence[str], masks: Sequence[Array], cotangent: Array
    ) -> Callable[[Arrays], Arrays]:
        """The same by name, "output", "d/d x" and so on, of inputs and parameters by name."""

        def function(arrays: Arrays) -> Arrays:
            def output(arrays: Params) -> Value:
                return self.reference(arrays, *(arrays[name] for name in inputs), *masks)

            gradients = value_and_grad(lambda a: anp.sum(output(a) * cotangent), arrays)[1]
            return {"output": output(arrays), **{f"d/d {n}": g for n, g in gradients.items()}}

        return function


def _flat(gradients: Any) -> tuple[Array, ...]:
    """MindSpore nests them by what there is: inputs (one alone, or a tuple), and parameters."""
    if isinstance(gradients, tuple):
        return tuple(part for gradient in gradients for part in _flat(gradient))
    return (gradients,)


def parameters(cell: nn.Cell) -> dict[str, Array]:
    """Copies by name."""
    return {name: p.asnumpy().copy() for name, p in cell.parameters_and_names()}


def assign(cell: nn.Cell, values: Mapping[str, Array]) -> None:
    """In the parameters' own memory: a compiled graph goes on with that which it has run with."""
    for name, parameter in cell.parameters_and_names():
        ops.assign(parameter, Tensor(values[name]))


def varied(rng: Rng, name: str, value: Array, sharpness: float = 1.0) -> Array:
    """An initial value, but gains are not 1, and queries and keys ``sharpness`` times as large."""
    if name.rpartition(".")[2] == "g":
        return value + (0.3 * rng.standard_normal(value.shape)).astype(np.float32)
    return value * np.float32(sharpness if name.endswith("to_qkv.weight") else 1.0)


def conv2d(rng: Rng, dims: Sizes, size: Sizes, kernel: int) -> Layer:
    cell = convolutions.Conv2d(rng, dims[0], dims[1], kernel)
    return _of_images(cell, cell, lambda p, x: reference.conv(p, PREFIX, x), dims, size)


def conv1d(rng: Rng, dims: Sizes, size: Sizes, kernel: int) -> Layer:
    """An even kernel halves the sequence."""
    stride = 2 - kernel % 2

    def expected(p: Params, x: Value) -> Value:
        return reference.conv1d(x, p[f"{PREFIX}.weight"], p[f"{PREFIX}.bias"], stride)

    length = 2 * size[0]
    cell = convolutions.Conv1d(rng, dims[0], dims[1], kernel, stride=stride)
    return Layer(cell, cell, expected, (dims[1], length // stride), {"x": (dims[0], length)})


def linear(rng: Rng, dims: Sizes, size: Sizes) -> Layer:
    def expected(p: Params, x: Value) -> Value:
        return reference.linear(x, p[f"{PREFIX}.weight"], p[f"{PREFIX}.bias"])

    cell = convolutions.Linear(rng, dims[0], dims[1])
    return Layer(cell, cell, expected, (dims[1],), {"x": (dims[0],)})


def gelu(rng: Rng, dims: Sizes, size: Sizes) -> Layer:
    same = (dims[0], dims[0])
    return _of_images(nn.Cell(), accelerated.gelu, lambda p, x: reference.gelu(x), same, size)


def softmax(rng: Rng, dims: Sizes, size: Sizes) -> Layer:
    def expected(p: Params, x: Value) -> Value:
        return reference.softmax(x, axis=-1)

    cell = operators.fastest(operators.Softmax)
    return _of_images(cell, cell, expected, (dims[0], dims[0]), size)


def rms_norm(rng: Rng, dims: Sizes, size: Sizes) -> Layer:
    cell = accelerated.RMSNorm(dims[0])

    def call(x: Tensor) -> Tensor:
        return cell(x.reshape(x.shape[0], x.shape[1], -1)).reshape(x.shape)

    def expected(p: Params, x: Value) -> Value:
        return reference.rms_norm(x, p[f"{PREFIX}.g"])

    return _of_images(cell, call, expected, (dims[0], dims[0]), size)


def upsample(rng: Rng, dims: Sizes, size: Sizes) -> Layer:
    def expected(p: Params, x: Value) -> Value:
        return reference.conv(p, f"{PREFIX}.1", reference.upsample_nearest(x))

    cell = accelerated.Upsample(rng, dims[0], dims[1])
    shape = (dims[1], 2 * size[0], 2 * size[1])
    return Layer(cell, cell, expected, shape, {"x": (dims[0], *size)})


def downsample(rng: Rng, dims: Sizes, size: Sizes) -> Layer:
    def expected(p: Params, x: Value) -> Value:
        return reference.conv(p, f"{PREFIX}.1", reference.pixel_unshuffle(x))

    cell = accelerated.Downsample(rng, dims[0], dims[1])
    shape = (dims[0], 2 * size[0], 2 * size[1])
    return Layer(cell, cell, expected, (dims[1], *size), {"x": shape})


def sinusoidal_embedding(rng: Rng, dims: Sizes, size: Sizes, theta: float) -> Layer:
    def expected(p: Params, time: Value) -> Value:
        return reference.sinusoidal_embedding(time, 2 * dims[0], theta)

    cell = accelerated.SinusoidalPosEmb(2 * dims[0], theta)
    return Layer(cell, cell, expected, (2 * dims[0],), {"time": ()})


def fourier_embedding(rng: Rng, dims: Sizes, size: Sizes) -> Layer:
    def expected(p: Params, time: Value) -> Value:
        return reference.fourier_embedding(time, p[f"{PREFIX}.weights"])

    cell = accelerated.RandomOrLearnedSinusoidalPosEmb(rng, 2 * dims[0], learned=True)
    return Layer(cell, cell, expected, (2 * dims[0] + 1,), {"time": ()})


def block(rng: Rng, dims: Sizes, size: Sizes) -> Layer:
    def call(x: Tensor, scale: Tensor, shift: Tensor) -> Tensor:
        return cell(x, ops.concat((scale, shift), 1).reshape(x.shape[0], -1))

    def expected(p: Params, x: Value, scale: Value, shift: Value) -> Value:
        return reference.block(p, PREFIX, x, (scale, shift))

    cell = accelerated.Block(rng, dims[0], dims[1])
    column = (dims[1], 1, 1)
    inputs = {"x": (dims[0], *size), "scale": column, "shift": column}
    return Layer(cell, call, expected, (dims[1], *size), inputs)


def resnet_block(rng: Rng, dims: Sizes, size: Sizes, dropout: float) -> Layer:
    def call(x: Tensor, embedding: Tensor, keep: Tensor) -> Tensor:
        return cell(x, ops.silu(embedding), keep)

    def expected(p: Params, x: Value, embedding: Value, keep: Value) -> Value:
        return reference.resnet_block(p, PREFIX, x, embedding, keep, dropout)

    time_dim = 6
    cell = accelerated.ResnetBlock(rng, dims[0], dims[1], time_dim, dropout)
    inputs = {"x": (dims[0], *size), "embedding": (time_dim,)}
    shape = (dims[1], *size)
    return Layer(cell, call, expected, shape, inputs, mask=shape)


def whole_block(rng: Rng, dims: Sizes, size: Sizes, skip: int, recomputed: bool = False) -> Layer:
    """A residual block without dropout, of whose channels the last ``skip`` are given apart.

    ``recomputed``: what its gradients need is computed a second time.
    """

    def call(x: Tensor, embedding: Tensor, *more: Tensor) -> Tensor:
        return cell(x, ops.silu(embedding), None, *more)

    def expected(p: Params, x: Value, embedding: Value, *more: Value) -> Value:
        return reference.resnet_block(p, PREFIX, anp.concatenate((x, *more), 1), embedding)

    time_dim = 6
    cell = accelerated.ResnetBlock(rng, dims[0], dims[1], time_dim)
    if recomputed:
        recompute(cell)
    inputs = {"x": (dims[0] - skip, *size), "embedding": (time_dim,)}
    if skip:
        inputs["skip"] = (skip, *size)
    return Layer(cell, call, expected, (dims[1], *size), inputs)


def linear_attention(rng: Rng, dims: Sizes, size: Sizes, heads: int, dim_head: int) -> Layer:
    def expected(p: Params, x: Value) -> Value:
        return reference.linear_attention(p, PREFIX, x)

    cell = pixel_attention.LinearAttention(rng, dims[0], heads, dim_head)
    return _of_images(cell, cell, expected, (dims[0], dims[0]), size)


def attention(rng: Rng, dims: Sizes, size: Sizes, heads: int, dim_head: int) -> Layer:
    def expected(p: Params, x: Value) -> Value:
        return reference.attention(p, PREFIX, x)

    cell = pixel_attention.Attention(rng, dims[0], heads, dim_head)
    return _of_images(cell, cell, expected, (dims[0], dims[0]), size)


def _of_images(
    cell: nn.Cell,
    call: Callable[..., Tensor],
    expected: Callable[..., Array],
    dims: Sizes,
    size: Sizes,
) -> Layer:
    return Layer(cell, call, expected, (dims[1], *size), {"x": (dims[0], *size)})
