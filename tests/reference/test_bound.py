"""The variational bound by brute force, and on data of which the exact answer is known."""

from __future__ import annotations

import math
from functools import partial

import numpy as np
import pytest
from autograd import grad
from numpy.typing import NDArray
from scipy import integrate, special, stats

from ddpm_mindspore.reference import bound
from ddpm_mindspore.reference.bound import (
    bits_per_dim,
    halves,
    log_ndtr,
    log_var,
    log_variances,
    share_of,
    variational_bound,
    vlb_decoder,
    vlb_kl,
    vlb_prior,
    vlb_term,
)
from ddpm_mindspore.reference.oracle import gaussian
from ddpm_mindspore.reference.process import q_posterior, q_sample
from ddpm_mindspore.reference.schedule import SCHEDULES, Schedule, make_schedule

Array = NDArray[np.float64]
every_name = pytest.mark.parametrize("name", SCHEDULES)


def quad_kl(p: stats.rv_continuous, q: stats.rv_continuous) -> float:
    low, high = p.mean() - 12 * p.std(), p.mean() + 12 * p.std()
    value, _ = integrate.quad(
        lambda x: p.pdf(x) * (p.logpdf(x) - q.logpdf(x)), low, high, epsabs=1e-13
    )
    return float(value)


@every_name
def test_kl_terms_are_integrals(name: str) -> None:
    T = 12
    schedule = make_schedule(name, T)
    x_0, x0_hat, x_t = np.array([0.8]), np.array([-0.3]), np.array([0.5])
    for t in (2, 3, 7, T):
        when = np.array([t])
        mean, var, _ = q_posterior(schedule, x_0, x_t, when)
        mean_hat, _, _ = q_posterior(schedule, x0_hat, x_t, when)
        p, q = (stats.norm(m[0], np.sqrt(var[0])) for m in (mean, mean_hat))
        kl = vlb_kl(schedule, x_0, when, x0_hat)[0]
        assert kl == pytest.approx(quad_kl(p, q), rel=1e-6)
    end = stats.norm(schedule.sqrt_alpha_bar[T] * 0.8, schedule.sqrt_one_minus_alpha_bar[T])
    assert vlb_prior(schedule, x_0)[0] == pytest.approx(quad_kl(end, stats.norm()), abs=1e-12)
    # A short chain stops early, so that the integral is large enough to compare relatively.
    short = make_schedule("linear", 1)
    end = stats.norm(short.sqrt_alpha_bar[1] * 0.8, short.sqrt_one_minus_alpha_bar[1])
    assert vlb_prior(short, x_0)[0] == pytest.approx(quad_kl(end, stats.norm()), rel=1e-9)


@every_name
def test_kl_is_a_difference_of_snr(name: str) -> None:
    """Kingma et al. 2021 (2107.00630, eq. 13): (snr_{t-1} - snr_t) |x_0 - x0_hat|^2 / 2."""
    schedule = make_schedule(name, 100)
    x_0, x0_hat = np.random.default_rng(0).standard_normal((2, 6, 2, 3, 3))
    t = np.array([2, 3, 30, 60, 99, 100])
    kl = vlb_kl(schedule, x_0, t, x0_hat)
    distance = ((x_0 - x0_hat) ** 2).sum(axis=(1, 2, 3))
    drop = schedule.snr[t - 1] - schedule.snr[t]
    np.testing.assert_allclose(kl, drop * distance / 2, rtol=1e-10)
    assert np.all(kl > 0) and np.all(vlb_kl(schedule, x_0, t, x_0) == 0)
    with pytest.raises(ValueError, match=r"t 1 has no KL term .* use vlb_decoder there"):
        vlb_kl(schedule, x_0, np.array([1, 2, 3, 4, 5, 6]), x0_hat)


