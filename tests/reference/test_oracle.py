"""The exact denoisers against numerical integration and against direct formulas."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from ddpm_mindspore.reference.oracle import Mixture, gaussian
from ddpm_mindspore.reference.process import q_sample
from ddpm_mindspore.reference.schedule import SCHEDULES, make_schedule

Array = NDArray[np.float64]
every_name = pytest.mark.parametrize("name", SCHEDULES)


def covariance(rng: np.random.Generator, size: int) -> Array:
    root = rng.standard_normal((size, size))
    return root @ root.T / size


def mixture(size: int = 3, count: int = 4) -> Mixture:
    rng = np.random.default_rng(3)
    covs = np.stack([covariance(rng, size) for _ in range(count)])
    weights = np.arange(1.0, count + 1)
    return Mixture(weights / weights.sum(), rng.standard_normal((count, size)), covs)


@every_name
def test_gaussian_denoiser_is_linear_regression(name: str) -> None:
    """mu + Cov(x_0, x_t) Var(x_t)^{-1} (x_t - E x_t), with the matrices written out."""
    rng = np.random.default_rng(0)
    mean, cov = rng.standard_normal(5), covariance(rng, 5)
    schedule = make_schedule(name, 40)
    t = np.array([1, 2, 17, 39, 40])
    x_t = rng.standard_normal((5, 5))
    found = gaussian(mean, cov).predict_x0(schedule, x_t, t)
    for i in range(5):
        a = schedule.alpha_bar[t[i]]
        gain = np.sqrt(a) * cov @ np.linalg.inv(a * cov + (1 - a) * np.eye(5))
        expected = mean + gain @ (x_t[i] - np.sqrt(a) * mean)
        np.testing.assert_allclose(found[i], expected, rtol=1e-9, atol=1e-12)


@every_name
def test_mixture_denoiser_is_bayes_rule_in_one_dimension(name: str) -> None:
    """E[x_0 | x_t] by integrating over x_0."""
    oracle = Mixture(np.array([0.3, 0.7]), np.array([[-1.0], [0.5]]), np.array([[[0.04]], [[0.2]]]))
    schedule = make_schedule(name, 40)
    x_0 = np.linspace(-8, 8, 200_001)
    prior = 0.3 * stats.norm.pdf(x_0, -1, 0.2) + 0.7 * stats.norm.pdf(x_0, 0.5, 0.2**0.5)
    for t in (1, 5, 20, 40):
        for x_t in (-1.5, -0.2, 0.0, 1.0):
            root, sigma = schedule.sqrt_alpha_bar[t], schedule.sqrt_one_minus_alpha_bar[t]
            posterior = prior * stats.norm.pdf(x_t, root * x_0, sigma)
            expected = np.sum(posterior * x_0) / np.sum(posterior)
            found = oracle.predict_x0(schedule, np.array([[x_t]]), np.array([t]))[0, 0]
            assert found == pytest.approx(expected, rel=1e-8, abs=1e-10)


@every_name
def test_mixture_denoiser_is_tweedies_formula(name: str) -> None:
    """x_t + (1 - a) grad log p(x_t) = sqrt(a) x0_hat, with p from SciPy's densities."""
    oracle, schedule = mixture(), make_schedule(name, 40)

    def log_density(x: Array, a: float) -> float:
        densities = [
            w * stats.multivariate_normal.pdf(x, np.sqrt(a) * m, a * c + (1 - a) * np.eye(3))
            for w, m, c in zip(oracle.weights, oracle.means, oracle.covs, strict=True)
        ]
        return float(np.log(sum(densities)))

    step = 1e-5 * np.eye(3)
    for t in (2, 10, 25):
        a = schedule.alpha_bar[t]
        x = np.array([0.4, -0.3, 0.8])
        score = [(log_density(x + e, a) - log_density(x - e, a)) / 2e-5 for e in step]
        expected = (x + (1 - a) * np.array(score)) / np.sqrt(a)
        found = oracle.predict_x0(schedule, x[None], np.array([t]))[0]
        np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-8)


def test_equal_components_are_one_gaussian() -> None:
    rng = np.random.default_rng(1)
    mean, cov, x_t = rng.standard_normal(3), covariance(rng, 3), rng.standard_normal((4, 3))
    schedule, t = make_schedule("cosine", 30), np.array([1, 10, 20, 30])
    twice = Mixture(np.array([0.25, 0.75]), np.stack([mean, mean]), np.stack([cov, cov]))
    np.testing.assert_allclose(
        twice.predict_x0(schedule, x_t, t),
        gaussian(mean, cov).predict_x0(schedule, x_t, t),
        rtol=1e-12,
    )


def test_point_masses_denoise_to_their_weighted_mean() -> None:
    """A data set is a mixture with no spread; far from all but one point, that point wins."""
    points = np.array([[-1.0, 0.0], [1.0, 0.0], [0.0, 2.0]])
    oracle = Mixture(np.full(3, 1 / 3), points, np.zeros((3, 2, 2)))
    schedule = make_schedule("cosine", 30)
    x_t, t = np.array([[0.3, 0.4], [0.9, 0.1], [1e3, 0.0]]), np.array([15, 1, 1])
    a = schedule.alpha_bar[15]
    distance = np.sum((x_t[0] - np.sqrt(a) * points) ** 2, axis=1)
    share = np.exp(-distance / (2 * (1 - a)))
    found = oracle.predict_x0(schedule, x_t, t)
    np.testing.assert_allclose(found[0], share @ points / share.sum(), rtol=1e-12)
    np.testing.assert_allclose(found[1:], [[1.0, 0.0], [1.0, 0.0]], atol=1e-12)


