"""Inpainting and restoration against the exact conditional distribution of Gaussian data."""

from __future__ import annotations

from functools import partial
from itertools import pairwise
from typing import Any

import autograd.numpy as anp
import numpy as np
import pytest

from ddpm_mindspore.reference.degradations import (
    Degradation,
    blurred,
    downsampled,
    grey,
    masked,
    noisy,
)
from ddpm_mindspore.reference.oracle import conditional, gaussian
from ddpm_mindspore.reference.samplers import ancestral
from ddpm_mindspore.reference.schedule import Array, make_schedule, spaced_timesteps
from ddpm_mindspore.reference.tasks import super_resolution
from ddpm_mindspore.reference.tasks.inpainting import repaint
from ddpm_mindspore.reference.tasks.paths import with_jumps
from ddpm_mindspore.reference.tasks.posterior_sampling import dps, misfit_gradient
from ddpm_mindspore.reference.tasks.restoration import ddnm, weights

T, COUNT, SHAPE = 100, 1000, (3, 2, 2)
SCHEDULE = make_schedule("cosine", T)
EVERY = tuple(range(T, 0, -1))
MASK = np.array([[1.0, 0.0], [0.0, 1.0]])


def covariance(size: int) -> Array:
    root = np.random.default_rng(7).standard_normal((size, size))
    cov: Array = 0.25 * (root @ root.T / size + 0.1 * np.eye(size))
    return cov


SIZE = int(np.prod(SHAPE))
MEAN = 0.3 * np.random.default_rng(8).standard_normal(SHAPE)
COV = covariance(SIZE)
DATA = gaussian(MEAN, COV)
predict = partial(DATA.predict_x0, SCHEDULE)
TRUTH = DATA.sample(np.random.default_rng(9), 1)
START = np.random.default_rng(10).standard_normal((COUNT, *SHAPE))


def noise(i: int) -> Array:
    return np.random.default_rng(1000 + i).standard_normal((COUNT, *SHAPE))


def measured(of: Degradation, sigma_y: float) -> Array:
    y = of(TRUTH)
    return y + sigma_y * np.random.default_rng(11).standard_normal(y.shape)


def errors(of: Degradation, y: Array, sigma_y: float, drawn: Array) -> tuple[float, float]:
    """Of the mean, as a share of the data's deviation, and of the covariance, of the data's."""
    mean, cov = conditional(MEAN.ravel(), COV, of.matrix, y.ravel(), sigma_y)
    flat = drawn.reshape(len(drawn), -1)
    of_mean = np.linalg.norm(flat.mean(0) - mean) / np.sqrt(np.trace(COV))
    return float(of_mean), float(np.linalg.norm(np.cov(flat.T) - cov) / np.linalg.norm(COV))


def unconditional() -> Array:
    every = np.stack([noise(i) for i in range(T)])
    return ancestral.sample(
        SCHEDULE, predict, START, timesteps=range(SCHEDULE.T, 0, -1), noise=every
    )


def paint(repeats: int, length: int = 1) -> Array:
    known = np.where(MASK, TRUTH, np.nan)  # what is not known is not read
    known = np.repeat(known, COUNT, 0)
    return repaint(
        SCHEDULE, predict, START, known, MASK,
        timesteps=EVERY, noise=noise, jump_length=length, jump_repeats=repeats,
    )  # fmt: skip


def restore(of: Degradation, sigma_y: float, **options: Any) -> tuple[Array, Array]:
    y = measured(of, sigma_y)
    options = {"timesteps": EVERY, "noise": noise, "sigma_y": sigma_y} | options
    return y, ddnm(SCHEDULE, predict, START, np.repeat(y, COUNT, 0), of, **options)


def test_resampling_leads_repaint_to_the_exact_conditional_distribution() -> None:
    of = masked(MASK, SHAPE)
    y = of(TRUTH)
    found = {repeats: paint(repeats) for repeats in (1, 4, 12)}
    means, covs = zip(*(errors(of, y, 0.0, drawn) for drawn in found.values()), strict=True)
    worse = errors(of, y, 0.0, unconditional())
    assert worse[0] > 2 * means[0] > 4 * means[1] > 7 * means[2]
    assert means[2] < 0.08  # with 1,000 draws the standard error is about 0.02
    assert worse[1] > 3 * covs[0]
    assert covs[2] < 0.1
    for drawn in found.values():
        np.testing.assert_array_equal((drawn - TRUTH)[..., MASK == 1.0], 0.0)


def test_longer_jumps_do_it_too() -> None:
    of = masked(MASK, SHAPE)
    once, again = (errors(of, of(TRUTH), 0.0, paint(n, length=10)) for n in (1, 8))
    assert again[0] < 0.5 * once[0]