def test_the_prior_term_keeps_its_digits_where_it_nearly_vanishes() -> None:
    """At alpha_bar_T = a the term at x_0 = 0 is a^2/4 + O(a^3), far below the rounding of 1."""
    schedule = make_schedule("cosine", 1000)
    a = schedule.alpha_bar[-1]
    assert a < 1e-8
    assert vlb_prior(schedule, np.zeros((1, 1)))[0] == pytest.approx(a * a / 4, rel=1e-6, abs=0)
    assert vlb_prior(make_schedule("cosine", 9, zero_terminal_snr=True), np.ones((1, 4)))[0] == 0


@pytest.mark.parametrize("levels", [2, 17, 256])
@pytest.mark.parametrize("x0_hat", [-1.3, -0.999, 0.0, 0.21, 1.0, 4.0])
def test_the_probabilities_of_all_levels_sum_to_one(levels: int, x0_hat: float) -> None:
    for T in (1, 20, 1000):
        schedule = make_schedule("linear", T)
        grid = np.linspace(-1, 1, levels)[:, None]
        nats = vlb_decoder(schedule, grid, np.full_like(grid, x0_hat), levels)
        assert np.all(nats >= 0)
        assert np.exp(-nats).sum() == pytest.approx(1, abs=1e-11)


@pytest.mark.parametrize("offset", [0.0, 0.05, -0.4, 1.0, -30.0])
def test_the_decoder_is_an_integral_over_one_bin(offset: float) -> None:
    """Scaled by the density at the nearer edge, so that the far tails keep their digits too."""
    schedule = make_schedule("linear", 1000)  # sigma = 0.01
    x_0, sigma, half = 2 * 100 / 255 - 1, 0.01, 1 / 255
    low, high = ((x_0 + e - (x_0 + offset)) / sigma for e in (-half, half))
    near = min(abs(low), abs(high)) if low * high > 0 else 0.0
    inside, _ = integrate.quad(
        lambda z: np.exp((near**2 - z**2) / 2), low, high, epsabs=0, points=[low, high], limit=200
    )
    expected = near**2 / 2 + math.log(2 * math.pi) / 2 - math.log(inside)
    nats = vlb_decoder(schedule, np.array([[x_0]]), np.array([[x_0 + offset]]))
    assert nats[0] == pytest.approx(expected, rel=1e-9)


def test_the_outermost_bins_are_open() -> None:
    schedule = make_schedule("linear", 1000)
    ends = np.array([[-1.0], [1.0]])
    np.testing.assert_allclose(vlb_decoder(schedule, ends, 5 * ends), 0.0, atol=1e-15)
    centre = np.array([[1 / 255]])
    assert vlb_decoder(schedule, centre, centre + 4)[0] > 1e4


def test_the_decoder_wants_whole_levels() -> None:
    schedule = make_schedule("linear", 1000)
    for wrong in (np.array([[0.0]]), np.array([[1 + 2 / 255]])):
        with pytest.raises(ValueError, match="x_0 is not on the grid of 256 levels"):
            vlb_decoder(schedule, wrong, wrong)
    x = (2 * np.arange(256) / 255 - 1).astype(np.float32)[None]
    assert vlb_decoder(schedule, x, x).dtype == np.float32
    with pytest.raises(ValueError, match="levels 1 is less than 2"):
        vlb_decoder(schedule, x, x, levels=1)


def expected_bound(T: int) -> float:
    """E[L_0 + ... + L_T] in nats for a fair coin x_0 = +-1 and its exact denoiser."""
    schedule = make_schedule("cosine", T)
    z = np.linspace(-9, 9, 4001)[:, None]
    density = np.exp(-(z[:, 0] ** 2) / 2)
    density /= density.sum()
    x_0 = np.ones_like(z)  # -1 is its mirror image
    total = float(vlb_prior(schedule, x_0)[0])
    for t in range(1, T + 1):
        when = np.full(len(z), t)
        x_t = q_sample(schedule, x_0, when, z)
        a = schedule.alpha_bar[t]
        x0_hat = np.tanh(np.sqrt(a) * x_t / (1 - a))
        term = (
            vlb_decoder(schedule, x_0, x0_hat, levels=2)
            if t == 1
            else vlb_kl(schedule, x_0, when, x0_hat)
        )
        total += float(density @ term)
    return total


