"""What all samplers have in common, what they have of each other, and the noise of some."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from ddpm_mindspore.reference.oracle import Mixture, gaussian
from ddpm_mindspore.reference.samplers import SAMPLERS
from ddpm_mindspore.reference.samplers.polynomial import mean_weights, sigma_weights
from ddpm_mindspore.reference.schedule import levels_at, make_schedule
from ddpm_mindspore.reference.spacing import make_timesteps

Array = NDArray[np.float64]
MEAN, COV = np.array([0.3, -0.5]), np.array([[0.5, 0.2], [0.2, 0.3]])
TWO = Mixture(
    np.array([0.35, 0.65]), np.array([[-1.0, 0.4], [0.8, -0.2]]), np.stack([COV / 8, COV.T / 20])
)
SCHEDULE = make_schedule("cosine", 100)
PREDICT = partial(TWO.predict_x0, SCHEDULE)
RNG = np.random.default_rng(0)
X_T, NOISE = RNG.standard_normal((3, 2)), RNG.standard_normal((100, 3, 2))
every_sampler = pytest.mark.parametrize("name", SAMPLERS)

STOCHASTIC: list[tuple[str, dict[str, Any]]] = [
    ("ancestral", {}),
    ("ancestral", {"variance": "beta"}),
    ("ddim", {"eta": 1.0}),
    ("dpm++2m-sde", {}),
    ("euler", {"s_churn": 20.0}),
    ("heun", {"s_churn": 20.0, "s_tmax": 50.0}),
]


def draw(name: str, n: int = 7, spacing: str = "uniform", **options: Any) -> Array:
    times = make_timesteps(SCHEDULE, n, spacing)
    return SAMPLERS[name](SCHEDULE, PREDICT, X_T, timesteps=times, noise=NOISE[:n], **options)


@pytest.mark.parametrize("spacing", ["uniform", "karras"])
def test_some_are_others_where_they_have_to_be(spacing: str) -> None:
    ddim = draw("ddim", spacing=spacing)
    np.testing.assert_allclose(draw("euler", spacing=spacing), ddim, rtol=1e-10)
    np.testing.assert_allclose(draw("deis", spacing=spacing, order=1), ddim, rtol=1e-9)
    for name in ("heun", "plms", "dpm++2s", "dpm++2m", "dpm++3m", "unipc", "deis"):
        assert np.abs(draw(name, spacing=spacing) - ddim).max() > 1e-4
    # In one step to the data all of them give the estimate.
    for name in SAMPLERS:
        only = draw(name, n=1, spacing=spacing)
        np.testing.assert_allclose(only, PREDICT(X_T, np.full(3, 100)), rtol=1e-9)
    # In two steps, without history, the SDE's first one is ancestral.
    two = [draw(name, n=2, spacing=spacing) for name in ("ancestral", "dpm++2m-sde")]
    np.testing.assert_allclose(*two, rtol=1e-9)


def test_the_first_of_several_orders_is_what_a_short_history_leaves() -> None:
    second, third = draw("dpm++2m", n=2), draw("dpm++3m", n=2)
    np.testing.assert_allclose(second, third, rtol=1e-12)
    np.testing.assert_allclose(draw("deis", n=2, order=2), draw("deis", n=2), rtol=1e-12)
    assert np.abs(draw("deis", n=3, order=2) - draw("deis", n=3)).max() > 1e-4
    assert np.abs(draw("unipc", order=2) - draw("unipc", order=3)).max() > 1e-4
    assert np.abs(draw("unipc", variant="bh1") - draw("unipc", variant="bh2")).max() > 1e-4


@every_sampler
def test_a_point_mass_is_reached_exactly(name: str) -> None:
    predict = partial(gaussian(MEAN, np.zeros((2, 2))).predict_x0, SCHEDULE)
    for spacing in ("uniform", "log_snr"):
        times = make_timesteps(SCHEDULE, 9, spacing)
        found = SAMPLERS[name](SCHEDULE, predict, X_T, timesteps=times, noise=NOISE[:9])
        np.testing.assert_allclose(found, np.tile(MEAN, (3, 1)), rtol=1e-9)


@every_sampler
def test_the_last_step_adds_no_noise(name: str) -> None:
    options = {"eta": 1.0} if name == "ddim" else {}
    noise = NOISE[:5].copy()
    noise[-1] = np.nan
    times = make_timesteps(SCHEDULE, 5)
    found = SAMPLERS[name](SCHEDULE, PREDICT, X_T, timesteps=times, noise=noise, **options)
    assert np.all(np.isfinite(found))


@every_sampler
def test_clipping_is_of_every_estimate_and_float32_stays(name: str) -> None:
    def far_away(x_t: Array, t: Array) -> Array:
        return (3.0 * np.sign(x_t) + 0.1 * x_t).astype(x_t.dtype)

    times = make_timesteps(SCHEDULE, 6, "karras")
    arrays = X_T.astype(np.float32), NOISE[:6].astype(np.float32)
    found = SAMPLERS[name](
        SCHEDULE, far_away, arrays[0], timesteps=times, noise=arrays[1], clip=True
    )
    assert found.dtype == np.float32
    if name not in ("plms", "deis"):  # their last step is no estimate
        np.testing.assert_allclose(np.abs(found), 1.0, rtol=1e-5)


@every_sampler
def test_times_between_the_whole_ones_are_told_as_they_are(name: str) -> None:
    seen: list[float] = []

    def predict(x_t: Array, t: Array) -> Array:
        assert t.shape == (3,) and np.all(t == t[0])
        seen.append(t[0].item())
        return PREDICT(x_t, t)

    SAMPLERS[name](SCHEDULE, predict, X_T, timesteps=(100, 40.25, 7), noise=NOISE[:3])
    assert seen[0] == 100 and {40.25, 7} <= set(seen)
    extra = {"heun": 2, "plms": 1, "dpm++2s": 2}.get(name, 0)
    assert len(seen) == 3 + extra
    if name == "dpm++2s":
        half = np.log(np.divide(*levels_at(SCHEDULE, [100, seen[1], 40.25])))
        assert half[1] == pytest.approx((half[0] + half[2]) / 2)


def moments(name: str, n: int, **options: Any) -> tuple[Array, Array]:
    """Exact mean and covariance of what an affine sampler draws: zeros, then each input alone."""
    predict = partial(gaussian(MEAN, COV).predict_x0, SCHEDULE)
    units = np.eye((n + 1) * 2).reshape(-1, n + 1, 2)
    inputs = np.concatenate([np.zeros((1, n + 1, 2)), units])
    x_T, noise = inputs[:, 0], inputs[:, 1:].swapaxes(0, 1)
    times = make_timesteps(SCHEDULE, n, "log_snr")
    results = SAMPLERS[name](SCHEDULE, predict, x_T, timesteps=times, noise=noise, **options)
    columns = results[1:] - results[0]
    return results[0], columns.T @ columns


@pytest.mark.parametrize(("name", "options"), STOCHASTIC)
def test_noise_has_the_right_variance_in_the_limit(name: str, options: dict[str, Any]) -> None:
    """Exactly: the mean is right, and the covariance's error falls as 1 / steps, or faster."""
    error = []
    for n in (25, 50, 100):
        churn = {"s_churn": 5.0} if "s_churn" in options else {}
        mean, cov = moments(name, n, **{**options, **churn})
        assert np.abs(mean - MEAN).max() < 1e-3
        error.append(np.abs(cov - COV).max())
    assert error[2] < 0.62 * error[1] < 0.42 * error[0], error
    assert error[2] < 0.06


