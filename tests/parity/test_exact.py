"""Integers whose sums are exact in any order, and what is compared beside them."""

from __future__ import annotations

import threading

import numpy as np
import pytest

from ddpm_mindspore.accelerated import kernels
from ddpm_mindspore.parity.judgement import exact
from ddpm_mindspore.parity.judgement.tolerance import Arrays
from ddpm_mindspore.parity.sides import alone, layers, library
from ddpm_mindspore.parity.sides.library import Call


@pytest.mark.parametrize("terms", [1, 27, 4608, 262_144, 2**24])
def test_as_many_products_as_are_said_fit_into_a_float32(terms: int) -> None:
    largest = exact.most(terms)
    assert terms * largest**2 <= 2**24 < terms * (largest + 1) ** 2
    values = exact.integers(0, {"x": (1000,)}, terms)["x"]
    assert values.dtype == np.float32
    assert set(np.unique(values)) <= set(range(-largest, largest + 1))


def test_more_products_than_fit_are_refused() -> None:
    with pytest.raises(AssertionError, match="do not add up exactly"):
        exact.most(2**24 + 1)


def test_the_terms_of_a_convolution_are_counted() -> None:
    made = layers.conv2d(np.random.default_rng(0), (3, 5), (8, 9), 3)

    def function(arrays: Arrays) -> Arrays:
        compute = made.in_reference(("x",), [], arrays["cotangent"])
        return compute({n: x for n, x in arrays.items() if n != "cotangent"})

    shapes = {n: x.shape for n, x in layers.parameters(made.cell).items()}
    named = {f"layer.{n}": shape for n, shape in shapes.items()}
    images = {"x": (2, 3, 8, 9), "cotangent": (2, 5, 8, 9)}
    assert exact.terms(function, {**images, **named}) == 2 * 8 * 9  # of a bias, by every pixel


def test_sums_in_any_order_are_the_same() -> None:
    rng = np.random.default_rng(0)
    x = exact.integers(0, {"x": (4000,), "y": (4000,)}, 4000)
    products = x["x"] * x["y"]
    sums = {float(np.cumsum(rng.permutation(products), dtype=np.float32)[-1]) for _ in range(50)}
    assert sums == {float(products.astype(np.int64).sum())}


def test_a_unit_scales_what_is_proportional_to_it() -> None:
    arrays = {"x": np.ones(2), "layer.bias": np.ones(2), "layer.weight": np.ones(2)}
    given = exact.with_unit(arrays, 3)
    assert [given[name][0] for name in arrays] == [8, 8, 1]
    names = ("output", "d/d x", "d/d layer.bias", "d/d layer.weight")
    truth, bounds = exact.expected({name: np.ones(1) for name in names}, 3)
    assert [truth[name][0] for name in names] == [8, 1, 1, 8]
    assert set(bounds.values()) == {0.0}
    assert all(bound < 1e-30 for bound in exact.expected(truth, -140)[1].values())


def test_an_operator_that_fails_in_its_own_process_says_so() -> None:
    if not kernels.in_use():
        pytest.skip(f"no compiled operators: {kernels.describe()}")
    x = np.zeros((1, 2, 4, 4), np.float32)
    wrong = Call(
        "convolution", [x, np.zeros((3, 9, 3, 3), np.float32), np.zeros(3, "f")], [x.shape]
    )
    with pytest.raises(RuntimeError, match="convolution failed"):
        library.run([wrong], 1, "DEFAULT")


def test_the_load_ends_with_its_block() -> None:
    before = threading.active_count()
    with alone.load():
        assert threading.active_count() == before + 1
    assert threading.active_count() == before
