"""The first layer of a network that is wrong when it is given what the reference gives it.

Each layer of the device gets the arguments of the reference, in the order of the reference, and its
result (and where asked, its gradients) is compared with a bound of its own. Where every layer is
right, they are joined wrongly.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from mindspore import Tensor, nn, ops

from ...accelerated.networks.unet import Unet
from ...reference.config import UnetConfig
from ...reference.networks import layers as reference
from ...reference.networks.layers import Array as Value
from ...reference.networks.layers import Params
from ..sides import device, network
from ..sides.device import Array
from ..sides.network import Options
from ..sides.parts import Part, parts, worst
from .explain import Finding, source
from .tolerance import Arrays, deep


def of_network(
    net: Options,
    seed: int,
    inputs: Arrays,
    time: Sequence[float],
    masks: Sequence[Array],
    back: bool,
) -> Finding | None:
    """Look at every layer of ``Unet(**net)``; ``back``: at its gradients too.

    Args:
        seed: of the parameters, as ``network.parameters`` takes it.
        inputs: "x", "x_self_cond" if it is shown an estimate, "condition" if it is told a class or
            shown a picture.
        time, masks: as the network takes them.
    """
    values = network.parameters(net, seed)
    cells = network.network(net)
    for part in parts(cells, values, inputs, time, masks):
        if wrong := worst(part, values, back):
            name, share = wrong
            return Finding(
                f"{part.kind} {part.path!r}: {name} is {share:.3g} times its bound when given what "
                "the reference gives it",
                _where(part),
                _alone(net, part, back),
            )
    if _whole(cells, values, inputs, time, masks):
        return _joint(cells, values, inputs, time, masks)
    return None


def _where(part: Part) -> str:
    file = "attention" if part.kind.endswith("Attention") else "layers"
    return source(f"networks/{file}.py", rf"(class|def) {part.kind}\b")


def _call(net: Unet, inputs: Arrays, time: Sequence[float], masks: Sequence[Array]) -> Array:
    images = [Tensor(inputs[name]) for name in network.EACH if name in inputs]
    kept = [Tensor(mask.astype(np.float32)) for mask in masks]
    function = network.forward(net, "x_self_cond" in inputs)
    output: Array = device.arrays(
        function(images[0], Tensor(np.array(time, np.float32)), *images[1:], *kept)
    )
    return output


def _whole(
    net: Unet, values: Arrays, inputs: Arrays, time: Sequence[float], masks: Sequence[Array]
) -> bool:
    """Whether the output of the whole network is beyond its bound."""

    def function(arrays: Arrays) -> Arrays:
        return {"output": network.in_reference(net.config, arrays, time, masks)}

    expected, bounds = deep(function, {**values, **inputs})
    error = np.abs(_call(net, inputs, time, masks) - expected["output"])
    return not float(np.max(error)) <= bounds["output"]


def _joint(
    net: Unet, values: Arrays, inputs: Arrays, time: Sequence[float], masks: Sequence[Array]
) -> Finding | None:
    """The first layer that the network gives something else than the reference does."""
    given: dict[str, Array] = {}
    handles = []

    def noting(path: str) -> Callable[..., None]:
        def note(_: nn.Cell, args: tuple[Tensor, ...]) -> None:
            given.setdefault(path, args[0].asnumpy())

        return note

    cells = dict(net.cells_and_names())
    expected = list(parts(net, values, inputs, time, masks))
    for part in expected:
        if part.cell is not None:
            handles.append(cells[part.path].register_forward_pre_hook(noting(part.path)))
    try:
        _call(net, inputs, time, masks)
    finally:
        for handle in handles:
            handle.remove()
    where = source("networks/unet.py", "def construct")
    for part in expected:
        x = next(iter(part.inputs.values()))
        if part.path in given and _other(given[part.path], x):
            what = f"every layer is right by itself, but {part.kind} {part.path!r} is given other x"
            return Finding(what, where)
    return Finding("every layer is right by itself: they are joined wrongly", where)


def _other(actual: Array, expected: Array) -> bool:
    """Whether two arrays are not the same but for rounding; this only says where to look."""
    if actual.shape != np.shape(expected):
        return True
    size = float(np.max(np.abs(expected), initial=0.0))
    return bool(np.max(np.abs(actual - expected)) > 1e-3 * size)


def _alone(net: Options, part: Part, back: bool) -> str:
    """The line that compares the layer by itself, on the smallest input that shows it, if any."""
    x = next(iter(part.inputs.values()))
    sizes = sorted({(1, 1), (2, 2), (1, 2), *([x.shape[2:]] if x.ndim == 4 else [])})
    if part.kind == "Downsample":
        sizes = [(h, w) for h, w in sizes if h % 2 == w % 2 == 0]
    for batch in sorted({1, 2, len(x)}):
        for size in sizes:
            case: dict[str, Any] = {
                "net": dict(net),
                "path": part.path,
                "batch": batch,
                "size": tuple(map(int, size)),
                "gradients": back,
            }
            try:
                layer(**case)
            except AssertionError:
                args = ", ".join(f"{name}={value!r}" for name, value in case.items())
                module = __name__
                return f"from {module} import layer; layer({args})"
            except Exception:
                continue
    return ""


def layer(net: Options, path: str, batch: int, size: tuple[int, int], gradients: bool) -> None:
    """Compare one layer of ``Unet(**net)``, on drawn input of this size.

    Raises AssertionError when it is beyond its bounds.
    """
    values = network.parameters(net, 0)
    made = network.network(net)
    factor = UnetConfig(**net).downsample_factor
    shape = (batch, made.config.channels, 2 * factor, 2 * factor)
    inputs = {"x": device.draw(0, shape), **network.conditions(net, shape[2:], batch, 0)}
    time = list(np.linspace(1.0, 900.0, batch))
    masks = network.dropout_masks(net, shape[2:], batch, 0)
    (part,) = (p for p in parts(made, values, inputs, time, masks) if p.path == path)
    drawn = {
        name: device.draw(i, (batch, x.shape[1], *size)) if x.ndim == 4 else x
        for i, (name, x) in enumerate(part.inputs.items())
    }
    small = _resized(part, drawn, size)
    if wrong := worst(small, values, gradients):
        raise AssertionError(f"{wrong[0]} of {path} is {wrong[1]:.3g} times its bound")


def _resized(part: Part, inputs: Arrays, size: tuple[int, int]) -> Part:
    """The part with other inputs; a mask is cut to their size."""
    if not part.constants:
        return Part(**{**vars(part), "inputs": inputs})
    # The reference's mask is in its closure: without one, both sides keep everything.
    cell, path = part.cell, part.path
    assert cell is not None

    def on_device(x, embedding):  # type: ignore[no-untyped-def]
        return cell(x, ops.silu(embedding))

    def expected(params: Params, x: Value, embedding: Value) -> Value:
        return reference.resnet_block(params, path, x, embedding)

    changed = {"constants": (), "on_device": on_device, "in_reference": expected}
    return Part(**{**vars(part), "inputs": inputs, **changed})