@pytest.mark.parametrize(("name", "options"), STOCHASTIC)
@pytest.mark.parametrize("wrong", [1.0, 1.2])
def test_a_mixture_is_reproduced(name: str, options: dict[str, Any], wrong: float) -> None:
    """Mean, covariance and the share of each component, within 5 standard errors and a bias."""
    count, n = 4000, 100
    rng = np.random.default_rng(11)
    x_T, noise = rng.standard_normal((count, 2)), wrong * rng.standard_normal((n, count, 2))
    times = make_timesteps(SCHEDULE, n, "log_snr")
    x_0 = SAMPLERS[name](SCHEDULE, PREDICT, x_T, timesteps=times, noise=noise, **options)
    mean, cov = TWO.marginal(SCHEDULE, 0)
    error = 5 / np.sqrt(count)
    off_mean = np.abs(x_0.mean(axis=0) - mean) / (error * np.sqrt(np.diag(cov)) + 0.008)
    off_cov = np.abs(np.cov(x_0.T) - cov) / (error * np.sqrt(2) * np.abs(cov).max() + 0.013)
    within = [np.cov(x_0[x_0[:, 0] < -0.2].T), np.cov(x_0[x_0[:, 0] > -0.2].T)]
    off_each = [np.abs(c / w - 1)[[0, 1], [0, 1]] for c, w in zip(within, TWO.covs, strict=True)]
    share = abs(np.mean(x_0[:, 0] < -0.2) - 0.35) / (error * np.sqrt(0.35 * 0.65) + 0.01)
    worst = max(off_mean.max(), off_cov.max(), share, np.max(off_each) / 0.25)
    assert (worst < 1.0) == (wrong == 1.0), worst