def test_the_bound_of_a_coin_comes_down_to_its_entropy() -> None:
    """log 2 nats, 1 bit, is the least that any model can pay; finer chains come closer to it."""
    gaps = [bits_per_dim(np.array(expected_bound(T)), 1) - 1 for T in (5, 20, 80, 320)]
    assert all(gap > 0 for gap in gaps)
    assert gaps[0] > 2 * gaps[1] > 4 * gaps[2] > 8 * gaps[3]
    assert gaps[-1] < 0.015


def test_bits_per_dim() -> None:
    nats = np.array([math.log(2) * 12, 0.0])
    np.testing.assert_allclose(bits_per_dim(nats, 4), [3.0, 0.0], rtol=1e-15)
    with pytest.raises(ValueError, match="dims 0 is not a number of values"):
        bits_per_dim(nats, 0)


def test_a_network_with_twice_the_channels_tells_its_variance() -> None:
    x = np.zeros((2, 3, 4))
    assert halves(x, x) == (x, None)
    output = np.arange(2 * 6 * 4.0).reshape(2, 6, 4)
    mean, raw = halves(output, x)
    assert raw is not None
    np.testing.assert_array_equal(np.concatenate((mean, raw), axis=1), output)
    np.testing.assert_array_equal(share_of(np.array([-1.0, 0.0, 1.0, 3.0])), [0.0, 0.5, 1.0, 2.0])


@every_name
def test_the_ends_of_the_range_are_the_fixed_variances(name: str) -> None:
    schedule = make_schedule(name, 30)
    lowest, highest = log_variances(schedule)
    np.testing.assert_allclose(np.exp(highest[1:]), schedule.beta[1:])
    np.testing.assert_allclose(np.exp(lowest[2:]), schedule.posterior_var[2:])
    assert lowest[1] == lowest[2]  # where the posterior's variance is 0
    t = np.array([1, 2, 30])
    for share, end in ((0.0, lowest), (1.0, highest), (0.25, 0.75 * lowest + 0.25 * highest)):
        np.testing.assert_allclose(log_var(schedule, t, np.full((3, 2), share))[:, 1], end[t])
    assert (
        log_variances(make_schedule(name, 1))[0][1] == log_variances(make_schedule(name, 1))[1][1]
    )


def test_the_bound_has_whole_steps() -> None:
    schedule, x = make_schedule("cosine", 9), np.zeros((1, 2))
    with pytest.raises(ValueError, match=r"t .* is real, and the steps of the bound are whole"):
        log_var(schedule, np.array([2.5]), x)
    with pytest.raises(ValueError, match=r"t .* is real"):
        vlb_kl(schedule, x, np.array([2.5]), x)
    with pytest.raises(ValueError, match=r"t 10..10 is outside 1..9"):
        log_var(schedule, np.array([10]), x)


@every_name
@pytest.mark.parametrize("share", [0.0, 0.3, 1.0, 1.5, -0.5])
def test_terms_with_another_variance_are_integrals(name: str, share: float) -> None:
    schedule = make_schedule(name, 12)
    x_0, x0_hat, x_t = np.array([[0.8]]), np.array([[-0.3]]), np.array([[0.5]])
    for t in (2, 7, 12):
        when = np.array([t])
        variance = log_var(schedule, when, np.full_like(x_0, share))
        mean, var, _ = q_posterior(schedule, x_0, x_t, when)
        mean_hat, _, _ = q_posterior(schedule, x0_hat, x_t, when)
        p = stats.norm(mean[0, 0], np.sqrt(var[0, 0]))
        q = stats.norm(mean_hat[0, 0], np.exp(variance[0, 0] / 2))
        kl = vlb_kl(schedule, x_0, when, x0_hat, variance)
        np.testing.assert_allclose(kl, [quad_kl(p, q)], rtol=1e-6, atol=1e-12)


