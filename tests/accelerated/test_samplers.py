"""Sampling plans: tables that say what the papers say, and the loop that applies them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from mindspore import Tensor
from numpy.typing import NDArray

from ddpm_mindspore.accelerated.denoiser import clipped, denoiser
from ddpm_mindspore.accelerated.process import on_device
from ddpm_mindspore.accelerated.samplers import (
    Plan,
    ancestral_plan,
    ddim_plan,
    run_plan,
    sampling_step,
)
from ddpm_mindspore.accelerated.samplers.plan import MEMORY
from ddpm_mindspore.reference.config.diffusion import ObjectiveConfig
from ddpm_mindspore.reference.levels import TIME, Levels
from ddpm_mindspore.reference.schedule import SCHEDULES, make_schedule, spaced_timesteps

Array = NDArray[np.float32]
V = ObjectiveConfig()


@pytest.mark.parametrize("name", SCHEDULES)
def test_ancestral_steps_of_one_are_the_posterior(name: str) -> None:
    schedule = make_schedule(name, 50)
    plan = ancestral_plan(schedule, range(50, 0, -1))
    assert plan.timesteps.tolist() == list(range(50, 0, -1)) and len(plan) == 50
    a, b, c = plan.coefficients[::-1].T
    np.testing.assert_allclose(a, schedule.posterior_mean_coef_xt[1:], rtol=1e-9, atol=1e-15)
    np.testing.assert_allclose(b, schedule.posterior_mean_coef_x0[1:], rtol=1e-9)
    np.testing.assert_allclose(c**2, schedule.posterior_var[1:], rtol=1e-9, atol=1e-15)


def plans(T: int, n: int, *, zero_terminal_snr: bool) -> list[Plan]:
    schedule = make_schedule("cosine", T, zero_terminal_snr=zero_terminal_snr)
    steps = spaced_timesteps(T, n)
    return [ancestral_plan(schedule, steps)] + [ddim_plan(schedule, steps, e) for e in (0, 0.4, 1)]


@pytest.mark.parametrize("zero_terminal_snr", [False, True])
@pytest.mark.parametrize(("T", "n"), [(1, 1), (20, 1), (20, 7), (20, 20), (4000, 10)])
def test_every_plan_ends_at_the_estimate_of_x_0(T: int, n: int, zero_terminal_snr: bool) -> None:
    for plan in plans(T, n, zero_terminal_snr=zero_terminal_snr):
        assert np.isfinite(plan.coefficients).all()
        assert (plan.coefficients >= 0).all()
        assert plan.coefficients[-1].tolist() == [0, 1, 0]


@pytest.mark.parametrize("zero_terminal_snr", [False, True])
def test_every_plan_keeps_the_marginals(zero_terminal_snr: bool) -> None:
    """With the true x_0, x_t ~ N(sqrt(alpha_bar) x_0, 1 - alpha_bar) is carried to that of s."""
    alpha_bar = make_schedule("cosine", 20, zero_terminal_snr=zero_terminal_snr).alpha_bar
    for plan in plans(20, 6, zero_terminal_snr=zero_terminal_snr):
        t = plan.timesteps.astype(int)
        before, after = alpha_bar[t], alpha_bar[np.append(t[1:], 0)]
        a, b, c = plan.coefficients.T
        np.testing.assert_allclose(a * np.sqrt(before) + b, np.sqrt(after), rtol=1e-12)
        np.testing.assert_allclose(a**2 * (1 - before) + c**2, 1 - after, rtol=1e-12, atol=1e-15)


def test_eta_is_the_share_of_ancestral_noise() -> None:
    ancestral, none, some, all_of_it = plans(20, 6, zero_terminal_snr=False)
    assert (none.coefficients[:, 2] == 0).all()
    noise = ancestral.coefficients[:, 2]
    np.testing.assert_allclose(some.coefficients[:, 2], 0.4 * noise, rtol=1e-12)
    np.testing.assert_allclose(all_of_it.coefficients, ancestral.coefficients, atol=1e-12)


def test_the_loop_hands_every_step_its_row_its_time_and_the_last_estimate() -> None:
    plan = Plan(np.array([9.0, 4.0, 2.5]), np.array([[0.5, 2, 1], [1, 1, 0], [0, 1, 0]]))
    seen: list[tuple[Array, ...]] = []

    def step(
        x: Tensor, at: Tensor, noise: Tensor, condition: Any, last: Tensor, registers: Any, abc: Any
    ) -> tuple[Tensor, Tensor, Tensor]:
        assert condition is None and len(registers) == MEMORY
        seen.append(tuple(v.asnumpy() for v in (x, at, last, noise, *abc[:3])))
        x0_hat = Tensor(np.full(x.shape, 10.0 * len(seen), np.float32))
        return x + 1.0, x0_hat, x0_hat

    asked, ticks = [], []

    def noise(i: int) -> Array:
        asked.append(i)
        return np.full((2, 1, 2, 2), 7.0, np.float32)

    start, levels = np.zeros((2, 1, 2, 2), np.float32), Levels(make_schedule("linear", 10), V)
    out = run_plan(step, plan, start, noise, levels, lambda: ticks.append(1))
    assert asked == [0]  # no noise is drawn where none is added
    assert len(ticks) == 3
    np.testing.assert_array_equal(out, np.full((2, 1, 2, 2), 3.0))
    for i, (x, at, last, drawn, a, b, c) in enumerate(seen):
        assert (x == i).all() and at[:, TIME].tolist() == [plan.timesteps[i] - 1] * 2
        np.testing.assert_allclose(at[0], levels(plan.timesteps)[i], rtol=1e-6)
        assert (last == 10 * i).all()  # zeros first
        assert (drawn == (7 if i == 0 else 0)).all()
        assert [a, b, c] == plan.coefficients[i].tolist()


@pytest.mark.parametrize("clip", [False, True])
def test_a_step_asks_the_network_for_t_minus_1_and_clips_the_estimate(clip: bool) -> None:
    schedule = make_schedule("linear", 10)
    seen = []

    def model(x: Tensor, time: Tensor, x_self_cond: Tensor) -> Tensor:
        seen.append((x.asnumpy(), time.asnumpy(), x_self_cond.asnumpy()))
        return x * 3.0

    levels = Levels(schedule, ObjectiveConfig(objective="pred_x0"))
    predict_x0 = denoiser(model)
    step = sampling_step(clipped(predict_x0) if clip else predict_x0)
    x = np.array([0.2, -0.9], np.float32).reshape(2, 1, 1, 1)
    last, noise = np.float32(0.25) + 0 * x, np.float32(0.5) + 0 * x
    scalars = [Tensor(np.float32(v)) for v in (0.5, 2.0, 4.0, 8.0, 16.0)]
    at = on_device(levels(np.array([1, 10])))
    after, x0_hat, kept = step(Tensor(x), at, Tensor(noise), None, Tensor(last), (), scalars)
    ((seen_x, seen_time, seen_last),) = seen
    np.testing.assert_array_equal(seen_x, x)
    assert seen_time.tolist() == [0, 9] and seen_time.dtype == np.float32
    np.testing.assert_array_equal(seen_last, last)
    expected = np.clip(3 * x, -1, 1) if clip else 3 * x
    np.testing.assert_array_equal(x0_hat.asnumpy(), expected)
    np.testing.assert_allclose(after.asnumpy(), 0.5 * x + 2 * expected + 2, rtol=1e-6)
    np.testing.assert_allclose(kept.asnumpy(), 8 * x + 16 * expected, rtol=1e-6)
