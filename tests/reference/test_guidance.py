"""Guidance on mixtures of Gaussians, whose guided scores and densities are formulas."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
from scipy.special import logsumexp, softmax
from scipy.stats import multivariate_normal

from ddpm_mindspore.reference.denoiser import denoiser, given
from ddpm_mindspore.reference.guidance import (
    classifier_guided,
    guided,
    inside,
    less_parallel,
    rescaled,
    shortened,
    towards,
)
from ddpm_mindspore.reference.oracle import Mixture, gaussian
from ddpm_mindspore.reference.samplers import ddim
from ddpm_mindspore.reference.schedule import make_schedule

SCHEDULE = make_schedule("cosine", 400)
WEIGHTS = np.array([0.2, 0.3, 0.1, 0.4])
MEANS = np.array([[-1.0, 0.5], [1.2, 0.1], [0.3, -1.0], [0.4, 1.1]])
COVS = np.array([[[0.09, 0.02], [0.02, 0.05]], np.eye(2) * 0.04, np.eye(2) * 0.2, np.eye(2) * 0.1])
CLASS = np.array([0, 0, 1, 1])
"""The class of each component."""
NONE = 2


def mixture_of(label: int) -> Mixture:
    chosen = label == CLASS if label != NONE else np.ones(4, bool)
    weights = WEIGHTS[chosen]
    return Mixture(weights / weights.sum(), MEANS[chosen], COVS[chosen])


MIXTURES = [mixture_of(label) for label in (0, 1, NONE)]


def predict_x0(x_t, t, condition=None, *shown):
    """The exact denoiser of each item's class."""
    labels = np.full(len(x_t), NONE) if condition is None else condition
    out = np.empty_like(x_t)
    for label, mixture in enumerate(MIXTURES):
        of = labels == label
        if of.any():
            out[of] = mixture.predict_x0(SCHEDULE, x_t[of], t[of])
    return out


def log_density(label, x, t):
    """log p_t(x | label) of one point."""
    a = SCHEDULE.alpha_bar[t]
    mixture = MIXTURES[label]
    terms = [
        np.log(w) + multivariate_normal(np.sqrt(a) * m, a * c + (1 - a) * np.eye(2)).logpdf(x)
        for w, m, c in zip(mixture.weights, mixture.means, mixture.covs, strict=True)
    ]
    return logsumexp(terms)


def gradient(function, x, h=1e-5):
    steps = np.eye(len(x)) * h
    return np.array([(function(x + s) - function(x - s)) / (2 * h) for s in steps])


def score(x0_hat, x_t, t):
    return (SCHEDULE.sqrt_alpha_bar[t] * x0_hat - x_t) / (1.0 - SCHEDULE.alpha_bar[t])


POINTS = np.random.default_rng(4).standard_normal((5, 2))
TIMES = (3, 90, 250, 390)


