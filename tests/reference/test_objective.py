"""Targets, weights and losses by their definitions; the bound by brute force."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
from autograd import grad
from numpy.typing import NDArray
from scipy import integrate, stats

from ddpm_mindspore.reference.objective import (
    LOSSES,
    OBJECTIVES,
    bits_per_dim,
    loss_weight,
    simple_loss,
    target,
    vlb_decoder,
    vlb_kl,
    vlb_prior,
    x0_from_output,
)
from ddpm_mindspore.reference.process import eps_from_x0, q_posterior, q_sample
from ddpm_mindspore.reference.schedule import SCHEDULES, make_schedule

Array = NDArray[np.float64]
every_name = pytest.mark.parametrize("name", SCHEDULES)
every_objective = pytest.mark.parametrize("objective", OBJECTIVES)
WITHOUT_EPS = ("pred_x0", "pred_v")


def draw(T: int, n: int = 6) -> tuple[Array, Array, NDArray[np.int64]]:
    rng = np.random.default_rng(0)
    t = rng.integers(1, T, n)
    t[0] = 1
    return rng.standard_normal((n, 2, 3, 3)), rng.standard_normal((n, 2, 3, 3)), t


@every_name
@every_objective
def test_a_perfect_output_gives_back_the_data(name: str, objective: str) -> None:
    schedule = make_schedule(name, 20)
    x_0, noise, t = draw(20)
    output = target(schedule, objective, x_0, t, noise)
    x_t = q_sample(schedule, x_0, t, noise)
    x0_hat = x0_from_output(schedule, objective, x_t, t, output)
    np.testing.assert_allclose(x0_hat, x_0, rtol=1e-6, atol=1e-6)


def test_targets_are_what_their_names_say() -> None:
    schedule = make_schedule("cosine", 20)
    x_0, noise, t = draw(20)
    np.testing.assert_array_equal(target(schedule, "pred_noise", x_0, t, noise), noise)
    np.testing.assert_array_equal(target(schedule, "pred_x0", x_0, t, noise), x_0)
    a = schedule.alpha_bar[t][:, None, None, None]
    v = np.sqrt(a) * noise - np.sqrt(1 - a) * x_0
    np.testing.assert_allclose(target(schedule, "pred_v", x_0, t, noise), v, rtol=1e-14)


@every_objective
def test_without_a_rule_every_step_weighs_one(objective: str) -> None:
    weight = loss_weight(make_schedule("sigmoid", 50), objective)
    assert weight.shape == (51,) and weight.dtype == np.float64
    assert weight[0] == 0 and np.all(weight[1:] == 1)


def test_p2_and_min_snr_of_the_noise_are_the_papers() -> None:
    schedule = make_schedule("linear", 100)
    snr = schedule.snr[1:]
    p2 = loss_weight(schedule, "pred_noise", p2_loss_weight_gamma=0.5, p2_loss_weight_k=2.0)
    np.testing.assert_allclose(p2[1:], (2 + snr) ** -0.5, rtol=1e-14)
    clipped = loss_weight(schedule, "pred_noise", min_snr_loss_weight=True, min_snr_gamma=3.0)
    np.testing.assert_allclose(clipped[1:], np.minimum(snr, 3) / snr, rtol=1e-14)
    assert snr.min() < 3 < snr.max()  # both branches were seen


@every_name
@pytest.mark.parametrize(
    "rule", [{"p2_loss_weight_gamma": 1.0}, {"min_snr_loss_weight": True}], ids=["p2", "min_snr"]
)
def test_every_objective_weighs_one_mistake_alike(name: str, rule: dict[str, float]) -> None:
    """The same wrong x0_hat costs the same, whichever of the three the network predicts."""
    T = 20
    schedule = make_schedule(name, T)
    x_0, noise, _ = draw(T)
    for t in (1, 7, 13, 19):
        when = np.full(len(x_0), t)
        x_t = q_sample(schedule, x_0, when, noise)
        x0_hat = x_0 + 0.3 * np.sin(5 * noise)
        eps_hat = eps_from_x0(schedule, x_t, when, x0_hat)
        costs = []
        for objective in OBJECTIVES:
            # What a network with this estimate would return, and what it should return.
            output = target(schedule, objective, x0_hat, when, eps_hat)
            goal = target(schedule, objective, x_0, when, noise)
            weight = loss_weight(schedule, objective, **rule)[when]  # type: ignore[arg-type]
            costs.append(simple_loss(output, goal, weight))
        np.testing.assert_allclose(costs, costs[0], rtol=1e-6)


@pytest.mark.parametrize("objective", WITHOUT_EPS)
def test_weights_are_finite_at_zero_terminal_snr(objective: str) -> None:
    schedule = make_schedule("cosine", 30, zero_terminal_snr=True)
    for weight in (
        loss_weight(schedule, objective),
        loss_weight(schedule, objective, p2_loss_weight_gamma=1.0),
        loss_weight(schedule, objective, min_snr_loss_weight=True),
    ):
        assert np.all(np.isfinite(weight)) and np.all(weight >= 0)


def test_min_snr_weights_are_those_of_the_paper_for_each_objective() -> None:
    schedule = make_schedule("cosine", 30)
    clipped = np.minimum(schedule.snr[1:], 5.0)
    for objective, expected in (
        ("pred_noise", clipped / schedule.snr[1:]),
        ("pred_x0", clipped),
        ("pred_v", clipped / (schedule.snr[1:] + 1)),
    ):
        weight = loss_weight(schedule, objective, min_snr_loss_weight=True)
        np.testing.assert_allclose(weight[1:], expected, rtol=1e-14)


def test_pred_noise_is_refused_with_zero_terminal_snr() -> None:
    schedule = make_schedule("cosine", 10, zero_terminal_snr=True)
    x, t = np.zeros((2, 3)), np.array([1, 2])
    for call in (
        lambda: loss_weight(schedule, "pred_noise"),
        lambda: target(schedule, "pred_noise", x, t, x),
        lambda: x0_from_output(schedule, "pred_noise", x, t, x),
    ):
        with pytest.raises(ValueError, match=r"cannot be used with zero_terminal_snr .* pred_v"):
            call()


def test_wrong_weights_and_names_are_refused() -> None:
    schedule = make_schedule("cosine", 10)
    with pytest.raises(ValueError, match=r"p2_loss_weight_gamma 1\.0 and min_snr_loss_weight"):
        loss_weight(schedule, "pred_v", p2_loss_weight_gamma=1.0, min_snr_loss_weight=True)
    for wrong in (
        {"p2_loss_weight_gamma": -1.0},
        {"p2_loss_weight_k": 0.0},
        {"min_snr_gamma": 0.0},
    ):
        with pytest.raises(ValueError, match=next(iter(wrong))):
            loss_weight(schedule, "pred_v", **wrong)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="objective 'eps' is unknown: choose pred_noise, pred_x0"):
        loss_weight(schedule, "eps")
    with pytest.raises(ValueError, match="loss_type 'l3' is unknown: choose l1, l2 or huber"):
        simple_loss(np.zeros(2), np.zeros(2), np.ones(2), "l3")


@pytest.mark.parametrize(
    ("loss_type", "each"),
    [
        ("l1", abs),
        ("l2", lambda d: d * d),
        ("huber", lambda d: d * d / 2 if abs(d) < 1 else abs(d) - 0.5),
    ],
)
def test_losses_are_weighted_means_of_means(loss_type: str, each: Callable[[float], float]) -> None:
    rng = np.random.default_rng(1)
    output, goal = 2 * rng.standard_normal((2, 4, 3, 2, 2))
    weight = np.array([1.0, 0.0, 2.0, 0.5])
    far = np.abs(output - goal) >= 1
    assert far.any() and not far.all()  # both branches of huber
    expected = 0.0
    for i in range(4):
        errors = [each(d) for d in (output[i] - goal[i]).ravel()]
        expected += weight[i] * sum(errors) / len(errors) / 4
    assert simple_loss(output, goal, weight, loss_type) == pytest.approx(expected, rel=1e-14)


@pytest.mark.parametrize("loss_type", LOSSES)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_losses_have_the_gradients_of_their_definitions(loss_type: str, dtype: type) -> None:
    d = np.array([[-3.0, -1.0, -0.5], [0.25, 1.0, 2.0]], dtype)
    weight = np.array([1.0, 3.0])
    slope = {"l1": np.sign(d), "l2": 2 * d, "huber": np.clip(d, -1, 1)}[loss_type]
    gradient = grad(lambda o: simple_loss(o, np.zeros_like(d), weight, loss_type))(d)
    assert gradient.dtype == dtype
    rtol = 4 * np.finfo(dtype).eps
    np.testing.assert_allclose(gradient, slope * weight[:, None] / 6, rtol=rtol)


@pytest.mark.parametrize("loss_type", LOSSES)
def test_a_float32_loss_is_computed_in_float32(loss_type: str) -> None:
    x = np.ones((2, 3), np.float32)
    assert simple_loss(x, 0 * x, np.array([0.1, 0.2]), loss_type).dtype == np.float32


def test_losses_check_their_arrays() -> None:
    x = np.zeros((2, 3))
    with pytest.raises(ValueError, match=r"target has shape \(3, 2\)"):
        simple_loss(x, x.T, np.ones(2))
    with pytest.raises(ValueError, match="weight needs one entry for each image"):
        simple_loss(x, x, np.ones(3))
    with pytest.raises(ValueError, match="output is not an array of floats"):
        simple_loss(x.astype(np.uint8), x, np.ones(2))


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
    x_0, x0_hat, _ = draw(100)
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
