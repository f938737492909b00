"""Operators that only multiply and add, on integers: bit for bit, at any size.

Any difference is a bug: there is no rounding that could excuse it. See ``exact``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given

from ddpm_mindspore.parity.examples.operators import LARGE_SUMS, TRANSPOSES, sum_cases
from ddpm_mindspore.parity.examples.values import Case
from ddpm_mindspore.parity.judgement import exact
from ddpm_mindspore.parity.judgement.compare import check, reproducible
from ddpm_mindspore.parity.judgement.tolerance import Arrays
from ddpm_mindspore.parity.report import budget
from ddpm_mindspore.parity.sides import device, layers
from ddpm_mindspore.parity.sides.layers import Layer


@pytest.mark.parametrize("case", LARGE_SUMS, ids=lambda case: case["kind"])
def test_large(case: Case) -> None:
    """operators and their gradients at the sizes of training, and beyond 65,536 an axis"""
    sums(**case, modes=("eager",))


@budget.examples(0.15)
@given(case=sum_cases("conv2d", kernel=(3, 7, 1, 5), kernels=device.KERNELS))
def test_conv2d(case: Case) -> None:
    """out[b, o, h, w] = bias[o] + sum weight[o, c, i, j] x[b, c, h + i - r, w + j - r]"""
    sums(**case)


@budget.examples(0.1)
@given(case=sum_cases("linear"))
def test_linear(case: Case) -> None:
    """x W^T + b"""
    sums(**case)


@budget.examples(0.1)
@given(case=sum_cases("upsample", kernels=device.KERNELS))
def test_upsample(case: Case) -> None:
    """every pixel becomes 2 x 2 equal ones, then a 3 x 3 convolution"""
    sums(**case)


@budget.examples(0.1)
@given(case=sum_cases("downsample", kernels=device.KERNELS))
def test_downsample(case: Case) -> None:
    """every 2 x 2 square of pixels becomes four channels, then a 1 x 1 convolution"""
    sums(**case)


@budget.examples(0.2)
@given(case=sum_cases("product", transpose=TRANSPOSES))
def test_product(case: Case) -> None:
    """A B, with either or both of them transposed, many at a time"""
    sums(**case)


@reproducible
def sums(
    kind: str,
    dims: Sequence[int],
    size: Sequence[int],
    batch: int,
    seed: int,
    power: int = 0,
    kernels: str = "auto",
    draws: int = 1,
    modes: Sequence[str] = device.MODES,
    **options: Any,
) -> None:
    """Output and gradients of ``layers.<kind>`` or ``exact.<kind>``; x is a multiple of 2^power.

    One layer is given the integers of the seeds ``seed``, ``seed + 1``, ... in turn, ``draws`` of
    them.
    """
    device.make_room()
    make = getattr(layers, kind, None) or getattr(exact, kind)
    with device.kernels(kernels):
        made: Layer = make(np.random.default_rng(seed), dims, size, **options)
    params = {f"{layers.PREFIX}.{n}": x.shape for n, x in layers.parameters(made.cell).items()}
    inputs = {name: (batch, *shape) for name, shape in made.inputs.items()}
    output = (batch, *made.output)
    names = ["output", *(f"d/d {name}" for name in (*inputs, *params))]

    def function(arrays: Arrays) -> Arrays:
        compute = made.in_reference(tuple(inputs), [], arrays["cotangent"])
        return compute({name: x for name, x in arrays.items() if name != "cotangent"})

    shapes = {**inputs, **params, "cotangent": output}
    terms = exact.terms(function, shapes)
    for number in range(seed, seed + draws):
        arrays = exact.integers(number, shapes, terms)
        expected, bounds = exact.expected(function(arrays), power)
        given = exact.with_unit(arrays, power)
        layers.assign(made.cell, {n.partition(".")[2]: given[n] for n in params})
        for mode in modes:
            x = [given[name] for name in inputs]
            out, gradients = made.backward(mode, x, [given["cotangent"]])
            for name, value in zip(names, (out, *gradients), strict=True):
                check(f"{kind}: {name} ({mode})", value, expected[name], bounds[name], **arrays)
