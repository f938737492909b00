"""Averages with power-function profiles: closed forms, and reconstruction after training."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.integrate import quad

from ddpm_mindspore.reference.ema import (
    Snapshot,
    gamma_of,
    post_hoc_weights,
    power_weight,
    profile_error,
    profile_product,
    reconstruct,
    sigma_rel_of,
)
from ddpm_mindspore.reference.optimizer import ema_update


def averages(sequence, sigma_rel):
    """The running average after each of the steps 1, 2, ... of a sequence of numbers."""
    ema, result = {"p": np.array(math.nan)}, []
    for step, p in enumerate(sequence, start=1):
        weight = power_weight(step, sigma_rel)
        ema = {"p": np.array(p)} if weight == 0.0 else ema_update(ema, {"p": p}, weight)
        result.append(float(ema["p"]))
    return np.array(result)


def profile(t, gamma):
    return lambda tau: np.where(tau <= t, (gamma + 1) * (tau / t) ** gamma / t, 0.0)


def test_widths_of_the_paper():
    # Section 3.1: sigma_rel = 0.10 is gamma = 6.94, and 0.05 is 16.97.
    assert gamma_of(0.10) == pytest.approx(6.94, abs=5e-3)
    assert gamma_of(0.05) == pytest.approx(16.97, abs=5e-3)
    assert gamma_of(12**-0.5) == pytest.approx(0.0, abs=1e-7)


@pytest.mark.parametrize("gamma", [0.0, 0.5, 6.94, 300.0])
def test_width_is_the_standard_deviation_of_the_profile(gamma):
    t = 7.0
    moments = [quad(lambda tau, k=k: tau**k * profile(t, gamma)(tau), 0, t)[0] for k in range(3)]
    assert moments[0] == pytest.approx(1.0)
    deviation = math.sqrt(moments[2] - moments[1] ** 2)
    assert sigma_rel_of(gamma) == pytest.approx(deviation / t, rel=1e-6)
    assert gamma_of(sigma_rel_of(gamma)) == pytest.approx(gamma, rel=1e-9, abs=1e-7)


def test_what_is_no_width_is_refused():
    for sigma_rel in (0.0, -0.1, 0.289, math.nan):
        with pytest.raises(ValueError, match=r"sigma_rel .* must be above 0"):
            gamma_of(sigma_rel)
    with pytest.raises(ValueError, match=r"gamma -0\.5 must not be negative"):
        sigma_rel_of(-0.5)
    with pytest.raises(ValueError, match="step 0 is less than 1"):
        power_weight(0, 0.1)


def test_the_widest_average_is_the_plain_mean():
    sequence = np.random.default_rng(0).standard_normal(50)
    expected = np.cumsum(sequence) / np.arange(1, 51)
    np.testing.assert_allclose(averages(sequence, sigma_rel_of(0.0)), expected, rtol=1e-6)


@pytest.mark.parametrize("sigma_rel", [0.05, 0.1, 0.25])
def test_average_of_a_ramp(sigma_rel):
    # Step s has the weight (s/t)^(gamma+1) - ((s-1)/t)^(gamma+1); for a ramp, by parts.
    t, one = 200, gamma_of(sigma_rel) + 1
    expected = t - sum((s / t) ** one for s in range(1, t))
    ramp = averages(np.arange(1.0, t + 1), sigma_rel)
    assert ramp[-1] == pytest.approx(expected, rel=1e-12)
    # The mean of the profile, t (gamma + 1) / (gamma + 2); each step stands for half a step less.
    assert ramp[-1] - 0.5 == pytest.approx(t * one / (one + 1), rel=1e-3)
    square = averages(np.arange(1.0, t + 1) ** 2, sigma_rel)[-1]
    assert math.sqrt(square - ramp[-1] ** 2) / t == pytest.approx(sigma_rel, rel=1e-3)
    assert averages(np.full(9, 0.3), sigma_rel)[-1] == pytest.approx(0.3, rel=1e-14)


def test_strides_late_in_training_make_the_same_average():
    one = gamma_of(0.1) + 1
    kept = math.prod(power_weight(step, 0.1) for step in range(5001, 40_001))
    assert kept == pytest.approx((5000 / 40_000) ** one, rel=1e-9)
    assert [power_weight(s, 0.1) < 1 for s in range(8185, 8202)] == [True] * 8 + [
        False,
        True,
    ] * 4 + [False]
    # Never by less than float32 can hold: 1 + 1e-4 of a difference of a thousandth.
    for step in range(2**20 - 64, 2**20 + 1):
        assert power_weight(step, 0.28) == 1.0 or power_weight(step, 0.28) < 1 - 1e-4


@pytest.mark.parametrize(
    ("t_a", "gamma_a", "t_b", "gamma_b"), [(2, 3, 5, 1.5), (5, 7, 5, 0), (9, 0.5, 4, 16)]
)
def test_inner_product_is_the_integral(t_a, gamma_a, t_b, gamma_b):
    a, b, end = profile(t_a, gamma_a), profile(t_b, gamma_b), min(t_a, t_b)
    expected = quad(lambda tau: a(tau) * b(tau), 0, end)[0]
    assert profile_product(t_a, gamma_a, t_b, gamma_b) == pytest.approx(expected, rel=1e-9)
    assert profile_product(t_b, gamma_b, t_a, gamma_a) == profile_product(
        t_a, gamma_a, t_b, gamma_b
    )


STEPS = [step for step in range(50, 1001, 50) for _ in range(2)]
WIDTHS = [0.05, 0.1] * 20


def test_weights_are_the_nearest_in_the_integral():
    """Against least squares on the profiles as vectors of many points."""
    tau = (np.arange(10_000) + 0.5) / 10
    columns = [profile(t, gamma_of(s))(tau) for t, s in zip(STEPS, WIDTHS, strict=True)]
    wanted = profile(1000, gamma_of(0.2))(tau)
    expected, *_ = np.linalg.lstsq(np.array(columns).T, wanted, rcond=None)
    weights = post_hoc_weights(STEPS, WIDTHS, 1000, 0.2)
    np.testing.assert_allclose(weights, expected, atol=2e-4)
    error = np.linalg.norm(weights @ np.array(columns) - wanted) / np.linalg.norm(wanted)
    assert profile_error(STEPS, WIDTHS, 1000, 0.2, weights) == pytest.approx(error, rel=0.02)
    worse = weights + 0.01
    assert profile_error(STEPS, WIDTHS, 1000, 0.2, worse) > error
    assert weights.sum() == pytest.approx(1.0, abs=2e-3)


def test_a_snapshot_is_its_own_reconstruction():
    weights = post_hoc_weights(STEPS, WIDTHS, 1000, 0.05)
    np.testing.assert_allclose(weights, [0.0] * 38 + [1.0, 0.0], atol=1e-9)


@pytest.mark.parametrize("sigma_rel", [0.04, 0.075, 0.15, 0.2])
def test_a_third_average_comes_out_as_if_it_had_been_kept(sigma_rel):
    rng = np.random.default_rng(1)
    walk = 3.0 + np.cumsum(rng.standard_normal(1000)) / 10 + rng.standard_normal(1000) / 2
    kept = {s: averages(walk, s) for s in (0.05, 0.1)}
    snapshots = [
        Snapshot(t, s, {"p": np.array([kept[s][t - 1], 7.0])})
        for t, s in zip(STEPS, WIDTHS, strict=True)
    ]
    made = reconstruct(snapshots, 1000, sigma_rel)["p"]
    direct = averages(walk, sigma_rel)[-1]
    others = [abs(kept[s][-1] - direct) for s in kept]
    weights = post_hoc_weights(STEPS, WIDTHS, 1000, sigma_rel)
    error = profile_error(STEPS, WIDTHS, 1000, sigma_rel, weights)
    assert error < 0.05
    assert abs(made[0] - direct) < 0.1 * min(others)
    assert made[1] == pytest.approx(7.0, rel=1e-12)  # what never moved


def test_the_scale_of_a_profile_does_not_matter():
    half = [(t // 2, s) for t, s in zip(STEPS, WIDTHS, strict=True)]
    weights = post_hoc_weights(*map(list, zip(*half, strict=True)), 500, 0.15)
    np.testing.assert_allclose(
        weights, post_hoc_weights(STEPS, WIDTHS, 1000, 0.15), rtol=1e-7, atol=1e-9
    )


def test_no_average_of_other_steps_makes_the_latest_ones():
    # Between two checkpoints: nothing there knows the last 20 steps.
    early = [(t, s) for t, s in zip(STEPS, WIDTHS, strict=True) if t <= 500]
    steps, widths = map(list, zip(*early, strict=True))
    weights = post_hoc_weights(steps, widths, 520, 0.08)
    assert profile_error(steps, widths, 520, 0.08, weights) > 0.3


def test_snapshots_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="snapshots is empty"):
        post_hoc_weights([], [], 10, 0.1)
    with pytest.raises(ValueError, match="twice"):
        post_hoc_weights([5, 5], [0.1, 0.1], 10, 0.1)
    with pytest.raises(ValueError, match=r"from 1 to step, which is 10"):
        post_hoc_weights([5, 11], [0.1, 0.1], 10, 0.1)
    with pytest.raises(ValueError, match=r"from 1 to step, which is 10"):
        post_hoc_weights([0, 5], [0.1, 0.1], 10, 0.1)
