"""The forward process against Bayes' rule, and the conversions against each other."""

from __future__ import annotations

import autograd.numpy as anp
import numpy as np
import pytest
from autograd import grad
from numpy.typing import NDArray

from ddpm_mindspore.reference.process import (
    eps_from_x0,
    q_posterior,
    q_sample,
    v_from_x0,
    x0_from_eps,
    x0_from_v,
)
from ddpm_mindspore.reference.schedule import SCHEDULES, Schedule, make_schedule

Array = NDArray[np.float64]
SHAPES = [(4,), (4, 3), (4, 2, 3, 5)]
every_length = pytest.mark.parametrize("T", [1, 2, 20, 1000])
every_name = pytest.mark.parametrize("name", SCHEDULES)


def draw(shape: tuple[int, ...], T: int, seed: int = 0) -> tuple[Array, Array, NDArray[np.int64]]:
    """x_0, noise and times that include both ends of the chain."""
    rng = np.random.default_rng(seed)
    t = rng.integers(1, T + 1, shape[0])
    t[0], t[-1] = 1, T
    return rng.standard_normal(shape), rng.standard_normal(shape), t


def per_image(table: Array, t: NDArray[np.int64], ndim: int) -> Array:
    return np.array([table[i] for i in t]).reshape(-1, *[1] * (ndim - 1))


@every_name
@pytest.mark.parametrize("shape", SHAPES)
def test_q_sample_is_equation_4(name: str, shape: tuple[int, ...]) -> None:
    schedule = make_schedule(name, 30)
    x_0, noise, t = draw(shape, 30)
    a = per_image(schedule.alpha_bar, t, len(shape))
    expected = np.sqrt(a) * x_0 + np.sqrt(1 - a) * noise
    np.testing.assert_allclose(q_sample(schedule, x_0, t, noise), expected, rtol=1e-15)


@every_name
@every_length
def test_one_jump_equals_all_the_single_steps(name: str, T: int) -> None:
    """x_t = sqrt(alpha_t) x_{t-1} + sqrt(beta_t) z, eq. 2, keeps mean and variance of eq. 4."""
    schedule = make_schedule(name, T)
    mean, var = 1.0, 0.0  # of x_0 = 1
    for t in range(1, T + 1):
        mean, var = np.sqrt(schedule.alpha[t]) * mean, schedule.alpha[t] * var + schedule.beta[t]
        one, when = np.ones(1), np.array([t])
        assert q_sample(schedule, one, when, 0 * one)[0] == pytest.approx(mean, rel=1e-11)
        assert q_sample(schedule, 0 * one, when, one)[0] ** 2 == pytest.approx(var, rel=1e-11)


@every_name
@pytest.mark.parametrize("zero", [False, True])
@pytest.mark.parametrize("t", [2, 5, 29, 30])
def test_posterior_is_bayes_rule(name: str, zero: bool, t: int) -> None:
    """Moments of q(x_t | x_{t-1}) q(x_{t-1} | x_0), normalised, by numerical integration."""
    schedule = make_schedule(name, 30, zero_terminal_snr=zero)
    x_0, x_t = 0.7, -0.4
    mean, var, log_var = q_posterior(schedule, np.array([x_0]), np.array([x_t]), np.array([t]))
    centre, width = np.sqrt(schedule.alpha_bar[t - 1]) * x_0, np.sqrt(1 - schedule.alpha_bar[t - 1])
    x = np.linspace(centre - 40 * width, centre + 40 * width, 400_001)
    log_prior = -((x - centre) ** 2) / (2 * width**2)
    log_step = -((x_t - np.sqrt(schedule.alpha[t]) * x) ** 2) / (2 * schedule.beta[t])
    density = np.exp(log_prior + log_step - np.max(log_prior + log_step))
    density /= density.sum()
    brute_mean = np.sum(density * x)
    assert mean[0] == pytest.approx(brute_mean, rel=1e-9, abs=1e-12)
    assert var[0] == pytest.approx(np.sum(density * (x - brute_mean) ** 2), rel=1e-9)
    assert log_var[0] == pytest.approx(np.log(var[0]), rel=1e-14)


@every_name
@every_length
def test_posterior_ends_in_the_data(name: str, T: int) -> None:
    schedule = make_schedule(name, T)
    x_0, x_t, t = draw((3, 2, 4, 4), T)
    mean, var, log_var = q_posterior(schedule, x_0, x_t, np.ones_like(t))
    np.testing.assert_array_equal(mean, x_0)
    assert np.all(var == 0) and np.all(log_var == np.log(1e-20))
    assert var.shape == log_var.shape == (3, 1, 1, 1)
    np.testing.assert_array_equal(q_posterior(schedule, x_0, x_t, t)[0][0], x_0[0])  # t[0] is 1


@every_name
@every_length
@pytest.mark.parametrize("shape", SHAPES)
def test_conversions_invert_each_other(name: str, T: int, shape: tuple[int, ...]) -> None:
    schedule = make_schedule(name, T)
    x_0, eps, t = draw(shape, T)
    x_t = q_sample(schedule, x_0, t, eps)
    v = v_from_x0(schedule, x_0, t, eps)
    # What division by sqrt(alpha_bar), or by sqrt(1 - alpha_bar), does to one rounding.
    a = per_image(schedule.alpha_bar, t, len(shape))
    size = 1e-15 * (np.abs(x_0) + np.abs(eps) + 1)
    assert np.all(np.abs(x0_from_eps(schedule, x_t, t, eps) - x_0) < 4 * size / np.sqrt(a))
    assert np.all(np.abs(eps_from_x0(schedule, x_t, t, x_0) - eps) < 4 * size / np.sqrt(1 - a))
    assert np.all(np.abs(x0_from_v(schedule, x_t, t, v) - x_0) < 4 * size)