def test_fixed_variances_are_the_ends_of_learned_ones() -> None:
    schedule = make_schedule("linear", 50)
    rng = np.random.default_rng(0)
    x_0 = rng.integers(0, 256, (4, 2, 3)) * 2 / 255 - 1
    x0_hat, t = x_0 + 0.1 * rng.standard_normal(x_0.shape), np.array([2, 3, 30, 50])
    zero, one = np.zeros_like(x_0), np.ones_like(x_0)
    fixed = vlb_kl(schedule, x_0, t, x0_hat)
    np.testing.assert_allclose(vlb_kl(schedule, x_0, t, x0_hat, log_var(schedule, t, zero)), fixed)
    first = np.ones(4, int)
    learned = vlb_decoder(schedule, x_0, x0_hat, log_var=log_var(schedule, first, one))
    np.testing.assert_allclose(learned, vlb_decoder(schedule, x_0, x0_hat), rtol=1e-10)


def test_a_term_is_the_decoder_at_the_last_step_and_a_divergence_elsewhere() -> None:
    schedule = make_schedule("cosine", 50)
    rng = np.random.default_rng(1)
    x_0 = rng.integers(0, 256, (5, 2, 3)) * 2 / 255 - 1
    x0_hat, t = x_0 + 0.01 * rng.standard_normal(x_0.shape), np.array([7, 1, 50, 1, 2])
    variance = log_var(schedule, t, rng.uniform(0, 1, x_0.shape))
    terms = vlb_term(schedule, x_0, t, x0_hat, variance)
    last = t == 1
    decoder = vlb_decoder(schedule, x_0[last], x0_hat[last], log_var=variance[last])
    np.testing.assert_array_equal(terms[last], decoder)
    kl = vlb_kl(schedule, x_0[~last], t[~last], x0_hat[~last], variance[~last])
    np.testing.assert_array_equal(terms[~last], kl)


def test_the_variance_learns_downhill() -> None:
    """The gradient by the shares is that of finite differences, at the last step too."""
    schedule = make_schedule("linear", 20)
    rng = np.random.default_rng(2)
    levels = np.array([[0, 255, 100], [7, 0, 255], [255, 128, 0]])
    x_0, t = levels * 2 / 255 - 1, np.array([1, 9, 1])
    x0_hat = x_0 + 0.05 * rng.standard_normal(x_0.shape)
    share = rng.uniform(0, 1, x_0.shape)

    def total(share: Array) -> float:
        terms = vlb_term(schedule, x_0, t, x0_hat, log_var(schedule, t, share))
        return np.sum(terms)  # type: ignore[no-any-return]

    slope = grad(total)(share)
    for i in np.ndindex(share.shape):
        step = np.zeros_like(share)
        step[i] = 1e-5
        difference = (total(share + step) - total(share - step)) / 2e-5
        assert slope[i] == pytest.approx(difference, rel=1e-5, abs=1e-8)


@pytest.mark.parametrize("x", [-1e4, -30.0, -3.0, 0.0, 0.7, 6.0, 40.0])
def test_the_slope_of_the_logarithm_of_the_distribution(x: float) -> None:
    """The density over the distribution function, whose far tail is |x| + 1 / |x|."""
    slope = grad(log_ndtr)(x)
    expected = math.exp(stats.norm.logpdf(x) - special.log_ndtr(x))
    assert slope == pytest.approx(-x - 1 / x if x < -100 else expected, rel=1e-9, abs=1e-300)


DEVIATION = 0.1
T = 25
"""Of the data below, and of its chain."""


def best_variance(schedule: Schedule, t: int) -> float:
    """Of x_{t-1} given x_t, for data N(0, DEVIATION^2): what no variance can be better than."""
    signal, noise = schedule.alpha_bar[t], 1 - schedule.alpha_bar[t]
    of_x_0 = DEVIATION**2 * noise / (signal * DEVIATION**2 + noise)
    coefficient = schedule.posterior_mean_coef_x0[t]
    return float(schedule.posterior_var[t] + coefficient**2 * of_x_0)


