"""Editing, inversion and interpolation against exact distributions and exact flows."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest

from ddpm_mindspore.reference.oracle import Mixture, gaussian
from ddpm_mindspore.reference.samplers import ddim
from ddpm_mindspore.reference.schedule import Array, make_schedule, spaced_timesteps
from ddpm_mindspore.reference.tasks.editing import from_strength, sdedit
from ddpm_mindspore.reference.tasks.interpolation import slerp
from ddpm_mindspore.reference.tasks.inversion import anderson, invert, root_mean_square, step

T = 200
SCHEDULE = make_schedule("cosine", T)
SHAPE = (1, 2, 2)
ROOT = np.random.default_rng(7).standard_normal((4, 4))
COV = 0.25 * (ROOT @ ROOT.T / 4 + 0.1 * np.eye(4))
MEAN = 0.3 * np.random.default_rng(8).standard_normal(SHAPE)
DATA = gaussian(MEAN, COV)
MIXTURE = Mixture([0.5, 0.5], np.stack([MEAN, -MEAN - 0.5]), np.stack([0.2 * COV, 0.3 * COV]))


def draw(seed: int, *shape: int) -> Array:
    return np.random.default_rng(seed).standard_normal(shape)


def edited(strength: float, count: int) -> Array:
    picture = np.repeat(DATA.sample(np.random.default_rng(3), 1), count, 0)
    every = tuple(range(T, 0, -1))
    start, noise = draw(1, count, *SHAPE), draw(2, round(strength * T), count, *SHAPE)
    predict = partial(DATA.predict_x0, SCHEDULE)
    return sdedit(
        SCHEDULE, predict, picture,
        strength=strength, timesteps=every, start_noise=start, noise=noise,
    )  # fmt: skip


@pytest.mark.parametrize("strength", [0.3, 0.7, 1.0])
def test_edits_are_drawn_from_what_the_noised_picture_may_have_been(strength: float) -> None:
    """x_0 ~ p(x_0 | x_t0), x_t0 being the noised picture: for a Gaussian both are formulas."""
    drawn = edited(strength, 4000).reshape(4000, 4)
    picture = DATA.sample(np.random.default_rng(3), 1).ravel()
    a = SCHEDULE.alpha_bar[round(strength * T)]
    gain = np.sqrt(a) * COV @ np.linalg.inv(a * COV + (1 - a) * np.eye(4))
    mean = MEAN.ravel() + np.sqrt(a) * gain @ (picture - MEAN.ravel())
    cov = COV - np.sqrt(a) * gain @ COV + (1 - a) * gain @ gain.T
    assert np.linalg.norm(drawn.mean(0) - mean) < 0.05 * np.sqrt(np.trace(COV))
    assert np.linalg.norm(np.cov(drawn.T) - cov) < 0.06 * np.linalg.norm(COV)


def test_little_strength_changes_little_and_all_of_it_forgets() -> None:
    picture = DATA.sample(np.random.default_rng(3), 1)
    off = [float(root_mean_square(edited(s, 300) - picture).mean()) for s in (0.01, 0.2, 0.6)]
    assert off[0] < 0.05 < off[1] < off[2]


def test_a_deterministic_edit_is_a_ddim_walk_from_the_noised_picture() -> None:
    predict, picture = partial(DATA.predict_x0, SCHEDULE), DATA.sample(np.random.default_rng(3), 2)
    found = sdedit(
        SCHEDULE, predict, picture,
        strength=0.5, timesteps=(200, 150, 80, 10), start_noise=draw(1, 2, *SHAPE), eta=0.0,
    )  # fmt: skip
    a = SCHEDULE.alpha_bar[100]
    x_t = np.sqrt(a) * picture + np.sqrt(1 - a) * draw(1, 2, *SHAPE)
    expected = ddim.sample(SCHEDULE, predict, x_t, timesteps=(100, 80, 10))
    np.testing.assert_allclose(found, expected, atol=1e-14)


def test_where_an_edit_starts() -> None:
    assert from_strength((10, 8, 5, 2), 1.0, 10) == (10, 8, 5, 2)
    assert from_strength((10, 8, 5, 2), 0.8, 10) == (8, 5, 2)
    assert from_strength((10, 8, 5, 2), 0.7, 10) == (7, 5, 2)
    assert from_strength((10, 8, 5, 2), 0.01, 10) == (1,)
    for strength in (0.0, -0.1, 1.01, float("nan")):
        with pytest.raises(ValueError, match=r"strength .* above 0 .* at most 1"):
            from_strength((10, 5), strength, 10)


@pytest.mark.parametrize(
    ("data", "n"), [(DATA, 1), (DATA, 5), (DATA, T), (MIXTURE, 5), (MIXTURE, 20)]
)
def test_inversion_leads_back(data: Mixture, n: int) -> None:
    predict, timesteps = partial(data.predict_x0, SCHEDULE), spaced_timesteps(T, n)
    x_0 = data.sample(np.random.default_rng(4), 20)
    x_T = invert(SCHEDULE, predict, x_0, timesteps=timesteps, tolerance=1e-10)
    back = ddim.sample(SCHEDULE, predict, x_T, timesteps=timesteps)
    # At T an estimate is a difference that loses all but alpha_bar_T of its digits.
    lost = np.finfo(float).eps / SCHEDULE.alpha_bar[T]
    assert root_mean_square(x_0 - back).max() < 16 * lost
    usual = invert(SCHEDULE, predict, x_0, timesteps=timesteps, iterations=1)
    worse = ddim.sample(SCHEDULE, predict, usual, timesteps=timesteps)
    assert root_mean_square(x_0 - worse).mean() > 1e-4


def test_inverted_pictures_are_noise() -> None:
    """Of Gaussian data the flow is linear: x_T = S_T^(1/2) S_0^(-1/2) in each direction."""
    predict, timesteps = partial(DATA.predict_x0, SCHEDULE), tuple(range(T, 0, -1))
    x_0 = DATA.sample(np.random.default_rng(5), 40)
    x_T = invert(SCHEDULE, predict, x_0, timesteps=timesteps)
    values, axes = np.linalg.eigh(COV)
    a = SCHEDULE.alpha_bar[T]
    ratio = np.sqrt((a * values + 1 - a) / values)
    expected = ((x_0 - MEAN).reshape(40, 4) @ axes * ratio) @ axes.T
    expected = expected + np.sqrt(a) * MEAN.ravel()
    assert np.abs(x_T.reshape(40, 4) - expected).max() < 0.08


def test_what_no_estimate_is_leaves_an_error_that_is_told_and_finite() -> None:
    """A point mass: every walk ends there, so that nothing else is reached."""
    predict = partial(gaussian(MEAN, np.zeros((4, 4))).predict_x0, SCHEDULE)
    x_0 = MEAN[None] + 0.3
    x_T = invert(SCHEDULE, predict, x_0, timesteps=(200, 50), iterations=9)
    back = ddim.sample(SCHEDULE, predict, x_T, timesteps=(200, 50))
    assert root_mean_square(x_0 - back) == pytest.approx(0.3)


def test_the_factors_are_those_of_ddim() -> None:
    def predict(x: Array, t: Array) -> Array:
        return np.sin(x)

    x = draw(6, 3, 5)
    for t, s in ((200, 120), (30, 29), (4, 0)):
        a, b, gain = step(SCHEDULE, t, s)
        expected = ddim.sample(SCHEDULE, predict, x, timesteps=(t, *((s,) if s else ())))
        moved = a * x + b * np.sin(x)
        if s:  # one step more, to 0
            moved = np.sin(moved)
        np.testing.assert_allclose(moved, expected, atol=1e-12)
        assert gain > 0


def test_andersons_acceleration_solves_a_linear_equation_in_as_many_steps_as_it_has_unknowns() -> (
    None
):
    rng = np.random.default_rng(0)
    matrix = np.stack([np.eye(4) - 0.4 * rng.standard_normal((4, 4)) for _ in range(3)])
    solution, x = rng.standard_normal((3, 4)), np.zeros((3, 4))
    seen: list[tuple[Array, Array]] = []
    for _ in range(6):
        seen.append((x, np.einsum("bij,bj->bi", matrix, solution - x)))
        x = anderson(seen)
    np.testing.assert_allclose(x, solution, atol=1e-8)


def test_inversion_refuses_what_it_cannot_do() -> None:
    predict = partial(DATA.predict_x0, SCHEDULE)
    with pytest.raises(ValueError, match="iterations 0 must be at least 1"):
        invert(SCHEDULE, predict, draw(0, 1, *SHAPE), timesteps=(9,), iterations=0)
    with pytest.raises(ValueError, match="do not descend"):
        invert(SCHEDULE, predict, draw(0, 1, *SHAPE), timesteps=(1, 9))


def test_slerp_goes_along_the_circle() -> None:
    a, b = np.array([[2.0, 0.0]]), np.array([[0.0, 2.0]])
    found = slerp(a, b, (0.0, 1 / 3, 0.5, 1.0))
    angle = np.array([0.0, np.pi / 6, np.pi / 4, np.pi / 2])
    np.testing.assert_allclose(found[:, 0, 0], 2 * np.cos(angle), atol=1e-12)
    np.testing.assert_allclose(found[:, 0, 1], 2 * np.sin(angle), atol=1e-12)


def test_between_noise_there_is_noise() -> None:
    first, second = draw(1, 1, 64, 64), draw(2, 1, 64, 64)
    middle = slerp(first, second, (0.5,))
    assert middle.std() == pytest.approx(1.0, abs=0.05)
    assert (0.5 * (first + second)).std() < 0.8
    assert slerp(first.astype(np.float32), second.astype(np.float32), (0.5,)).dtype == np.float32


def test_slerp_of_one_direction_is_a_line_and_wrong_input_is_refused() -> None:
    a = draw(3, 2, 3)
    np.testing.assert_allclose(slerp(a, a, (0.3,))[0], a, atol=1e-12)
    np.testing.assert_allclose(slerp(a, 3 * a, (0.5,))[0], 2 * a, atol=1e-12)
    assert np.isfinite(slerp(a, -a, (0.5,))).all()
    assert np.isfinite(slerp(0 * a, a, (0.5,))).all()
    with pytest.raises(ValueError, match="second has shape"):
        slerp(a, a[:1], (0.5,))
    with pytest.raises(ValueError, match="must be from 0"):
        slerp(a, a, (1.5,))
