"""The layers of a network one by one, each with what the reference gives it.

The reference runs, and every call of a layer that the network makes is noted down with its
arguments. ``worst`` compares one of them, alone, with a bound of its own.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any
from unittest import mock

import mindspore as ms
import numpy as np
from autograd.tracer import getval
from mindspore import Tensor, nn, ops

from ...accelerated.networks import layers as accelerated
from ...accelerated.networks.unet import Unet
from ...reference.networks import layers as reference
from ...reference.networks.layers import Array as Value
from ...reference.networks.layers import Params
from ...reference.training import value_and_grad
from ..judgement.tolerance import Arrays, deep
from . import device, network
from .device import Array

TRACED = (
    "conv",
    "resnet_block",
    "attention",
    "linear_attention",
    "class_embedding",
    "sinusoidal_embedding",
    "fourier_embedding",
    "linear",
    "gelu",
    "pixel_unshuffle",
    "upsample_nearest",
)


@dataclass(frozen=True, eq=False)
class Part:
    """A layer as the network calls it.

    Attributes:
        path: of its cell: "downs.0.2", and "time_mlp.2" for what has none.
        kind: the class of the cell, or the function.
        inputs: arrays that are differentiated by.
        constants: the dropout mask, if there is one.
        on_device: tensors (inputs, constants) to a tensor.
        in_reference: parameters by name and arrays to an array.
    """

    path: str
    kind: str
    inputs: Arrays
    constants: tuple[Array, ...]
    cell: nn.Cell | None
    on_device: Callable[..., Tensor]
    in_reference: Callable[..., Array]


def parts(
    net: Unet, values: Arrays, inputs: Arrays, time: Sequence[float], masks: Sequence[Array]
) -> Iterator[Part]:
    """The layers in the order in which the reference calls them, with what it gives them."""
    cells = dict(net.cells_and_names())
    before: Array | None = None
    linear = iter(("time_mlp.1", "time_mlp.3", "classes_mlp.0", "classes_mlp.2"))
    gelu = iter(("time_mlp.2", "classes_mlp.1"))
    for function, args in trace(net, values, inputs, time, masks):
        if function in ("pixel_unshuffle", "upsample_nearest"):
            before = args[0]
            continue
        if function == "linear":
            path = next(linear)
            yield _linear(path, cells[path], args[0])
        elif function == "gelu":
            path = next(gelu)
            yield _plain(path, "gelu", args[0], None, accelerated.gelu, reference.gelu)
        elif function == "class_embedding":
            yield _classes(cells["classes_emb"], args[0])
        elif function.endswith("embedding"):
            yield _embedding(net, cells["time_mlp.0"], function, args)
        elif function == "resnet_block":
            yield _resnet(args[1], cells[args[1]], args[2:])
        elif function.endswith("attention"):
            yield _attention(args[1], cells[args[1]], function, args[2])
        elif before is not None:
            path = args[1].removesuffix(".1")
            yield _scaled(path, cells[path], before)
            before = None
        else:
            yield _convolution(args[1], cells[args[1]], args[2])


def trace(
    net: Unet, values: Arrays, inputs: Arrays, time: Sequence[float], masks: Sequence[Array]
) -> list[tuple[str, tuple[Any, ...]]]:
    """(function, arguments) of the layers that the reference's network itself calls, in float64."""
    calls: list[tuple[str, tuple[Any, ...]]] = []
    depth = 0

    def noting(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any) -> Any:
            nonlocal depth
            if depth == 0:
                calls.append((name, args))
            depth += 1
            try:
                return function(*args)
            finally:
                depth -= 1

        return call

    arrays = {name: x.astype(np.float64) for name, x in {**values, **inputs}.items()}
    with contextlib.ExitStack() as stack:
        for name in TRACED:
            patch = mock.patch.object(reference, name, noting(name, getattr(reference, name)))
            stack.enter_context(patch)
        network.in_reference(net.config, arrays, np.asarray(time), masks)
    return calls


def _plain(
    path: str,
    kind: str,
    x: Array,
    cell: nn.Cell | None,
    on_device: Callable[..., Tensor],
    in_reference: Callable[[Array], Array],
) -> Part:
    """Of one array, and without parameters."""
    return Part(path, kind, {"x": x}, (), cell, on_device, lambda params, x: in_reference(x))


def _embedding(net: Unet, cell: nn.Cell, function: str, args: tuple[Any, ...]) -> Part:
    kind = type(cell).__name__

    def expected(params: Params, time: Array) -> Value:
        if function == "fourier_embedding":
            return reference.fourier_embedding(time, params["time_mlp.0.weights"])
        return reference.sinusoidal_embedding(time, *args[1:])

    return Part("time_mlp.0", kind, {"time": args[0]}, (), cell, cell, expected)