def test_images_are_flattened_inside() -> None:
    flat = mixture(size=12)
    images = Mixture(flat.weights, flat.means.reshape(4, 3, 2, 2), flat.covs)
    schedule, t = make_schedule("sigmoid", 30), np.array([3, 30])
    x_t = np.random.default_rng(0).standard_normal((2, 3, 2, 2))
    found = images.predict_x0(schedule, x_t, t)
    assert found.shape == (2, 3, 2, 2)
    np.testing.assert_array_equal(
        found.reshape(2, 12), flat.predict_x0(schedule, x_t.reshape(2, 12), t)
    )
    assert images.sample(np.random.default_rng(0), 5).shape == (5, 3, 2, 2)
    mean, cov = images.marginal(schedule, 3)
    assert mean.shape == (3, 2, 2) and cov.shape == (12, 12)
    single = images.predict_x0(schedule, x_t.astype(np.float32), t)
    assert single.dtype == np.float32
    np.testing.assert_allclose(single, found, atol=1e-5)


def test_marginals_are_those_of_noised_samples() -> None:
    oracle, schedule, n = mixture(), make_schedule("cosine", 30), 40_000
    rng = np.random.default_rng(0)
    x_0 = oracle.sample(rng, n)
    for t in (0, 8, 20, 30):
        noise = rng.standard_normal(x_0.shape)
        x_t = q_sample(schedule, x_0, np.full(n, t), noise) if t else x_0
        mean, cov = oracle.marginal(schedule, t)
        assert np.all(np.abs(x_t.mean(axis=0) - mean) < 5 * np.sqrt(np.diag(cov) / n))
        # The variance of a product of two values is at most that of their squares.
        scale = np.sqrt(np.outer(*2 * [np.var((x_t - mean) ** 2, axis=0)])) + cov**2
        assert np.all(np.abs(np.cov(x_t.T) - cov) < 5 * np.sqrt(scale / n))


def test_marginal_of_a_gaussian_is_exact() -> None:
    cov = np.array([[2.0, 0.5], [0.5, 1.0]])
    schedule = make_schedule("linear", 10)
    mean_t, cov_t = gaussian(np.array([1.0, -1.0]), cov).marginal(schedule, 5)
    a = schedule.alpha_bar[5]
    np.testing.assert_allclose(mean_t, np.sqrt(a) * np.array([1.0, -1.0]), rtol=1e-15)
    np.testing.assert_allclose(cov_t, a * cov + (1 - a) * np.eye(2), rtol=1e-15)


def test_no_other_estimate_has_a_smaller_error() -> None:
    """E |x_0 - x0_hat|^2 grows when x0_hat is shrunk, stretched or shifted."""
    oracle, schedule, n = mixture(), make_schedule("cosine", 30), 20_000
    rng = np.random.default_rng(5)
    x_0, t = oracle.sample(rng, n), np.full(n, 12)
    x0_hat = oracle.predict_x0(schedule, q_sample(schedule, x_0, t, rng.standard_normal((n, 3))), t)
    best = np.mean((x_0 - x0_hat) ** 2)
    for other in (0.9 * x0_hat, 1.1 * x0_hat, x0_hat + 0.1):
        assert np.mean((x_0 - other) ** 2) > 1.005 * best


def test_wrong_mixtures_are_refused() -> None:
    means, covs = np.zeros((2, 3)), np.stack([np.eye(3)] * 2)
    half = np.full(2, 0.5)
    for weights, m, c, message in (
        (half, means, covs[:1], "do not fit"),
        (half, np.zeros((2, 4)), covs, "do not fit"),
        (np.full(3, 1 / 3), means, covs, "do not fit"),
        (np.array([0.5, 0.6]), means, covs, "must be positive and sum to 1"),
        (np.array([1.5, -0.5]), means, covs, "must be positive and sum to 1"),
        (half, means, covs + np.triu(np.ones((3, 3)), 1), "must be symmetric"),
        (half, means, covs - 1.5 * np.eye(3), r"negative eigenvalue -0\.5"),
    ):
        with pytest.raises(ValueError, match=message):
            Mixture(weights, m, c)


def test_wrong_inputs_are_refused() -> None:
    oracle, schedule = mixture(), make_schedule("linear", 10)
    with pytest.raises(ValueError, match=r"x_t has shape \(2, 4\): the data need \('B', 3\)"):
        oracle.predict_x0(schedule, np.zeros((2, 4)), np.array([1, 2]))
    with pytest.raises(ValueError, match=r"t 0\.\.2 is outside"):
        oracle.predict_x0(schedule, np.zeros((2, 3)), np.array([0, 2]))
    with pytest.raises(ValueError, match=r"t 11 is outside 0\.\.10"):
        oracle.marginal(schedule, 11)