@pytest.mark.parametrize(
    "of", [masked(MASK, SHAPE), downsampled(SHAPE, 2), grey(SHAPE), blurred(SHAPE, 0.4)],
    ids=lambda of: of.name,
)  # fmt: skip
def test_ddnm_keeps_to_the_measurement_and_is_near_the_conditional(of: Degradation) -> None:
    y, drawn = restore(of, 0.0)
    np.testing.assert_allclose(of(drawn), np.repeat(y, COUNT, 0), atol=1e-9)
    worse = errors(of, y, 0.0, unconditional())
    once = errors(of, y, 0.0, drawn)
    assert once[0] < 0.7 * worse[0]
    assert once[1] < 0.5 * worse[1]


def test_time_travel_leads_ddnm_nearer() -> None:
    of = masked(MASK, SHAPE)
    (y, once), (_, again) = restore(of, 0.0), restore(of, 0.0, jump_repeats=5)
    assert errors(of, y, 0.0, again)[0] < 0.5 * errors(of, y, 0.0, once)[0]


def test_without_noise_ddnm_plus_is_ddnm_and_nothing_lost_gives_it_back() -> None:
    """But for the last step, whose estimate DDNM+ leaves as it is."""
    of = downsampled(SHAPE, 2)
    off = restore(of, 0.0)[1] - restore(of, 1e-12)[1]
    assert np.sqrt(np.mean(off**2)) < 0.05
    np.testing.assert_allclose(restore(noisy(SHAPE), 0.0)[1], np.repeat(TRUTH, COUNT, 0))


@pytest.mark.parametrize("of", [noisy(SHAPE), downsampled(SHAPE, 2)], ids=lambda of: of.name)
def test_ddnm_plus_knows_of_the_noise(of: Degradation) -> None:
    """Over many y: nearer to the conditional mean than without y, or with its noise for truth."""
    truth = DATA.sample(np.random.default_rng(12), COUNT)
    y = of(truth) + 0.4 * np.random.default_rng(13).standard_normal((COUNT, *of.measured))
    means = np.stack([conditional(MEAN.ravel(), COV, of.matrix, v.ravel(), 0.4)[0] for v in y])
    left = np.trace(conditional(MEAN.ravel(), COV, of.matrix, y[0].ravel(), 0.4)[1])

    def off(drawn: Array) -> float:
        """The mean square distance to the conditional mean; 1 for exact draws."""
        return float(np.mean(np.sum((drawn.reshape(COUNT, -1) - means) ** 2, 1)) / left)

    steps = spaced_timesteps(T, 10)
    found, naive = (
        off(ddnm(SCHEDULE, predict, START, y, of, timesteps=steps, noise=noise, sigma_y=sigma_y))
        for sigma_y in (0.4, 0.0)
    )
    assert found < 1.1
    assert off(unconditional()) > 1.2 * found
    assert naive > 1.2 * found


def test_the_noise_of_each_direction_is_what_the_step_should_have() -> None:
    """gamma + (a sigma_y lambda / S)^2 = sigma^2, and lambda as large as that allows."""
    of = blurred((1, 6, 6), 0.7)
    seen = set()
    for t, s in ((50, 45), (30, 10), (5, 1), (2, 1)):
        share, var = weights(SCHEDULE, t, s, of, 0.5)
        a_ts = SCHEDULE.alpha_bar[t] / SCHEDULE.alpha_bar[s]
        a_t, a_s = SCHEDULE.alpha_bar[t], SCHEDULE.alpha_bar[s]
        sigma2 = (1 - a_ts) * (1 - a_s) / (1 - a_t)
        brought = np.sqrt(a_s) * (1 - a_ts) / (1 - a_t) * share * 0.5 * of.inverse
        np.testing.assert_allclose(var + brought**2, sigma2, atol=1e-15)
        assert np.all((share == 1.0) | (var < 1e-15))
        seen |= set((share == 1.0).ravel().tolist())
    assert seen == {True, False}


@pytest.mark.parametrize(
    ("of", "sigma_y"),
    [(masked(MASK, SHAPE), 0.0), (downsampled(SHAPE, 2), 0.0), (grey(SHAPE), 0.1)],
    ids=lambda value: getattr(value, "name", value),
)
def test_dps_comes_nearer_than_not_looking(of: Degradation, sigma_y: float) -> None:
    y = measured(of, sigma_y)
    drawn = dps(
        SCHEDULE, predict, START, np.repeat(y, COUNT, 0), of,
        timesteps=EVERY, noise=noise, scale=0.2,
    )  # fmt: skip
    found, worse = errors(of, y, sigma_y, drawn), errors(of, y, sigma_y, unconditional())
    assert found[0] < 0.5 * worse[0]
    assert found[1] < 0.7 * worse[1]


def test_dps_with_no_scale_is_ancestral_sampling() -> None:
    of = grey(SHAPE)
    y = np.repeat(of(TRUTH), COUNT, 0)
    drawn = dps(SCHEDULE, predict, START, y, of, timesteps=EVERY, noise=noise, scale=0.0)
    np.testing.assert_allclose(drawn, unconditional(), atol=1e-12)