def expected_gaussian_bound(variance: str, levels: int = 4096) -> float:
    """E[L_0 + ... + L_T] + log of a level's width, in nats: x_0 on a grid, noise by quadrature."""
    schedule, log_variance = make_schedule("cosine", T), None
    oracle = gaussian(np.zeros(1), np.eye(1) * DEVIATION**2)
    nodes, weights = np.polynomial.hermite_e.hermegauss(24)
    x_0 = np.linspace(-1, 1, levels)
    density = stats.norm.pdf(x_0, scale=DEVIATION)
    x_0, density = x_0[density > 1e-16], density[density > 1e-16] / density.sum()
    x, eps = (a.ravel()[:, None] for a in np.meshgrid(x_0, nodes, indexing="ij"))
    joint = np.outer(density, weights / weights.sum()).ravel()
    total = float(joint @ vlb_prior(schedule, x))
    for t in range(1, T + 1):
        when = np.full(len(x), t)
        x0_hat = oracle.predict_x0(schedule, q_sample(schedule, x, when, eps), when)
        if variance == "best":
            log_variance = np.full_like(x, math.log(best_variance(schedule, t)))
        elif variance == "beta":
            log_variance = np.full_like(x, math.log(schedule.beta[t]))
        if t == 1:
            terms = vlb_decoder(schedule, x, x0_hat, levels, log_variance)
        else:
            terms = vlb_kl(schedule, x, when, x0_hat, log_variance)
        total += float(joint @ terms)
    return total + math.log(2 / (levels - 1))


def test_with_the_best_variance_the_bound_of_a_gaussian_has_no_gap() -> None:
    """There p is q's own reverse: the bound is the entropy, and what the end of the chain costs."""
    schedule = make_schedule("cosine", T)
    a = schedule.alpha_bar[T]
    end = 1 - a + a * DEVIATION**2
    expected = stats.norm(scale=DEVIATION).entropy() + (end - 1 - math.log(end)) / 2
    best = expected_gaussian_bound("best")
    assert best == pytest.approx(expected, abs=1e-5)
    fixed = expected_gaussian_bound("beta"), expected_gaussian_bound("posterior")
    assert min(fixed) > best + 0.05


def test_the_best_variance_is_within_the_range() -> None:
    """Between what is right for a point and for N(0, 1), as arXiv 2102.09672, section 3.1, says."""
    schedule = make_schedule("cosine", T)
    lowest, highest = log_variances(schedule)
    best = [math.log(best_variance(schedule, t)) for t in range(2, T + 1)]
    assert np.all(lowest[2:] < best) and np.all(best < highest[2:])


def test_the_whole_bound_is_the_sum_of_its_terms() -> None:
    schedule = make_schedule("linear", 4)
    rng = np.random.default_rng(3)
    x_0 = rng.integers(0, 256, (2, 1, 3)) * 2 / 255 - 1
    noise = rng.standard_normal((4, *x_0.shape))

    def predict(x_t: Array, t: Array) -> tuple[Array, Array]:
        x0_hat = 0.5 * x_t
        return x0_hat, log_var(schedule, t, np.full_like(x_t, 0.4))

    expected = vlb_prior(schedule, x_0)
    for t in range(1, 5):
        when = np.full(2, t)
        x0_hat, variance = predict(q_sample(schedule, x_0, when, noise[t - 1]), when)
        term = partial(vlb_decoder, schedule, x_0, x0_hat, log_var=variance)
        expected += term() if t == 1 else vlb_kl(schedule, x_0, when, x0_hat, variance)
    found = variational_bound(schedule, predict, x_0, noise)
    np.testing.assert_allclose(found, expected, rtol=1e-12)
    assert bound.LEVELS == 256