def test_beta_is_the_variance_of_the_step_that_is_undone() -> None:
    """Of x_{t-1} given x_t for data N(0, I), where every x_t is N(0, I) too: exactly so."""
    predict = partial(gaussian(np.zeros(2), np.eye(2)).predict_x0, SCHEDULE)
    n = 100
    units = np.eye((n + 1) * 2).reshape(-1, n + 1, 2)
    found = SAMPLERS["ancestral"](
        SCHEDULE,
        predict,
        units[:, 0],
        timesteps=range(100, 0, -1),
        noise=units[:, 1:].swapaxes(0, 1),
        variance="beta",
    )
    # All but the last step, which takes away what noise is left.
    kept = SCHEDULE.sqrt_alpha_bar[1] ** 2
    np.testing.assert_allclose(found.T @ found, kept * np.eye(2), atol=1e-9)


def test_weights_are_those_of_the_books() -> None:
    """Adams and Bashforth's, and integrals that are known."""
    np.testing.assert_allclose(mean_weights([0, 1], 0, -1), [1.5, -0.5])
    ab_4 = np.array([55, -59, 37, -9]) / 24
    np.testing.assert_allclose(mean_weights([30, 40, 50, 60], 30, 20), ab_4)
    sigma = np.divide(*levels_at(SCHEDULE, np.array([20.0, 12.5, 0.0]))[::-1])
    for end, there in ((12.5, sigma[1]), (0.0, sigma[2])):
        one = sigma_weights(SCHEDULE, [20], 20, end)
        assert one[0] == pytest.approx(there - sigma[0])
        three = sigma_weights(SCHEDULE, [20, 30, 45], 20, end)
        assert sum(three) == pytest.approx(one[0])
    # The integral of t d sigma, by parts and on a fine grid.
    t = np.linspace(20.0, 12.5, 200_001)
    s = np.divide(*levels_at(SCHEDULE, t)[::-1])
    fine = np.sum((t[1:] + t[:-1]) / 2 * np.diff(s))
    three = sigma_weights(SCHEDULE, [20, 30, 45], 20, 12.5)
    assert np.dot(three, [20, 30, 45]) == pytest.approx(fine, rel=1e-9)


def test_options_of_others_are_refused_by_name() -> None:
    for name, options, told in (
        ("heun", {"eta": 0.5}, "eta 0.5 is no option of sampler 'heun': ddim has it"),
        (
            "ddim",
            {"s_churn": 1.0},
            "s_churn 1.0 is no option of sampler 'ddim': euler, heun have it",
        ),
        ("plms", {"order": 2}, "order 2 is no option of sampler 'plms': unipc, deis have it"),
        ("ddim", {"speed": 2}, "speed 2 is no option of sampler 'ddim': none have it"),
        ("unipc", {"order": 4}, "order 4 of sampler 'unipc' is unknown: choose 2 or 3"),
        ("deis", {"order": 4}, "order 4 of sampler 'deis' is unknown: choose 1, 2 or 3"),
        ("unipc", {"variant": "bh3"}, "variant 'bh3' is unknown"),
        ("ancestral", {"variance": "large"}, "variance 'large' is unknown"),
        ("euler", {"s_churn": -1.0}, "s_churn -1.0 must not be negative"),
    ):
        with pytest.raises(ValueError, match=told):
            draw(name, **options)


def test_noise_is_asked_for_where_it_is_added() -> None:
    for name, options in STOCHASTIC:
        with pytest.raises(ValueError, match=r"needs noise of shape \(4, \*x_T.shape\)"):
            SAMPLERS[name](SCHEDULE, PREDICT, X_T, timesteps=make_timesteps(SCHEDULE, 4), **options)
