"""Half precision, the scale of the loss, and steps that are left out.

A layer in half precision is compared with the reference in float64; the bound follows from the unit
round-off of that precision, see ``tolerance.deep``. Where the device cannot compute in it, the
property is skipped and says so. What a CPU multiplies in bfloat16 is known exactly: it is compared
with the reference of rounded factors, within the bounds of float32.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given

from ddpm_mindspore.accelerated import precision
from ddpm_mindspore.parity.examples.layers import half_cases, layer_cases, whole_cases
from ddpm_mindspore.parity.examples.training import LEFT_OUT, spoiled_cases
from ddpm_mindspore.parity.examples.values import Case, first
from ddpm_mindspore.parity.judgement.compare import check, reproducible
from ddpm_mindspore.parity.judgement.tolerance import deep
from ddpm_mindspore.parity.report import budget
from ddpm_mindspore.parity.sides import device, layers
from ddpm_mindspore.parity.test_layers import layer
from ddpm_mindspore.parity.test_training import steps
from ddpm_mindspore.reference.precision import to_bfloat16

SIZES: Case = {"dims": (32, 16), "size": (4, 6), "batch": 2, "scale": 1.0, "seed": 0}
LEVELS = (("O1", "bfloat16"), ("O0", "float32"))
WHOLE = [
    {**SIZES, "skip": 16, "recomputed": again, "level": level, "dtype": dtype}
    for again, (level, dtype) in zip((False, True), LEVELS, strict=True)
]
# Of as many pixels as convolutions by Winograd's filtering need.
WHOLE += [{**case, "size": (16, 10)} for case in WHOLE]
# Without a convolution in its shortcut, whose two parts are then added as they are.
WHOLE += [{**WHOLE[1], "dims": (32, 32), "recomputed": again} for again in (False, True)]
# Attention over an even number of keys, and over an odd one.
ATTENTION = [
    {**SIZES, "kind": kind, "heads": 2, "dim_head": 16, "size": size, "level": "O1"}
    for kind in ("attention", "linear_attention")
    for size in ((4, 6), (3, 7))
]


@first(LEFT_OUT)
@budget.examples(0.05)
@given(case=spoiled_cases())
def test_left_out(case: Case) -> None:
    """a scaled loss trains as the loss itself; a step with a NaN changes nothing"""
    steps(**case, modes=("eager",))


@budget.examples(0.05)
@given(case=spoiled_cases())
def test_left_out_compiled(case: Case) -> None:
    """a scaled loss trains as the loss itself; a step with a NaN changes nothing, as graphs"""
    steps(**case, modes=("compiled",))


@budget.examples(0.2)
@given(case=half_cases())
def test_float16(case: Case) -> None:
    """layers whose products, or more, are in float16, forwards and backwards"""
    _need("float16")
    layer(**case, dtype="float16", modes=("eager",))


@first(ATTENTION)
@budget.examples(0.2)
@given(case=half_cases())
def test_bfloat16(case: Case) -> None:
    """layers whose products, or more, are in bfloat16, forwards and backwards"""
    if not _need("bfloat16"):
        case["level"] = "O1"
    layer(**case, dtype="bfloat16", modes=("eager",))


@first(WHOLE)
@budget.examples(0.1)
@given(case=whole_cases())
def test_whole_block(case: Case) -> None:
    """a residual block, its images in bfloat16 or not, in two parts, computed again or not"""
    if case["dtype"] == "bfloat16":
        _need("bfloat16")
    layer(kind="whole_block", **case, modes=("eager",))


@first([{**SIZES, "kernel": None}])
@budget.examples(0.2)
@given(case=layer_cases(kernel=(3, 7, 1, None)))
def test_bfloat16_factors(case: Case) -> None:
    """convolutions and linear maps of float32 arrays, and gradients, with factors in bfloat16"""
    if _need("bfloat16"):
        pytest.skip("this device has arrays of bfloat16")
    factors(**case)


@reproducible
def factors(
    dims: Sequence[int],
    size: Sequence[int],
    batch: int,
    scale: float,
    seed: int,
    kernel: int | None,
    modes: Sequence[str] = device.MODES,
) -> None:
    """x * w + b with both factors rounded; dL/dout is rounded too, where it is multiplied.

    A convolution, or a linear map where ``kernel`` is None.
    """
    rng = np.random.default_rng(seed)
    if kernel is None:
        made = layers.linear(rng, dims, size)
    else:
        made = layers.conv2d(rng, dims, size, kernel)
    precision.set_precision(made.cell, "O1", "bfloat16")
    x = device.draw(seed, (batch, *made.inputs["x"]), scale)
    cotangent = device.draw(seed + 2, (batch, *made.output))
    weight, bias = (f"{layers.PREFIX}.{name}" for name in ("weight", "bias"))
    values = {f"{layers.PREFIX}.{n}": value for n, value in layers.parameters(made.cell).items()}
    rounded = {"x": to_bfloat16(x), weight: to_bfloat16(values[weight]), bias: values[bias]}
    function = made.in_reference(("x",), [], to_bfloat16(cotangent))
    expected, bounds = deep(function, rounded)
    for mode in modes:
        out, gradients = made.backward(mode, [x], [cotangent])
        names = ["output", "d/d x", *(f"d/d {name}" for name in values)]
        for name, value in zip(names, (out, *gradients), strict=True):
            check(f"{name} ({mode})", value, expected[name], bounds[name], x=x)


@device.remembered
def _found(dtype: str) -> tuple[bool, str]:
    try:
        return precision.check_dtype(dtype), ""
    except ValueError as error:
        return False, str(error)


def _need(dtype: str) -> bool:
    """Whether there are arrays of it; skips where nothing is computed in it."""
    arrays, refusal = _found(dtype)
    if refusal:
        pytest.skip(f"not on this device: {refusal.partition(': choose')[0]}")
    return arrays
