"""Distances between sets of features: closed forms, unbiasedness, and honest error bars."""

from __future__ import annotations

import math

import numpy as np
import pytest

from ddpm_mindspore.reference.evaluation import kernel as kernels
from ddpm_mindspore.reference.evaluation.comparison import compare, halves
from ddpm_mindspore.reference.evaluation.document import Sets, document
from ddpm_mindspore.reference.evaluation.frechet import (
    frechet_distance,
    gaussian_distance,
    measured,
)
from ddpm_mindspore.reference.evaluation.kernel import kernel_distance
from ddpm_mindspore.reference.evaluation.resampling import Figure, figure, weights


def test_one_dimension_is_the_difference_of_means_and_deviations() -> None:
    args = (np.array([1.0]), np.array([[4.0]]), np.array([-2.0]), np.array([[9.0]]))
    assert gaussian_distance(*args) == pytest.approx(3.0**2 + (2.0 - 3.0) ** 2)


def test_covariances_with_common_axes_add_up_by_axis() -> None:
    rng = np.random.default_rng(0)
    axes = np.linalg.qr(rng.normal(size=(6, 6)))[0]
    a, b = rng.uniform(0, 3, (2, 6))
    a[:3] = b[1:4] = 0.0  # singular, and not in the same directions
    covs = [(axes * deviation**2) @ axes.T for deviation in (a, b)]
    distance = gaussian_distance(np.zeros(6), covs[0], np.ones(6), covs[1])
    assert distance == pytest.approx(6.0 + np.sum((a - b) ** 2), rel=1e-6)


def test_covariances_that_do_not_commute() -> None:
    # In two dimensions tr sqrt(M) = sqrt(tr M + 2 sqrt(det M)), here with M = S_1 S_2.
    s, t = np.array([[2.0, 1.0], [1.0, 3.0]]), np.array([[1.0, -0.5], [-0.5, 4.0]])
    root = np.sqrt(np.trace(s @ t) + 2 * np.sqrt(np.linalg.det(s @ t)))
    expected = np.trace(s) + np.trace(t) - 2 * root
    zero = np.zeros(2)
    assert gaussian_distance(zero, s, zero, t) == pytest.approx(expected, rel=1e-12)
    assert gaussian_distance(zero, t, zero, s) == pytest.approx(expected, rel=1e-12)


def test_samples_of_known_gaussians_come_close_and_equal_sets_are_zero() -> None:
    rng = np.random.default_rng(1)
    x = rng.normal(size=(20_000, 3)) * (1.0, 2.0, 0.0)
    y = rng.normal(size=(20_000, 3)) * (2.0, 2.0, 1.0) + 0.5
    assert frechet_distance(x, y) == pytest.approx(0.75 + 1.0 + 0.0 + 1.0, rel=0.03)
    assert frechet_distance(x, x) == pytest.approx(0.0, abs=1e-10)


def test_fewer_items_than_features_are_measured_as_many_are() -> None:
    rng = np.random.default_rng(2)
    x, y = rng.normal(size=(9, 20)), 1.5 * rng.normal(size=(30, 20)) + 0.1
    expected = gaussian_distance(
        x.mean(0), np.cov(x, rowvar=False), y.mean(0), np.cov(y, rowvar=False)
    )
    assert frechet_distance(x, y) == pytest.approx(expected, rel=1e-8)


def test_the_distance_of_infinitely_many_items_is_without_the_bias_of_few() -> None:
    """Between N(0, 1) and N(0.2, 1.1^2) in 8 dimensions it is 8 (0.2^2 + 0.1^2) = 0.4."""
    found = []
    for seed in range(8):
        rng = np.random.default_rng(seed)
        x, y = rng.normal(size=(250, 8)), 1.1 * rng.normal(size=(250, 8)) + 0.2
        found.append(measured(x, y, seed=seed, replicates=8))
    few = np.array([distance.value for distance, _ in found])
    many = np.array([distance.value for _, distance in found])
    errors = np.array([distance.error for _, distance in found])
    assert few.mean() > 0.5  # the bias is a third of it
    assert many.mean() == pytest.approx(0.4, abs=3 * many.std() / math.sqrt(8))
    # What is said of the spread is the spread that there is.
    assert 0.5 < errors.mean() / many.std(ddof=1) < 2.0


def test_the_same_seed_says_the_same_and_another_something_else() -> None:
    x, y = np.random.default_rng(0).normal(size=(2, 40, 3))
    assert measured(x, y, seed=1, replicates=4) == measured(x, y, seed=1, replicates=4)
    assert measured(x, y, seed=1, replicates=4) != measured(x, y, seed=2, replicates=4)


