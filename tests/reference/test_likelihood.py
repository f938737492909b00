"""Bits for each value: exact where the data are Gaussian, and of the order that solvers promise."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
from autograd.core import make_vjp
from scipy.special import ndtr
from scipy.stats import multivariate_normal

from ddpm_mindspore.reference.bound import bits_per_dim, variational_bound
from ddpm_mindspore.reference.evaluation.likelihood import (
    SOLVERS,
    Probe,
    axes,
    bound_bits,
    flow_bits,
    flow_log_density,
    spread_times,
)
from ddpm_mindspore.reference.oracle import gaussian
from ddpm_mindspore.reference.schedule import Array, Schedule, levels_at, make_schedule

MEAN = np.array([[0.3], [-0.2]])
COV = np.array([[0.25, 0.1], [0.1, 0.16]])
DATA = gaussian(MEAN, COV)


def probe_of(schedule: Schedule) -> Probe:
    """x0_hat = m + K (x - signal m), whose derivative is K."""

    def probe(x: Array, t: Array, v: Array) -> tuple[Array, Array]:
        signal, noise = (float(level[0]) for level in levels_at(schedule, t[:1]))
        gain = signal * COV @ np.linalg.inv(signal**2 * COV + noise**2 * np.eye(2))
        return MEAN + gain @ (x - signal * MEAN), np.sum(v * (gain @ v), axis=(1, 2))

    return probe


def test_the_probe_is_the_exact_denoisers_derivative() -> None:
    schedule = make_schedule("cosine", 100)
    x, t, v = (
        points(schedule, 30, 3),
        np.full(3, 30),
        np.random.default_rng(5).normal(size=(3, 2, 1)),
    )
    vjp, x0_hat = make_vjp(lambda x: DATA.predict_x0(schedule, x, t), x)
    found = probe_of(schedule)(x, t, v)
    np.testing.assert_allclose(found[0], x0_hat)
    np.testing.assert_allclose(found[1], np.sum(vjp(v) * v, axis=(1, 2)))


def exact(schedule: Schedule, x: Array, t: int) -> Array:
    mean, cov = DATA.marginal(schedule, t)
    density: Array = multivariate_normal(mean.ravel(), cov).logpdf(x.reshape(len(x), -1))
    return density


def points(schedule: Schedule, t: int, count: int = 5) -> Array:
    rng = np.random.default_rng(0)
    mean, cov = DATA.marginal(schedule, t)
    return rng.multivariate_normal(mean.ravel(), cov, count).reshape(count, 2, 1)


@pytest.mark.parametrize("t", [1, 300])
@pytest.mark.parametrize("name", ["linear", "cosine"])
def test_the_density_of_the_flow_is_the_exact_one(name: str, t: int) -> None:
    schedule = make_schedule(name, 1000)
    x = points(schedule, t)
    found = flow_log_density(
        schedule, probe_of(schedule), x, axes(x), start=t, solver="rk4", steps=100
    )
    # The linear schedule ends before all of the data is gone: it is not quite N(0, I).
    atol = 1e-2 if name == "linear" else 1e-3
    np.testing.assert_allclose(found, exact(schedule, x, t), atol=atol)


def test_random_directions_are_right_on_average() -> None:
    schedule = make_schedule("cosine", 1000)
    x = points(schedule, 200, 2)
    rng = np.random.default_rng(1)
    directions = [np.where(rng.normal(size=x.shape) < 0, -1.0, 1.0) for _ in range(100)]
    given = {"start": 200, "solver": "rk4", "steps": 12}
    probe = probe_of(schedule)
    by_axes = flow_log_density(schedule, probe, x, axes(x), **given)  # type: ignore[arg-type]
    by_chance = flow_log_density(schedule, probe, x, directions, **given)  # type: ignore[arg-type]
    one = flow_log_density(schedule, probe, x, directions[:1], **given)  # type: ignore[arg-type]
    np.testing.assert_allclose(by_chance, by_axes, atol=0.2)
    assert np.abs(one - by_axes).max() > 0.1


@pytest.mark.parametrize(
    ("solver", "order"), [("euler", 1), ("midpoint", 2), ("heun", 2), ("rk4", 4)]
)
def test_a_solver_has_its_order(solver: str, order: int) -> None:
    schedule = make_schedule("cosine", 4000)
    x, probe = points(schedule, 400, 3), probe_of(schedule)
    given = {"start": 400, "solver": solver}

    def found(steps: int) -> Array:
        return flow_log_density(schedule, probe, x, axes(x), steps=steps, **given)  # type: ignore[arg-type]

    limit = flow_log_density(schedule, probe, x, axes(x), start=400, solver="rk4", steps=640)
    errors = [np.abs(found(steps) - limit).max() for steps in (40, 80)]
    assert math.log2(errors[0] / errors[1]) == pytest.approx(order, abs=0.5)
    assert SOLVERS.keys() == {"euler", "heun", "midpoint", "rk4"}


def grid(count: int) -> Array:
    """Draws of the data, on 256 levels."""
    x = DATA.sample(np.random.default_rng(2), count)
    return np.clip(np.round((x + 1) * 127.5), 0, 255) / 127.5 - 1


def exact_bits(x_0: Array) -> Array:
    """Of the bin around each, by a fine mid-point rule in two dimensions."""
    half, offsets = 1 / 255, (np.arange(8) + 0.5) / 8 * 2 - 1
    a, b = (o.ravel() * half for o in np.meshgrid(offsets, offsets))
    inside = x_0.reshape(-1, 1, 2) + np.stack([a, b], -1)
    density = multivariate_normal(MEAN.ravel(), COV).pdf(inside).mean(-1)
    return -np.log2(density * (2 * half) ** 2) / 2


def draws(shape: tuple[int, ...], seed: int = 3) -> Callable[[int], Array]:
    return lambda i: np.random.default_rng((seed, i)).normal(size=shape)


def test_both_bounds_are_near_the_exact_bits_and_above_them() -> None:
    schedule = make_schedule("cosine", 1000)
    x_0 = grid(100)
    x_0 = x_0[np.abs(x_0).max((1, 2)) < 0.99]
    truth = exact_bits(x_0)
    flow = flow_bits(
        schedule, probe_of(schedule), x_0, draws(x_0.shape), solver="rk4", steps=30, probes=2
    )
    error = (flow - truth).std() / math.sqrt(len(x_0))
    assert -3 * error < (flow - truth).mean() < 0.15 + 3 * error
    bound = bound_bits(
        schedule,
        lambda x, t: (DATA.predict_x0(schedule, x, t), None),
        x_0,
        draws(x_0.shape),
        count=60,
    )
    gap = bound.each - truth
    assert -3 * gap.std() / math.sqrt(len(x_0)) < gap.mean() < 1.0  # of a fixed variance
    assert bound.priors.max() < 1e-3 and 40 < len(bound.times) <= 61
    assert bound.terms.shape == (len(bound.times), len(x_0)) and np.all(
        bound.terms[0] > bound.terms[-1]
    )


def test_all_times_make_the_bound_itself() -> None:
    schedule = make_schedule("linear", 12)
    x_0 = grid(3)
    noise = np.random.default_rng(4).normal(size=(12, *x_0.shape))

    def predict(x: Array, t: Array) -> tuple[Array, None]:
        return DATA.predict_x0(schedule, x, t), None

    found = bound_bits(schedule, predict, x_0, lambda i: noise[i])
    expected = bits_per_dim(variational_bound(schedule, predict, x_0, noise), 2)
    np.testing.assert_allclose(found.each, expected)
    assert found.times == tuple(range(1, 13))


@pytest.mark.parametrize(("T", "count"), [(1000, 20), (10, 50), (2, 1), (1, 5), (7, 3)])
def test_every_step_is_stood_for(T: int, count: int) -> None:
    times, stands_for = spread_times(T, count)
    assert stands_for.sum() == T and min(stands_for) >= 1
    assert times[0] == 1 and sorted(set(times)) == list(times) and times[-1] <= T
    assert len(times) <= count + 1


@pytest.mark.parametrize("power", [0.7, 1.0, 1.5])
def test_few_times_are_enough_for_what_falls_like_terms_do(power: float) -> None:
    times, stands_for = spread_times(1000, 40)
    terms = np.arange(1, 1001.0) ** -power
    assert stands_for @ terms[np.array(times) - 1] == pytest.approx(terms.sum(), rel=0.01)


def test_a_wrong_solver_is_refused() -> None:
    schedule = make_schedule("cosine", 10)
    with pytest.raises(ValueError, match="solver 'rk45'"):
        flow_log_density(schedule, probe_of(schedule), MEAN[None], [], solver="rk45")


def test_a_bin_of_a_normal_distribution_is_known() -> None:
    """The judge's judge: one dimension of exact_bits, by its distribution function."""
    marginal = 0.5  # of the first value
    x = 10 / 127.5 - 1 + 0.9
    inside = ndtr((x + 1 / 255 - 0.3) / marginal) - ndtr((x - 1 / 255 - 0.3) / marginal)
    density = math.exp(-0.5 * ((x - 0.3) / marginal) ** 2) / (marginal * math.sqrt(2 * math.pi))
    assert inside == pytest.approx(density * 2 / 255, rel=1e-4)