@pytest.mark.parametrize("clip", [False, True])
def test_the_misfits_gradient_is_its_difference_quotient(clip: bool) -> None:
    of = blurred(SHAPE, 0.6)
    y = np.repeat(of(TRUTH), 2, 0)

    def curved(x: Array, t: Array) -> Array:
        x0_hat: Array = 1.5 * anp.sin(x) + 0.1 * x**2
        return x0_hat

    def misfit(x: Array) -> Array:
        x0_hat = curved(x, np.full(2, 30))
        x0_hat = np.clip(x0_hat, -1, 1) if clip else x0_hat
        apart = of(x0_hat) - np.repeat(of(TRUTH), 2, 0)
        norm: Array = np.sqrt(np.sum(apart.reshape(2, -1) ** 2, 1))
        return norm

    x = np.random.default_rng(3).standard_normal((2, *SHAPE))
    _, found = misfit_gradient(curved, x, 30, y, of, clip)
    for place in np.ndindex(SHAPE):
        away = np.zeros_like(x)
        away[(slice(None), *place)] = 1e-6
        slope = (misfit(x + away) - misfit(x - away)) / 2e-6
        np.testing.assert_allclose(found[(slice(None), *place)], slope, atol=1e-7)


def test_where_nothing_is_off_there_is_no_gradient() -> None:
    of, x = noisy(SHAPE), np.ones((1, *SHAPE))
    _, same = misfit_gradient(lambda x, t: 1.0 * x, x, 3, of(x), of)
    np.testing.assert_array_equal(same, 0.0)


@pytest.mark.parametrize(
    ("length", "repeats", "expected"),
    [
        (1, 1, [(9, 6), (6, 3), (3, 1), (1, 0)]),
        (1, 2, [(9, 6), (6, 9), (9, 6), (6, 3), (3, 6), (6, 3), (3, 1), (1, 3), (3, 1), (1, 0)]),
        (3, 2, [(9, 6), (6, 3), (3, 1), (1, 3), (3, 6), (6, 9), (9, 6), (6, 3), (3, 1), (1, 0)]),
        (4, 5, [(9, 6), (6, 3), (3, 1), (1, 0)]),
    ],
)
def test_where_a_walk_with_jumps_goes(
    length: int, repeats: int, expected: list[tuple[int, int]]
) -> None:
    assert with_jumps((9, 6, 3, 1), length, repeats) == expected


def test_jumps_are_counted() -> None:
    """One pass has T moves; each of T - 1 stretches adds 2 (repeats - 1)."""
    moves = with_jumps(EVERY, 1, 5)
    assert len(moves) == T + 2 * 4 * (T - 1)
    assert sum(s > t for t, s in moves) == 4 * (T - 1)
    for (_, there), (here, _) in pairwise(moves):
        assert there == here


def test_the_small_image_is_what_the_degradation_leaves() -> None:
    x = np.random.default_rng(0).standard_normal((2, 3, 4, 6))
    of = downsampled((3, 4, 6), 2)
    np.testing.assert_allclose(super_resolution.small(x, 2), of(x), atol=1e-12)
    shown = super_resolution.shown(x, 2)
    np.testing.assert_allclose(shown, of.pseudo_inverse(of(x)), atol=1e-12)
    single = x.astype(np.float32)
    assert super_resolution.shown(single, 2).dtype == np.float32
    np.testing.assert_array_equal(super_resolution.shown(x, 1), x)
    line = np.arange(6.0).reshape(1, 1, 6)
    np.testing.assert_array_equal(super_resolution.shown(line, 3), [[[1, 1, 1, 4, 4, 4]]])
    with pytest.raises(ValueError, match="factor 4 does not divide 4 x 6"):
        super_resolution.small(x, 4)


def test_what_cannot_be_meant_is_refused() -> None:
    of = masked(MASK, SHAPE)
    y = np.repeat(of(TRUTH), COUNT, 0)
    said = {"timesteps": (9, 3), "noise": noise}
    with pytest.raises(ValueError, match="do not descend strictly"):
        ddnm(SCHEDULE, predict, START, y, of, timesteps=(3, 9), noise=noise)
    with pytest.raises(ValueError, match=r"sigma_y -1\.0 must not be negative"):
        ddnm(SCHEDULE, predict, START, y, of, sigma_y=-1.0, **said)
    with pytest.raises(ValueError, match="repeats 0 of jumps must be at least 1"):
        ddnm(SCHEDULE, predict, START, y, of, jump_repeats=0, **said)
    with pytest.raises(ValueError, match="scale nan of the gradient"):
        dps(SCHEDULE, predict, START, y, of, scale=float("nan"), **said)
    with pytest.raises(ValueError, match=r"known has shape \(1, 3, 2, 2\)"):
        repaint(SCHEDULE, predict, START, TRUTH, MASK, **said)
    with pytest.raises(ValueError, match=r"mask has shape \(3, 3\)"):
        repaint(SCHEDULE, predict, START, START, np.ones((3, 3)), **said)
