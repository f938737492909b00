"""The bounds, against errors that float32 arithmetic really makes, and the comparison itself."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ddpm_mindspore.parity.judgement.compare import LEDGER, Ledger, check, reproducible
from ddpm_mindspore.parity.judgement.tolerance import (
    DEEP_FACTOR,
    SMALLEST_NORMAL,
    UNIT_ROUNDOFF,
    Arrays,
    deep,
    elementwise,
    gamma,
)


@pytest.mark.parametrize("dtype", ["float64", "float32", "float16"])
def test_unit_roundoff_is_half_the_distance_from_one_to_the_next_number(dtype: str) -> None:
    assert UNIT_ROUNDOFF[dtype] == np.finfo(dtype).eps / 2
    assert SMALLEST_NORMAL[dtype] == np.finfo(dtype).tiny


def test_bfloat16_keeps_eight_bits_of_float32() -> None:
    assert UNIT_ROUNDOFF["bfloat16"] == 2.0**-8
    assert SMALLEST_NORMAL["bfloat16"] == SMALLEST_NORMAL["float32"]


@pytest.mark.parametrize("count", [1, 3, 100])
def test_gamma_is_little_more_than_count_times_u(count: int) -> None:
    u = UNIT_ROUNDOFF["float32"]
    assert count * u < gamma(count) < count * u * (1 + 2 * count * u)


@given(st.integers(0, 2**32), st.sampled_from(["float32", "float16"]), st.integers(2, 40))
def test_a_dot_product_stays_within_its_bound(seed: int, dtype: str, n: int) -> None:
    a, b = np.random.default_rng(seed).standard_normal((2, n)).astype(dtype)
    total = a.dtype.type(0)
    for x, y in zip(a, b, strict=True):
        total = total + x * y
    terms = a.astype(np.float64) * b.astype(np.float64)
    assert abs(float(total) - terms.sum()) <= elementwise(n, *terms, dtype=dtype)


def test_a_dot_product_can_come_near_its_bound() -> None:
    # Each addition of u to 1 is rounded away: n roundings, each as large as can be.
    u = np.float32(UNIT_ROUNDOFF["float32"])
    terms = np.array([1.0] + [u] * 50, np.float32)
    total = np.float32(0)
    for term in terms:
        total = total + term
    error = abs(float(total) - terms.sum(dtype=np.float64))
    bound = elementwise(50, *terms)
    assert 0.9 * bound < error <= bound


def test_a_bound_allows_flushing_tiny_numbers_to_zero_and_no_more() -> None:
    tiny = SMALLEST_NORMAL["float32"]
    assert elementwise(2, 0.0) == 2 * tiny
    assert elementwise(1, tiny / 2) >= tiny / 2


@reproducible
def shifted(by: float, shape: tuple[int, ...] = (2, 3)) -> None:
    check("x + by", np.full(shape, by), np.zeros(shape), 1.0, by=by)


def test_what_is_within_its_bound_is_recorded() -> None:
    LEDGER.start("node")
    shifted(by=0.25)
    shifted(by=0.75)
    shifted(by=0.5)
    record = LEDGER.records["node"]
    assert (record.cases, record.worst_share) == (3, 0.75)
    assert record.worst_example == "x + by: by=0.75"
    line = "from ddpm_mindspore.parity.test_tolerance import shifted; shifted(by=0.75)"
    assert record.reproduce == line


def test_a_failure_names_the_element_and_ends_with_a_line_that_repeats_it() -> None:
    LEDGER.start("node")
    with pytest.raises(AssertionError) as failure:
        shifted(by=-3.0)
    first, *middle, last = str(failure.value).splitlines()
    assert first == "x + by"
    assert "[0, 0]" in middle[0] and "-3" in middle[0]
    assert "error 3 is 3 times its bound 1; 6 of 6 values" in middle[1]
    assert last.endswith("import shifted; shifted(by=-3.0)")
    assert LEDGER.records["node"].worst_share == 3.0


def test_the_last_failure_is_kept() -> None:
    ledger = Ledger()
    ledger.start("node")
    for share in (0.5, 5.0, 2.0, 0.9):
        ledger.enter(f"share {share}", "")
        ledger.note("x", share)
    assert ledger.records["node"].worst_share == 2.0
    assert ledger.records["node"].cases == 4


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_what_is_no_number_fails(value: float) -> None:
    with pytest.raises(AssertionError, match="times its bound"):
        check("x", np.array([value]), np.zeros(1), np.inf if np.isnan(value) else 1.0)


def test_a_bound_of_zero_allows_equality_alone() -> None:
    check("x", np.ones(3), np.ones(3), 0.0)
    with pytest.raises(AssertionError):
        check("x", np.ones(3) + 1e-15, np.ones(3), 0.0)


def test_another_shape_fails() -> None:
    with pytest.raises(AssertionError, match=r"shape \(3, 1\), the reference \(3,\)"):
        check("x", np.zeros((3, 1)), np.zeros(3), 1.0)


def test_an_error_of_the_device_is_a_failure_with_its_line() -> None:
    @reproducible
    def broken(size: int) -> None:
        raise RuntimeError("no kernel")

    LEDGER.start("node")
    with pytest.raises(RuntimeError):
        broken(size=2)
    record = LEDGER.records["node"]
    assert record.worst_share == np.inf
    assert record.reproduce.endswith("broken(size=2)")


def test_the_yardstick_of_a_deep_computation_is_the_error_of_float32() -> None:
    # 1 + x - 1 in float32 loses what of x is below the last bit of 1; the truth is x.
    x = np.array([1e-4, -3e-5], np.float32)

    def function(arrays: Arrays) -> Arrays:
        return {"y": arrays["x"] + arrays["x"].dtype.type(1) - arrays["x"].dtype.type(1)}

    truth, bounds = deep(function, {"x": x})
    error = np.abs(function({"x": x})["y"] - x.astype(np.float64)).max()
    u = UNIT_ROUNDOFF["float32"]
    assert np.abs(truth["y"] - x).max() < 1e-15
    assert DEEP_FACTOR * error <= bounds["y"] <= DEEP_FACTOR * (u + 2 * u * 1e-4)


def test_a_result_that_is_exact_in_float32_may_still_be_rounded_once() -> None:
    _, bounds = deep(lambda arrays: {"y": 0.0 * arrays["x"] + 2.0}, {"x": np.ones(3, np.float32)})
    assert bounds["y"] == DEEP_FACTOR * 2.0 * UNIT_ROUNDOFF["float32"]