@every_name
def test_v_is_eps_turned_against_x_0(name: str) -> None:
    """(x_t, v) is a rotation of (x_0, eps): lengths stay, and v is d x_t / d angle."""
    schedule = make_schedule(name, 30)
    x_0, eps, t = draw((50,), 30)
    x_t, v = q_sample(schedule, x_0, t, eps), v_from_x0(schedule, x_0, t, eps)
    np.testing.assert_allclose(x_t**2 + v**2, x_0**2 + eps**2, rtol=1e-13)
    angle = np.arccos(np.sqrt(schedule.alpha_bar[t]))
    np.testing.assert_allclose(v, np.cos(angle) * eps - np.sin(angle) * x_0, rtol=1e-9, atol=1e-12)


@every_name
def test_zero_terminal_snr_leaves_v_but_not_eps(name: str) -> None:
    schedule = make_schedule(name, 10, zero_terminal_snr=True)
    x_0, eps, _ = draw((2, 3), 10)
    end, before = np.array([10, 10]), np.array([9, 9])
    x_t = q_sample(schedule, x_0, end, eps)
    np.testing.assert_array_equal(x_t, eps)
    np.testing.assert_array_equal(
        x0_from_v(schedule, x_t, end, v_from_x0(schedule, x_0, end, eps)), x_0
    )
    np.testing.assert_array_equal(eps_from_x0(schedule, x_t, end, x_0), eps)
    with pytest.raises(ValueError, match="pred_noise cannot be used there, use pred_v"):
        x0_from_eps(schedule, x_t, np.array([1, 10]), eps)
    assert np.all(np.isfinite(x0_from_eps(schedule, x_t, before, eps)))


def run_all(schedule: Schedule, a: Array, t: NDArray[np.int64], b: Array) -> list[Array]:
    functions = (q_sample, x0_from_eps, eps_from_x0, v_from_x0, x0_from_v)
    return [f(schedule, a, t, b) for f in functions] + list(q_posterior(schedule, a, b, t))


@every_name
def test_float32_in_float32_out(name: str) -> None:
    """Rounded coefficients on rounded data: within a few float32 roundings of the truth."""
    schedule = make_schedule(name, 30)
    a, b, t = draw((5, 3), 29)
    a, b = a.astype(np.float32).astype(np.float64), b.astype(np.float32).astype(np.float64)
    exact = run_all(schedule, a, t, b)
    single = run_all(schedule, a.astype(np.float32), t, b.astype(np.float32))
    # The largest factor is 1 / sqrt(alpha_bar), so errors are bounded by those of its products.
    factor = (
        1
        + per_image(1 / schedule.sqrt_alpha_bar, t, 2)
        + per_image(np.append(0, 1 / schedule.sqrt_one_minus_alpha_bar[1:]), t, 2)
    )
    for truth, rounded in zip(exact, single, strict=True):
        assert rounded.dtype == np.float32
        bound = 6e-8 * (5 * factor * (np.abs(a) + np.abs(b)) + np.abs(truth))
        assert np.all(np.abs(rounded - truth) <= bound)


def test_q_sample_is_differentiable() -> None:
    schedule = make_schedule("cosine", 10)
    x_0, noise, t = draw((3, 2), 10)
    slope = grad(lambda x: anp.sum(q_sample(schedule, x, t, noise)))(x_0)
    np.testing.assert_allclose(slope, per_image(schedule.sqrt_alpha_bar, t, 2) * np.ones((3, 2)))


@pytest.mark.parametrize(
    ("t", "message"),
    [
        (np.array([0, 1]), r"t 0\.\.1 is outside 1\.\.10"),
        (np.array([1, 11]), r"t 1\.\.11 is outside 1\.\.10"),
        (np.array([[1], [2]]), "is not an array of numbers of shape"),
        ([1, 2], "is not an array of numbers of shape"),
        (3, "is not an array of numbers of shape"),
        (np.array([1, 2, 3]), "t has 3 entries, .* has shape"),
    ],
)
def test_times_are_checked(t: object, message: str) -> None:
    schedule, x = make_schedule("linear", 10), np.zeros((2, 3))
    for f in (q_sample, x0_from_eps, eps_from_x0, v_from_x0, x0_from_v):
        with pytest.raises(ValueError, match=message):
            f(schedule, x, t, x)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=message):
        q_posterior(schedule, x, x, t)  # type: ignore[arg-type]


def test_arrays_are_checked() -> None:
    schedule, x, t = make_schedule("linear", 10), np.zeros((2, 3)), np.array([1, 2])
    with pytest.raises(ValueError, match=r"noise has shape \(2, 1\), x_0 has \(2, 3\)"):
        q_sample(schedule, x, t, x[:, :1])
    with pytest.raises(ValueError, match="x_0 is not an array of floats"):
        q_sample(schedule, x.astype(np.uint8), t, x)
    with pytest.raises(ValueError, match="x_t is not an array of floats"):
        q_posterior(schedule, x, [[0.0, 0.0, 0.0]] * 2, t)  # type: ignore[arg-type]