@pytest.mark.parametrize("shape", [(1, 3), (4,)])
def test_too_few_rows_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="at least 2 rows"):
        frechet_distance(np.zeros(shape), np.zeros((4, 3)))


def test_other_features_are_refused() -> None:
    with pytest.raises(ValueError, match="x has 2 features and y 3"):
        measured(np.zeros((4, 2)), np.zeros((4, 3)))
    with pytest.raises(ValueError, match="do not fit"):
        kernel_distance(np.zeros((4, 2)), np.zeros((4, 3)))


def test_the_kernel_distance_pairs_no_item_with_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kernels, "ROWS", 3)
    rng = np.random.default_rng(3)
    x, y = rng.normal(size=(7, 2)), rng.normal(size=(5, 2)) + 1.0

    def k(a: np.ndarray, b: np.ndarray) -> float:
        return float((a @ b / 2 + 1.0) ** 3)

    among_x = np.mean([k(x[i], x[j]) for i in range(7) for j in range(7) if i != j])
    among_y = np.mean([k(y[i], y[j]) for i in range(5) for j in range(5) if i != j])
    between = np.mean([k(a, b) for a in x for b in y])
    expected = among_x + among_y - 2 * between
    assert kernel_distance(x, y, replicates=4).value == pytest.approx(expected, rel=1e-12)


def test_the_kernel_distance_is_that_of_three_moments() -> None:
    """In one dimension k = sum_j C(3, j) x^j y^j: it is sum_j C(3, j) (E x^j - E y^j)^2."""
    rng = np.random.default_rng(4)
    x, y = rng.normal(size=(20_000, 1)), rng.normal(size=(20_000, 1)) + 0.5
    moments = ((0.5, 3), (0.25, 3), (1.5 + 0.125, 1))  # of N(0.5, 1) less those of N(0, 1)
    expected = sum(times * moment**2 for moment, times in moments)
    found = kernel_distance(x[:1500], y[:1500], replicates=20)
    assert found.value == pytest.approx(expected, abs=4 * found.error)
    same = [kernel_distance(*x[i : i + 100].reshape(2, 50, 1), replicates=0).value
            for i in range(0, 20_000, 100)]  # fmt: skip
    assert np.mean(same) == pytest.approx(0.0, abs=3 * np.std(same) / math.sqrt(200))


def test_replicates_spread_as_the_mean_does() -> None:
    values = np.random.default_rng(5).normal(size=400)
    w = weights(np.random.default_rng(0), 400, 300)
    np.testing.assert_allclose(w.sum(1), 1.0)
    found = figure(w @ values)
    assert found.value == pytest.approx(values.mean())
    assert found.error == pytest.approx(values.std() / 20, rel=0.15)
    low, high = Figure(1.0, 0.5).interval
    assert (low, high) == pytest.approx((0.02, 1.98), abs=1e-4)


def test_real_halves_are_alike_and_shifted_items_are_not() -> None:
    real = np.random.default_rng(6).normal(size=(400, 4))
    one, other = halves(real)
    assert len(one) == len(other) == 200
    assert {*map(tuple, one), *map(tuple, other)} == set(map(tuple, real))
    alike, shifted = compare(one, other, replicates=8), compare(one + 1.0, other, replicates=8)
    assert list(alike) == [
        *("frechet", "frechet_infinity", "kernel"),
        *("precision", "recall", "density", "coverage"),
    ]
    for name in ("frechet_infinity", "kernel"):
        assert abs(alike[name].value) < 4 * alike[name].error
        assert shifted[name].value > 10 * alike[name].error
    for name in ("precision", "recall", "density", "coverage"):
        assert alike[name].value > shifted[name].value + 0.1


def test_a_handful_of_items_says_nothing() -> None:
    with pytest.raises(ValueError, match="15 drawn and 20 real items are too few"):
        compare(np.zeros((15, 2)), np.zeros((20, 2)))


def test_features_that_are_not_finite_are_refused_with_their_item() -> None:
    rng = np.random.default_rng(0)
    items, real = rng.normal(size=(30, 2)), rng.normal(size=(40, 2))

    def broken(x: np.ndarray) -> np.ndarray:
        found = x.copy()
        found[[3, 7]] *= np.inf
        return found

    told = r"^the features of drawn item 3 are not finite \(2 such of 30\): the weights that"
    with pytest.raises(ValueError, match=told):
        document(Sets(items, real), broken, replicates=5)
    real[39, 1] = np.nan
    told = "^the features of training item 39 are not finite: the item holds NaN or infinity itself"
    with pytest.raises(ValueError, match=told):
        document(Sets(items, real), lambda x: x, replicates=5)
