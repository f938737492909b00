"""Every spacing's table of steps, and every sampler on every one of them."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from itertools import pairwise

import numpy as np
import pytest

from ddpm_mindspore.reference.config.samplers import SPACINGS
from ddpm_mindspore.reference.oracle import gaussian
from ddpm_mindspore.reference.samplers import SAMPLERS
from ddpm_mindspore.reference.samplers.common import walk_down
from ddpm_mindspore.reference.schedule import (
    SCHEDULES,
    Schedule,
    log_snr_at,
    make_schedule,
    spaced_timesteps,
)
from ddpm_mindspore.reference.spacing import make_timesteps

every_spacing = pytest.mark.parametrize("spacing", SPACINGS)
either_end = pytest.mark.parametrize("zero", [False, True])
SHORT = (1, 2, 3, 5, 12, 20)


def counts(T: int) -> Iterator[int]:
    yield from range(1, T + 1) if T <= 20 else (1, 2, 50, 333, T - 1, T)


@every_spacing
@either_end
@pytest.mark.parametrize("name", SCHEDULES)
def test_steps_cover_T_to_0_and_none_is_dead(spacing: str, zero: bool, name: str) -> None:
    for T in (*SHORT, 1000):
        schedule = make_schedule(name, T, zero_terminal_snr=zero)
        for n in counts(T):
            times = make_timesteps(schedule, n, spacing)
            assert len(times) == n and times[0] == T and times[-1] >= 1
            assert all(isinstance(t, int) or t != int(t) for t in times)
            walk = walk_down(schedule, times)
            assert walk[0][0].t == T and walk[-1][1].t == 0
            assert all(one[1] == other[0] for one, other in pairwise(walk))  # no gap
            assert all(t.t > s.t and t.log_snr < s.log_snr for t, s in walk)  # no dead step
            assert (walk[-1][1].signal, walk[-1][1].noise) == (1.0, 0.0)


@every_spacing
@either_end
@pytest.mark.parametrize("sampler", SAMPLERS)
def test_no_sampler_is_at_a_loss_anywhere(spacing: str, zero: bool, sampler: str) -> None:
    """Finite, and with all steps near the data, for every n: no 0 / 0, no log of 0."""
    rng = np.random.default_rng(0)
    for T in (1, 2, 6):
        schedule = make_schedule("cosine", T, zero_terminal_snr=zero)
        predict = partial(gaussian(np.zeros(1), np.array([[0.25]])).predict_x0, schedule)
        x_T = rng.standard_normal((5, 1))
        for n in range(1, T + 1):
            noise = rng.standard_normal((n, 5, 1))
            times = make_timesteps(schedule, n, spacing)
            with np.errstate(divide="raise", invalid="raise", over="raise"):
                x_0 = SAMPLERS[sampler](schedule, predict, x_T, timesteps=times, noise=noise)
            assert np.all(np.isfinite(x_0))
    assert np.max(np.abs(x_0)) < 100


def test_uniform_is_every_T_over_n() -> None:
    schedule = make_schedule("linear", 10)
    assert make_timesteps(schedule, 3) == spaced_timesteps(10, 3) == (10, 6, 3)
    assert make_timesteps(schedule, 3, "trailing") == (10, 7, 3)
    assert make_timesteps(schedule, 3, "leading") == (10, 4, 1)
    assert make_timesteps(schedule, 4, "linspace") == (10, 7, 4, 1)


def test_tables_of_other_programs() -> None:
    """2305.08891, table 2: T = 1000, ten steps (their leading one begins at 901)."""
    schedule = make_schedule("linear", 1000)
    leading = make_timesteps(schedule, 10, "leading")
    assert leading == (1000, 801, 701, 601, 501, 401, 301, 201, 101, 1)
    linspace = make_timesteps(schedule, 10, "linspace")
    assert linspace == (1000, 889, 778, 667, 556, 445, 334, 223, 112, 1)
    assert make_timesteps(schedule, 10, "trailing") == tuple(range(1000, 0, -100))


def test_real_times_are_even_in_what_they_say() -> None:
    schedule = make_schedule("linear", 1000)
    quadratic = np.array(make_timesteps(schedule, 12, "quadratic"))
    np.testing.assert_allclose(np.diff(np.sqrt(quadratic), 2), 0.0, atol=1e-12)
    even = log_snr_at(schedule, make_timesteps(schedule, 12, "log_snr"))
    np.testing.assert_allclose(np.diff(even, 2), 0.0, atol=1e-9)
    karras = np.exp(-log_snr_at(schedule, make_timesteps(schedule, 12, "karras")) / 7.0)
    np.testing.assert_allclose(np.diff(karras, 2), 0.0, atol=1e-9)


def test_times_can_be_given() -> None:
    schedule = make_schedule("cosine", 100)
    assert make_timesteps(schedule, 3, [90, 41.5, 2.0]) == (90, 41.5, 2)
    for times, told in (
        ([90, 91], "do not descend strictly"),
        ([101, 5], "do not descend strictly from at most 100"),
        ([5, 0.5], "at least 1"),
        ([5, 4, 3], "2 steps were asked for, and 3 times given"),
    ):
        with pytest.raises(ValueError, match=told):
            make_timesteps(schedule, 2, times)


def test_wrong_spacings_are_refused() -> None:
    schedule: Schedule = make_schedule("cosine", 10)
    with pytest.raises(ValueError, match="spacing 'even' is unknown: choose uniform, trailing"):
        make_timesteps(schedule, 3, "even")
    for n in (0, 11):
        with pytest.raises(ValueError, match=f"n {n} is not a number of timesteps"):
            make_timesteps(schedule, n, "karras")
