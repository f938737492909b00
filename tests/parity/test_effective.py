"""The estimate of what an operator computes in, on emulations of what devices do."""

from __future__ import annotations

from functools import reduce

import numpy as np
import pytest

from ddpm_mindspore.parity import test_effective as properties
from ddpm_mindspore.parity.sides import effective
from ddpm_mindspore.parity.sides.device import Array
from ddpm_mindspore.parity.sides.effective import Precision, Product, precision
from ddpm_mindspore.parity.sides.products import OPERATORS


def rounded(x: Array, bits: int) -> Array:
    """float32 numbers to so many bits after the first one, to the nearest, ties to even."""
    drop = np.uint32(effective.BITS - bits)
    pattern = np.ascontiguousarray(x, np.float32).view(np.uint32)
    half = (np.uint32(1) << drop >> np.uint32(1)) - np.uint32(drop > 0)
    odd = pattern >> drop & np.uint32(drop > 0)
    return ((pattern + half + odd) >> drop << drop).astype(np.uint32).view(np.float32)


def bfloat16(x: Array) -> Array:
    return rounded(x, 7)


def tf32(x: Array) -> Array:
    return rounded(x, 10)


def float16(x: Array) -> Array:
    with np.errstate(over="ignore"):
        return x.astype(np.float16).astype(np.float32)


def float32(x: Array) -> Array:
    return x


def parts(x: Array, w: Array) -> Array:
    """float32 by products of bfloat16 numbers, the smallest of which are left out."""
    high_x, high_w = bfloat16(x), bfloat16(w)
    low_x, low_w = bfloat16(x - high_x), bfloat16(w - high_w)
    rest_x, rest_w = x - high_x - low_x, w - high_w - low_w
    return high_x @ high_w + high_x @ (low_w + rest_w) + (low_x + rest_x) @ high_w


def product(inputs: object, sums: object) -> Product:
    def multiply(x: Array, w: Array) -> Array:
        with np.errstate(invalid="ignore"):
            terms = inputs(x).T[:, :, None] * inputs(w)[:, None, :]  # type: ignore[operator]
            return reduce(lambda a, b: sums(a + b), terms)  # type: ignore[operator, no-any-return]

    return multiply


@pytest.mark.parametrize(
    ("multiply", "name"),
    [
        (np.matmul, "float32"),
        (product(float32, float32), "float32"),
        (product(bfloat16, float32), "bfloat16 inputs, float32 sums"),
        (product(bfloat16, bfloat16), "bfloat16"),
        (product(tf32, float32), "TF32"),
        (product(float16, float32), "float16 inputs, float32 sums"),
        (product(float16, float16), "float16"),
        (product(lambda x: rounded(x, 15), float32), "16-bit inputs, float32 sums"),
        # Who rounds every sum shows no better factors.
        (product(float32, bfloat16), "bfloat16"),
        (parts, "float32 inputs in parts, not all of which are multiplied"),
        (lambda x, w: x @ bfloat16(w), "bfloat16 inputs, float32 sums"),
        (lambda x, w: bfloat16(x) @ w, "bfloat16 inputs, float32 sums"),
    ],
)
def test_what_a_product_computes_in_is_named(multiply: Product, name: str) -> None:
    found = precision(multiply)
    assert found.name == name
    assert found.exact == (name == "float32")


def test_rounding_keeps_what_fits_and_rounds_to_the_nearest() -> None:
    one = np.float32(1)
    np.testing.assert_array_equal(rounded(np.array([1, -3.5, 2.0**-100]), 7), [1, -3.5, 2.0**-100])
    assert bfloat16(one + np.float32(2.0**-9)) == 1
    assert bfloat16(one + np.float32(1.1 * 2.0**-8)) == 1 + 2.0**-7
    assert tf32(one + np.float32(2.0**-10)) == 1 + 2.0**-10


@pytest.mark.filterwarnings("ignore:invalid value")
def test_less_than_float32_is_refused_by_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(OPERATORS, "linear", lambda kernels, x, w: tf32(x) @ tf32(w))
    with pytest.raises(AssertionError, match="linear in TF32"):
        properties.float32(operator="linear")
    with pytest.raises(AssertionError, match="linear copies"):
        properties.copies(operator="linear", count=64, dim=48, seed=0, kernels="auto")


def test_numbers_of_every_kind_are_drawn() -> None:
    x = effective.every_kind_of_number(0, 100_000)
    fraction = x.view(np.uint32) & (2**23 - 1)
    exponent = x.view(np.uint32) >> 23 & 255
    assert np.isfinite(x).all()
    assert len(np.unique(exponent)) == 255
    assert {2**k for k in range(23)} < set(fraction.tolist())
    assert Precision(23, True, 23, True).exact