def _classes(cell: nn.Cell, labels: Array) -> Part:
    """The table of classes; labels are floats near whole numbers, as everything that is given."""

    def on_device(labels: Tensor) -> Tensor:
        return cell(ops.cast(ops.round(ops.stop_gradient(labels)), ms.int32))

    def expected(params: Params, labels: Value) -> Value:
        return reference.class_embedding(np.rint(getval(labels)), params["classes_emb.weight"])

    return Part("classes_emb", "Embedding", {"labels": labels}, (), cell, on_device, expected)


def _linear(path: str, cell: nn.Cell, x: Array) -> Part:
    def expected(params: Params, x: Array) -> Value:
        return reference.linear(x, params[f"{path}.weight"], params[f"{path}.bias"])

    return Part(path, "Linear", {"x": x}, (), cell, cell, expected)


def _convolution(path: str, cell: nn.Cell, x: Array) -> Part:
    def expected(params: Params, x: Array) -> Value:
        return reference.conv(params, path, x)

    return Part(path, type(cell).__name__, {"x": x}, (), cell, cell, expected)


def _scaled(path: str, cell: nn.Cell, x: Array) -> Part:
    down = isinstance(cell, accelerated.Downsample)

    def expected(params: Params, x: Array) -> Value:
        other = reference.pixel_unshuffle(x) if down else reference.upsample_nearest(x)
        return reference.conv(params, f"{path}.1", other)

    return Part(path, type(cell).__name__, {"x": x}, (), cell, cell, expected)


def _resnet(path: str, cell: nn.Cell, args: tuple[Any, ...]) -> Part:
    x, embedding, keep, dropout = args

    def on_device(x, embedding, *keep):  # type: ignore[no-untyped-def]
        return cell(x, ops.silu(embedding), *keep)

    def expected(params: Params, x: Array, embedding: Array) -> Value:
        return reference.resnet_block(params, path, x, embedding, keep, dropout)

    constants = () if keep is None else (np.asarray(keep, np.float32),)
    inputs = {"x": x, "embedding": embedding}
    return Part(path, "ResnetBlock", inputs, constants, cell, on_device, expected)


def _attention(path: str, cell: nn.Cell, function: str, x: Array) -> Part:
    def expected(params: Params, x: Array) -> Value:
        return getattr(reference, function)(params, path, x)

    return Part(path, type(cell).__name__, {"x": x}, (), cell, cell, expected)


def worst(part: Part, values: Arrays, back: bool) -> tuple[str, float] | None:
    """The first result of a layer that is beyond its bound, and how far, if any is."""
    inputs = {name: np.asarray(x, np.float32) for name, x in part.inputs.items()}
    own = {n: v for n, v in values.items() if n.startswith(f"{part.path}.")}
    rng = np.random.default_rng(0)

    def output(arrays: Params) -> Value:
        return part.in_reference(arrays, *(arrays[name] for name in inputs))

    shape = output({**inputs, **own}).shape
    cotangent = rng.standard_normal(shape).astype(np.float32)

    def function(arrays: Arrays) -> Arrays:
        results = {"output": output(arrays)}
        if back:
            grads = value_and_grad(lambda a: np.sum(output(a) * cotangent), arrays)[1]
            results |= {f"d/d {name}": grad for name, grad in grads.items()}
        return results

    expected, bounds = deep(function, {**inputs, **own})
    for name, value in _on_device(part, inputs, own, cotangent, back).items():
        error = np.abs(value.astype(np.float64) - expected[name])
        share = float(np.max(np.where(np.isnan(error), np.inf, error)) / max(bounds[name], 1e-300))
        if share > 1.0:
            return name, share
    return None


def _on_device(part: Part, inputs: Arrays, own: Arrays, cotangent: Array, back: bool) -> Arrays:
    arrays = [Tensor(array) for array in (*inputs.values(), *part.constants)]
    if not back:
        return {"output": device.arrays(part.on_device(*arrays))}

    def loss(*args):  # type: ignore[no-untyped-def]
        result = part.on_device(*args[:-1])
        return (result * args[-1]).sum(), result

    weights = [] if part.cell is None else list(part.cell.trainable_params())
    names = [*inputs, *(p.name for p in weights)]
    positions = tuple(range(len(inputs)))
    grad = ms.value_and_grad(loss, positions, weights or None, has_aux=True)
    (_, result), gradients = grad(*arrays, Tensor(cotangent))
    flat = _flat(device.arrays(gradients))
    own_names = [f"d/d {name}" for name in names]
    return {"output": device.arrays(result), **dict(zip(own_names, flat, strict=True))}


def _flat(gradients: Any) -> tuple[Array, ...]:
    if isinstance(gradients, tuple):
        return tuple(part for gradient in gradients for part in _flat(gradient))
    return (gradients,)