@pytest.mark.parametrize("t", TIMES)
@pytest.mark.parametrize("scale", [0.0, 1.0, 3.5])
def test_the_guided_score_is_the_gradient_of_its_densities(t, scale):
    predict = guided(predict_x0, SCHEDULE, NONE, scale=scale)
    labels = np.array([0, 1, 0, 1, 1])
    x0_hat = predict(POINTS, np.full(5, t), labels)
    for x, found, label in zip(POINTS, score(x0_hat, POINTS, t), labels, strict=True):

        def tilted(x, label=label):
            return scale * log_density(label, x, t) + (1.0 - scale) * log_density(NONE, x, t)

        np.testing.assert_allclose(found, gradient(tilted, x), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("t", TIMES)
def test_combining_noise_or_v_is_combining_estimates(t):
    a, s = SCHEDULE.sqrt_alpha_bar[t], SCHEDULE.sqrt_one_minus_alpha_bar[t]
    times = np.full(5, t)
    told, untold = predict_x0(POINTS, times, np.zeros(5, int)), predict_x0(POINTS, times)
    together = towards(told, untold, 2.5)
    for there, back in (
        (lambda x0: (POINTS - a * x0) / s, lambda eps: (POINTS - s * eps) / a),
        (lambda x0: (a * POINTS - x0) / s, lambda v: a * POINTS - s * v),
    ):
        other = back(towards(there(told), there(untold), 2.5))
        np.testing.assert_allclose(other, together, rtol=1e-9, atol=1e-9)


def class_gradient(label, x_t, t):
    """grad log p_t(label | x_t): by p_t(label | x) = p(label) p_t(x | label) / p_t(x)."""
    return np.array(
        [
            gradient(lambda x, n=n: log_density(label, x, n) - log_density(NONE, x, n), x)
            for x, n in zip(x_t, t, strict=True)
        ]
    )


@pytest.mark.parametrize("t", TIMES)
def test_the_exact_classifier_makes_of_all_data_that_of_the_class(t):
    times = np.full(5, t)
    for label in (0, 1):
        told = np.full(5, label)
        by_class = classifier_guided(predict_x0, SCHEDULE, partial(class_gradient, label), 1.0)
        exact = predict_x0(POINTS, times, told)
        np.testing.assert_allclose(by_class(POINTS, times), exact, rtol=1e-4, atol=1e-4)
        # Without a classifier, the network's own two estimates say the same, at any scale.
        further = classifier_guided(predict_x0, SCHEDULE, partial(class_gradient, label), 2.5)
        free = guided(predict_x0, SCHEDULE, NONE, scale=2.5)
        expected = free(POINTS, times, told)
        np.testing.assert_allclose(further(POINTS, times), expected, rtol=1e-4, atol=1e-3)


def flow_of(predict, steps=200):
    """Mean and variance that the deterministic flow of one dimension makes of N(0, 1).

    Where all densities are Gaussian the flow is x_T -> m + k x_T, so that two points tell it.
    """
    x_T = np.array([[0.0], [1.0]])
    path = np.linspace(SCHEDULE.T, 1, steps).round().astype(int)
    m, further = ddim.sample(SCHEDULE, predict, x_T, timesteps=path)[:, 0]
    return m, (further - m) ** 2


ALL, TOLD = gaussian([0.0], [[1.0]]), gaussian([0.8], [[0.09]])


def told(x_t, t, condition=None, *shown):
    """Class 0 is N(0.8, 0.09), and all together are N(0, 1)."""
    of = np.asarray(condition) == 0
    estimates = [d.predict_x0(SCHEDULE, x_t, t) for d in (TOLD, ALL)]
    return np.where(of[:, None], *estimates)


def test_plain_guidance_does_not_draw_from_the_tilted_density():
    """What it does instead: at scale 1 it is exact; beyond, its mean lies further out than that of
    p(x | y)^w p(x)^(1 - w), by 12 % at w = 2 here, and its spread is too small, more with w."""
    labels = np.zeros(2, int)
    m, var = flow_of(given(told, labels))
    assert m == pytest.approx(0.8, abs=0.01) and var == pytest.approx(0.09, rel=0.05)
    found = {}
    for scale in (2.0, 4.0):
        m, var = flow_of(given(guided(told, SCHEDULE, NONE, scale=scale), labels))
        # N(0.8, 0.09)^scale N(0, 1)^(1 - scale)
        precision = scale / 0.09 + (1.0 - scale)
        tilted_m, tilted_var = scale * 0.8 / 0.09 / precision, 1.0 / precision
        found[scale] = m / tilted_m, var / tilted_var
    assert tilted_m == pytest.approx(0.8 / 0.09 * 4 / (4 / 0.09 - 3))
    # Relative to the tilted density: further out than its mean, and narrower, more so with scale.
    for scale, (shift, spread) in found.items():
        assert shift > 1.05 and spread < 0.9, scale
    assert found[4.0][1] < found[2.0][1]


def test_the_tilted_density_is_reached_by_the_gradient_that_belongs_to_it():
    """The noised tilted density differs from the guided one; a classifier can be told the first."""
    scale = 3.0
    precision = scale / 0.09 + (1.0 - scale)
    m, var = scale * 0.8 / 0.09 / precision, 1.0 / precision

    def log_ratio_gradient(x_t, t):
        a = SCHEDULE.alpha_bar[t][:, None]
        tilted = -(x_t - np.sqrt(a) * m) / (a * var + 1.0 - a)
        return tilted + x_t  # less the score of N(0, 1), which noise leaves as it is

    by_class = classifier_guided(given(told, np.ones(2)), SCHEDULE, log_ratio_gradient, 1.0)
    found = flow_of(by_class)
    assert found[0] == pytest.approx(m, abs=0.01) and found[1] == pytest.approx(var, rel=0.06)


def test_autoguidance_goes_from_the_weaker_through_the_better():
    weaker = Mixture(WEIGHTS, MEANS * 0.7, COVS * 2.0)

    def weak(x_t, t, condition=None, *shown):
        return weaker.predict_x0(SCHEDULE, x_t, t)

    t = np.full(5, 200)
    predict = guided(predict_x0, SCHEDULE, scale=2.0, weak=weak)
    expected = 2.0 * predict_x0(POINTS, t) - weak(POINTS, t)
    np.testing.assert_allclose(predict(POINTS, t), expected, rtol=1e-12)


def test_rescaling_gives_back_the_spread():
    rng = np.random.default_rng(1)
    x0_hat, far = rng.standard_normal((3, 2, 4, 4)), 5.0 * rng.standard_normal((3, 2, 4, 4)) + 1.0
    whole = rescaled(far, x0_hat, 1.0)
    for one, before in zip(whole, x0_hat, strict=True):
        assert one.std() == pytest.approx(before.std(), rel=1e-12)
    np.testing.assert_array_equal(rescaled(far, x0_hat, 0.0), far)
    np.testing.assert_allclose(rescaled(far, x0_hat, 0.3), 0.3 * whole + 0.7 * far, rtol=1e-12)


def test_a_change_is_shortened_and_split_item_by_item():
    rng = np.random.default_rng(2)
    x0_hat, change = rng.standard_normal((2, 3, 2, 4, 4))
    change[1] *= 0.01
    short = shortened(change, 2.0)
    assert np.linalg.norm(short[0]) == pytest.approx(2.0)
    np.testing.assert_array_equal(short[1], change[1])
    np.testing.assert_array_equal(shortened(0.0 * change, 2.0), 0.0 * change)
    orthogonal = less_parallel(change, x0_hat, 0.0)
    for one, estimate in zip(orthogonal, x0_hat, strict=True):
        assert abs(np.vdot(one, estimate)) < 1e-12
    np.testing.assert_array_equal(less_parallel(change, x0_hat, 1.0), change)
    half = less_parallel(change, x0_hat, 0.5)
    np.testing.assert_allclose(half, 0.5 * (change + orthogonal), rtol=1e-12, atol=1e-15)
    np.testing.assert_array_equal(less_parallel(change, 0.0 * x0_hat, 0.0), change)


def test_momentum_adds_up_the_steps_of_a_walk():
    predict = guided(
        predict_x0, SCHEDULE, NONE, scale=3.0, momentum=-0.5, norm=0.4, parallel=0.2, rescale=0.6
    )
    labels, running = np.zeros(5, int), 0.0
    for t in (300, 200, 100):
        times = np.full(5, t)
        x0_hat, other = predict_x0(POINTS, times, labels), predict_x0(POINTS, times)
        running = x0_hat - other - 0.5 * running
        change = less_parallel(shortened(running, 0.4), x0_hat, 0.2)
        expected = rescaled(x0_hat + 2.0 * change, x0_hat, 0.6)
        np.testing.assert_allclose(predict(POINTS, times, labels), expected, rtol=1e-12)


def test_both_estimates_are_asked_for_at_once_and_only_in_the_interval():
    calls = []

    def counting(x_t, t, condition=None, *shown):
        calls.append(len(x_t))
        return predict_x0(x_t, t, condition)

    sigma = SCHEDULE.sqrt_one_minus_alpha_bar / SCHEDULE.sqrt_alpha_bar
    interval = (sigma[100], sigma[200])
    predict = guided(counting, SCHEDULE, NONE, scale=2.0, interval=interval)
    labels = np.ones(5, int)
    for t in (100, 101, 200, 201):
        times = np.full(5, t)
        alone = predict_x0(POINTS, times, labels)
        expected = towards(alone, predict_x0(POINTS, times), 2.0) if 100 < t <= 200 else alone
        np.testing.assert_allclose(predict(POINTS, times, labels), expected, rtol=1e-12)
    assert calls == [5, 10, 10, 5]
    with pytest.raises(ValueError, match="in guidance_interval"):
        inside(SCHEDULE, np.array([150, 250]), interval)


def test_what_is_shown_next_is_the_guided_estimate():
    seen = []

    def network(x_t, time, x_self_cond, condition):
        seen.append(x_self_cond)
        return 0.1 * x_t + condition[:, None]

    guide = partial(guided, schedule=SCHEDULE, null=NONE, scale=3.0)
    predict = denoiser(network, SCHEDULE, "pred_x0", self_condition=True, clip=True, guide=guide)
    labels = np.zeros(5, int)
    first = predict(POINTS, np.full(5, 9), labels)
    np.testing.assert_allclose(first, np.clip(0.1 * POINTS + 2.0 - 6.0, -1, 1), rtol=1e-12)
    predict(POINTS, np.full(5, 8), labels)
    assert seen[0] is None
    np.testing.assert_array_equal(seen[1], np.concatenate((first, first)))


def test_the_classes_of_the_mixture_are_those_that_bayes_gives():
    x, t = POINTS[0], 100
    shares = np.array([WEIGHTS[label == CLASS].sum() for label in (0, 1)])
    logs = np.array([log_density(label, x, t) for label in (0, 1)]) + np.log(shares)
    assert logsumexp(logs) == pytest.approx(log_density(NONE, x, t))
    assert softmax(logs).sum() == pytest.approx(1.0)
