"""The samplers against what is known in closed form about their results."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from ddpm_mindspore.reference.oracle import Mixture, gaussian
from ddpm_mindspore.reference.process import q_posterior
from ddpm_mindspore.reference.samplers import ancestral, ddim
from ddpm_mindspore.reference.schedule import SCHEDULES, Schedule, make_schedule, spaced_timesteps

Array = NDArray[np.float64]
every_name = pytest.mark.parametrize("name", SCHEDULES)
MEAN, COV = np.array([0.3, -0.5]), np.array([[0.5, 0.2], [0.2, 0.3]])
GAUSSIAN = gaussian(MEAN, COV)
TWO = Mixture(
    np.array([0.35, 0.65]), np.array([[-1.0, 0.4], [0.8, -0.2]]), np.stack([COV / 8, COV.T / 20])
)


def draw(n: int, batch: int = 3, size: int = 2) -> tuple[Array, Array]:
    rng = np.random.default_rng(n)
    return rng.standard_normal((batch, size)), rng.standard_normal((n, batch, size))


def whole(
    schedule: Schedule, predict: Any, x_T: Array, noise: Array, *, clip: bool = False
) -> Array:
    """Ancestral sampling over all steps."""
    every = range(schedule.T, 0, -1)
    return ancestral.sample(schedule, predict, x_T, timesteps=every, noise=noise, clip=clip)


@every_name
@pytest.mark.parametrize("T", [1, 2, 25])
def test_ancestral_sampling_is_algorithm_2(name: str, T: int) -> None:
    """Posterior mean plus its standard deviation times the noise of that very step."""
    schedule, predict = make_schedule(name, T), partial(TWO.predict_x0, make_schedule(name, T))
    x_T, noise = draw(T)
    x = x_T
    for i, t in enumerate(range(T, 0, -1)):
        when = np.full(3, t)
        mean, var, _ = q_posterior(schedule, predict(x, when), x, when)
        x = mean + np.sqrt(var) * noise[i]
    np.testing.assert_allclose(whole(schedule, predict, x_T, noise), x, rtol=1e-9, atol=1e-12)


def moments(sampler: Callable[[Array, Array], Array], n: int, size: int = 2) -> tuple[Array, Array]:
    """Exact mean and covariance of an affine sampler: feed it zeros, then each unit input alone."""
    units = np.eye((n + 1) * size).reshape(-1, n + 1, size)
    inputs = np.concatenate([np.zeros((1, n + 1, size)), units])
    results = sampler(inputs[:, 0], inputs[:, 1:].swapaxes(0, 1))
    columns = results[1:] - results[0]
    return results[0], columns.T @ columns


def ancestral_moments(schedule: Schedule, n: int) -> tuple[Array, Array]:
    predict = partial(GAUSSIAN.predict_x0, schedule)
    path = spaced_timesteps(schedule.T, n)
    return moments(lambda x, z: ancestral.sample(schedule, predict, x, timesteps=path, noise=z), n)


@every_name
def test_ancestral_sampling_reproduces_mean_and_covariance(name: str) -> None:
    """From x_T ~ N(0, I) the result is exactly Gaussian; its error falls as 1 / steps."""
    schedule = make_schedule(name, 1024)
    errors = []
    for n in (64, 128, 256, 512):
        mean, cov = ancestral_moments(schedule, n)
        errors.append((np.abs(mean - MEAN).max(), np.abs(cov - COV).max()))
    of_mean, of_cov = np.array(errors).T
    assert np.all((of_cov[:-1] / of_cov[1:] > 1.7) & (of_cov[:-1] / of_cov[1:] < 2.2))
    assert of_cov[-1] < 0.011
    # The mean is only wrong by what x_T ~ N(0, I) leaves out: sqrt(alpha_bar_T) mu, shrunk.
    assert np.all(of_mean <= schedule.sqrt_alpha_bar[-1])
    mean, _ = ancestral_moments(make_schedule(name, 64, zero_terminal_snr=True), 64)
    np.testing.assert_allclose(mean, MEAN, rtol=1e-12)


@every_name
@pytest.mark.parametrize("eta", [0.0, 0.6, 1.0])
def test_one_value_follows_the_variance_recursion(name: str, eta: float) -> None:
    """For N(mu, lam) one DDIM step multiplies x_t by a known factor and adds known noise."""
    T, n, lam = 64, 16, 0.36
    schedule, path = make_schedule(name, T), spaced_timesteps(T, n)
    predict = partial(gaussian(np.zeros(1), np.array([[lam]])).predict_x0, schedule)
    a = schedule.alpha_bar
    var = 1.0
    for t, s in zip(path, (*path[1:], 0), strict=True):
        gain = np.sqrt(a[t]) * lam / (a[t] * lam + 1 - a[t])
        sigma2 = eta**2 * (1 - a[s]) / (1 - a[t]) * (1 - a[t] / a[s])
        to_eps = (1 - np.sqrt(a[t]) * gain) / np.sqrt(1 - a[t])
        factor = np.sqrt(a[s]) * gain + np.sqrt(max(0, 1 - a[s] - sigma2)) * to_eps
        var = factor**2 * var + sigma2
    _, cov = moments(
        lambda x, z: ddim.sample(schedule, predict, x, timesteps=path, eta=eta, noise=z), n, size=1
    )
    assert cov[0, 0] == pytest.approx(var, rel=1e-9)


@every_name
@pytest.mark.parametrize("n", [40, 11])
@pytest.mark.parametrize("zero", [False, True])
@pytest.mark.parametrize("clip", [False, True])
def test_ddim_with_eta_1_takes_the_ancestral_steps(
    name: str, n: int, zero: bool, clip: bool
) -> None:
    """Same mean and same variance at every step, hence with the same noise the same result."""
    schedule = make_schedule(name, 40, zero_terminal_snr=zero)
    predict, path = partial(TWO.predict_x0, schedule), spaced_timesteps(40, n)
    x_T, noise = draw(n, batch=20)
    one = ancestral.sample(schedule, predict, x_T, timesteps=path, noise=noise, clip=clip)
    other = ddim.sample(schedule, predict, x_T, timesteps=path, eta=1.0, noise=noise, clip=clip)
    np.testing.assert_allclose(one, other, rtol=1e-6, atol=1e-9)


@every_name
@pytest.mark.parametrize("eta", [0.0, 0.5, 1.0])
def test_ddim_keeps_the_marginals_of_the_forward_process(name: str, eta: float) -> None:
    """Told the true x_0, a step must carry q(x_t | x_0) to q(x_s | x_0): 2010.02502, lemma 1."""
    schedule, x_0 = make_schedule(name, 30), 0.7
    for t, s in ((30, 22), (22, 21), (9, 3), (2, 1)):
        # The chain t, s, 0 ends in x_0 itself; spy on x_s as the denoiser is given it.
        seen: list[Array] = []

        def predict(x: Array, when: Array, seen: list[Array] = seen) -> Array:
            seen.append(x)
            return np.full_like(x, x_0)

        sigma_t = schedule.sqrt_one_minus_alpha_bar[t]
        start = schedule.sqrt_alpha_bar[t] * x_0 + sigma_t * np.array([[0.0], [1.0], [0.0]])
        noise = np.zeros((2, 3, 1))
        noise[0, 2] = 1.0
        ddim.sample(schedule, predict, start, timesteps=(t, s), eta=eta, noise=noise)
        middle, by_eps, by_noise = seen[1][:, 0] - np.array([0.0, *seen[1][:1, 0].repeat(2)])
        assert middle == pytest.approx(schedule.sqrt_alpha_bar[s] * x_0, rel=1e-12)
        assert by_eps**2 + by_noise**2 == pytest.approx(1 - schedule.alpha_bar[s], rel=1e-9)
        assert (by_noise > 0) == (eta > 0)


@every_name
def test_ddim_converges_to_the_probability_flow_with_order_1(name: str) -> None:
    """For N(mu, lam) the flow keeps (x_t - sqrt(a) mu) / sqrt(a lam + 1 - a) constant."""
    schedule = make_schedule(name, 2048)
    a, predict = schedule.alpha_bar[-1], partial(GAUSSIAN.predict_x0, schedule)
    x_T, _ = draw(1, batch=4)
    spreads, axes = np.linalg.eigh(COV)
    scaled = (x_T - np.sqrt(a) * MEAN) @ axes * np.sqrt(spreads / (a * spreads + 1 - a))
    exact = MEAN + scaled @ axes.T
    errors = []
    for n in (32, 64, 128, 256, 512):
        x_0 = ddim.sample(schedule, predict, x_T, timesteps=spaced_timesteps(2048, n))
        errors.append(np.abs(x_0 - exact).max())
    ratios = np.array(errors[:-1]) / errors[1:]
    # Latent diffusion's noise begins at 0.03 of the signal: its last step stays long.
    low = 1.75 if name == "scaled_linear" else 1.85
    assert np.all((ratios > low) & (ratios < 2.1)), ratios
    assert errors[-1] < 0.01


@pytest.mark.parametrize("eta", [0.0, 0.5, 1.0])
def test_a_mixture_is_reproduced(eta: float) -> None:
    """Mean, covariance and the share of each component, within 5 standard errors and a bias."""
    n, steps = 4000, 100
    schedule = make_schedule("cosine", steps)
    rng = np.random.default_rng(11)
    x_T, noise = rng.standard_normal((n, 2)), rng.standard_normal((steps, n, 2))
    predict = partial(TWO.predict_x0, schedule)
    x_0 = ddim.sample(schedule, predict, x_T, timesteps=range(steps, 0, -1), eta=eta, noise=noise)
    mean, cov = TWO.marginal(schedule, 0)
    # The finite chain's own bias, measured with 100,000 samples: 0.007 and 0.012.
    error = 5 / np.sqrt(n)
    assert np.all(np.abs(x_0.mean(axis=0) - mean) < error * np.sqrt(np.diag(cov)) + 0.008)
    assert np.all(np.abs(np.cov(x_0.T) - cov) < error * np.sqrt(2) * np.abs(cov).max() + 0.013)
    left = np.mean(x_0[:, 0] < -0.2)
    assert abs(left - 0.35) < error * np.sqrt(0.35 * 0.65) + 0.01


@every_name
def test_a_point_mass_is_reached_exactly(name: str) -> None:
    schedule = make_schedule(name, 50)
    predict = partial(gaussian(MEAN, np.zeros((2, 2))).predict_x0, schedule)
    x_T, noise = draw(50)
    for x_0 in (
        whole(schedule, predict, x_T, noise),
        ddim.sample(schedule, predict, x_T, timesteps=(50, 7)),
        ddim.sample(schedule, predict, x_T, timesteps=(50,), eta=1.0, noise=noise[:1]),
    ):
        np.testing.assert_array_equal(x_0, np.tile(MEAN, (3, 1)))


def far_away(x_t: Array, t: Array) -> Array:
    return 3.0 * np.sign(x_t) + 0.1 * x_t


@pytest.mark.parametrize("T", [1, 5])
def test_the_last_step_returns_the_last_estimate_without_noise(T: int) -> None:
    schedule = make_schedule("sigmoid", T)
    x_T, noise = draw(T)
    noise[-1] = np.nan
    estimates: list[Array] = []

    def predict(x: Array, t: Array) -> Array:
        estimates.append(far_away(x, t))
        return estimates[-1]

    for x_0 in (
        whole(schedule, predict, x_T, noise),
        ddim.sample(schedule, predict, x_T, timesteps=range(T, 0, -1), eta=1.0, noise=noise),
    ):
        np.testing.assert_array_equal(x_0, estimates[-1])
    noise[-1] = 0.0
    clipped = whole(schedule, far_away, x_T, noise, clip=True)
    assert np.all(np.abs(clipped) == 1.0)


def test_clipping_is_of_x0_hat_and_eps_follows_it() -> None:
    """One DDIM step by hand: eps_hat is what the clipped x0_hat leaves in x_t."""
    schedule = make_schedule("cosine", 10)
    x_T = np.array([[0.2, -1.4]])
    a_8, a_3 = schedule.alpha_bar[[8, 3]]
    seen: list[tuple[Array, Array]] = []

    def predict(x: Array, t: Array) -> Array:
        seen.append((x, t))
        return far_away(x, t)

    ddim.sample(schedule, predict, x_T, timesteps=(8, 3), clip=True)
    x0_hat = np.array([[1.0, -1.0]])
    eps_hat = (x_T - np.sqrt(a_8) * x0_hat) / np.sqrt(1 - a_8)
    expected = np.sqrt(a_3) * x0_hat + np.sqrt(1 - a_3) * eps_hat
    np.testing.assert_allclose(seen[1][0], expected, rtol=1e-14)
    assert [t.tolist() for _, t in seen] == [[8], [3]]
    assert seen[0][1].dtype.kind == "i"


def test_noise_i_belongs_to_step_i() -> None:
    schedule = make_schedule("linear", 6)
    x_T, noise = draw(6)
    predict = partial(TWO.predict_x0, schedule)
    base = whole(schedule, predict, x_T, noise)
    for i in range(6):
        changed = noise.copy()
        changed[i] += 1.0
        moved = whole(schedule, predict, x_T, changed)
        assert np.any(moved != base) == (i < 5)


def test_float32_stays_float32() -> None:
    schedule = make_schedule("cosine", 6)
    x_T, noise = (array.astype(np.float32) for array in draw(6))
    for x_0 in (
        whole(schedule, far_away, x_T, noise, clip=True),
        ddim.sample(schedule, far_away, x_T, timesteps=(6, 2), clip=True),
        ddim.sample(schedule, far_away, x_T, timesteps=(6, 2), eta=0.5, noise=noise[:2]),
    ):
        assert x_0.dtype == np.float32


@pytest.mark.parametrize(
    "timesteps", [(), (11, 5), (5, 5, 1), (3, 4), (5, 0), (5, -1), (5.5, 0.5), (1, 5)]
)
def test_wrong_timesteps_are_refused(timesteps: tuple[int, ...]) -> None:
    schedule = make_schedule("cosine", 10)
    x_T, noise = draw(len(timesteps))
    for call in (
        lambda: ancestral.sample(schedule, far_away, x_T, timesteps=timesteps, noise=noise),
        lambda: ddim.sample(schedule, far_away, x_T, timesteps=timesteps),
    ):
        with pytest.raises(ValueError, match="do not descend strictly from at most 10"):
            call()


def test_wrong_noise_eta_and_denoisers_are_refused() -> None:
    schedule = make_schedule("cosine", 10)
    x_T, noise = draw(10)
    with pytest.raises(ValueError, match=r"noise has shape \(9, 3, 2\): 10 steps .* need \(10, 3"):
        whole(schedule, far_away, x_T, noise[:9])
    with pytest.raises(ValueError, match=r"noise has shape \(10, 3, 2\): 2 steps"):
        ddim.sample(schedule, far_away, x_T, timesteps=(4, 2), eta=0.1, noise=noise)
    with pytest.raises(ValueError, match=r"eta 0\.1 needs noise of shape \(2,"):
        ddim.sample(schedule, far_away, x_T, timesteps=(4, 2), eta=0.1)
    for eta in (-0.1, 1.1, float("nan")):
        with pytest.raises(ValueError, match=r"eta .* is outside 0\.\.1"):
            ddim.sample(schedule, far_away, x_T, timesteps=(4, 2), eta=eta, noise=noise[:2])
    with pytest.raises(ValueError, match=r"x0_hat has shape \(3, 1\), x_t has \(3, 2\)"):
        whole(schedule, lambda x, t: x[:, :1], x_T, noise)
