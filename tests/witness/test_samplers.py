"""The samplers are those of ``diffusers``: at the same times, of the same levels, by one denoiser.

The denoiser is a mixture's, which is exact, and all is float64: the schedulers cast to
``torch.float32``, which is float64 here, and are told our table of levels after they have made
theirs. Compared is every x that the denoiser is asked for, and what it ends with. Where the package
computes something else, the test asserts what is common, and says so:

* DDIM and PNDM do not look up where a step goes: they subtract T // n from where it is. That is
  the next time of their table where n divides T and the times are trailing.
* PNDM's weights are those of equal steps for the last one too, which is shorter with its leading
  times; its Runge-Kutta steps at the beginning (``skip_prk_steps=False``) are not ours.
* DPM-Solver++'s third order has half of the term in the second derivative that the integral has,
  and is of second order.
* Its single steps take the times of their table in pairs, the first as the middle of a step: here
  they are given a table with the middles in log(signal / noise).
* UniPC lowers its order before the last step (``lower_order_final``); without that it cannot take
  this step, to sigma = 0, and with B1 it never can: 0 times infinity.
* DEIS has polynomials in log sigma, ours in t, as the paper's tAB: they are the same where log
  sigma is linear in t, and order 1 everywhere. It cannot go to sigma = 0 either.
* Heun has no churn. Euler has, and asks the network before noise is added instead of after it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any

import diffusers
import numpy as np
import pytest
import torch

from ddpm_mindspore.reference import schedule as schedules
from ddpm_mindspore.reference.samplers import dpmpp_3m
from ddpm_mindspore.reference.samplers.common import first_order, levels
from ddpm_mindspore.reference.samplers.dpmpp_2s import middle
from ddpm_mindspore.reference.schedule import log_snr_at, make_schedule, time_of
from ddpm_mindspore.reference.spacing import make_timesteps

from .walks import SCHEDULE, TWO, X_T, Array, T, looked_up, made, ours, theirs

NEAR = 1e-10
THIRD = {"solver_order": 3, "solver_type": "heun", "lower_order_final": False}
spacings = pytest.mark.parametrize("spacing", ["uniform", "linspace", "log_snr", "karras"])
counts = pytest.mark.parametrize("n", [6, 20])


@pytest.fixture(autouse=True)
def float64() -> Iterator[None]:
    """The package casts to torch.float32 what it is given."""
    float32 = torch.float32
    torch.set_default_dtype(torch.float64)
    torch.float32 = torch.float64
    yield
    torch.float32 = float32
    torch.set_default_dtype(float32)


def agree(one: Sequence[Array], other: Sequence[Array], what: str, table: Any) -> None:
    """Every x is the same but for rounding."""
    assert len(one) == len(other)
    worst = max(float(np.max(np.abs(a - b))) for a, b in zip(one, other, strict=True))
    table.add(what, f"{worst:.1e}", f"{NEAR:.0e}")
    assert worst <= NEAR


@spacings
@counts
def test_dpm_solver_pp_2m(spacing: str, n: int, table: Any) -> None:
    times = make_timesteps(SCHEDULE, n, spacing)
    found = theirs(made("DPMSolverMultistep"), times)
    agree(ours("dpm++2m", times), found, f"DPM-Solver++(2M), {spacing}, n = {n}", table)


@spacings
@counts
def test_dpm_solver_pp_2m_sde(spacing: str, n: int, table: Any) -> None:
    times = make_timesteps(SCHEDULE, n, spacing)
    found = theirs(made("DPMSolverMultistep", algorithm_type="sde-dpmsolver++"), times, noisy=True)
    agree(ours("dpm++2m-sde", times), found, f"SDE-DPM-Solver++(2M), {spacing}, n = {n}", table)


@spacings
@counts
def test_dpm_solver_pp_2s(spacing: str, n: int, table: Any) -> None:
    times = make_timesteps(SCHEDULE, n, spacing)
    at = levels(SCHEDULE, times)
    halves = [middle(SCHEDULE, t, s) for t, s in pairwise(at)]
    both = [t for i, half in enumerate(halves) if half for t in (times[i], half.t)]
    scheduler = made("DPMSolverSinglestep")
    orders = [*[1, 2] * (n - 1), 1]
    scheduler.get_order_list = lambda _: orders
    scheduler.order_list = orders
    found = theirs(scheduler, [*both, times[-1]])
    agree(ours("dpm++2s", times), found, f"DPM-Solver++(2S), {spacing}, n = {n}", table)


@spacings
@counts
def test_dpm_solver_pp_3m_has_half_of_the_last_term(
    spacing: str, n: int, table: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first three evaluations are the same; all are, where ours takes half of it too."""
    times = make_timesteps(SCHEDULE, n, spacing)
    found = theirs(made("DPMSolverMultistep", **THIRD), times)
    whole = ours("dpm++3m", times)
    agree(whole[:3], found[:3], f"DPM-Solver++(3M), {spacing}, n = {n}: two steps", table)
    assert np.max(np.abs(whole[3] - found[3])) > 1e3 * NEAR
    derivatives = dpmpp_3m._derivatives

    def halved(*given: Any) -> tuple[Array, Array]:
        D1, D2 = derivatives(*given)
        return D1, D2 / 2.0

    monkeypatch.setattr(dpmpp_3m, "_derivatives", halved)
    agree(ours("dpm++3m", times), found, "    all, with half of phi_3", table)


def test_which_of_the_two_is_of_third_order(table: Any) -> None:
    """Against a walk of many steps, at a time where they still are as long as the first: t = 60."""
    fine = make_schedule("linear", 4000)
    ends = log_snr_at(fine, [4000, 60])

    def path(n: int) -> list[float]:
        return [4000, *map(float, time_of(fine, np.linspace(*ends, n + 1)[1:-1])), 60]

    exact, steps = ours("dpm++3m", path(1000), fine)[-2], (32, 64, 128, 256)
    slopes = []
    for walk in (
        lambda times: ours("dpm++3m", times, fine),
        lambda times: theirs(made("DPMSolverMultistep", **THIRD), times, fine),
    ):
        errors = [np.abs(walk(path(n))[-2] - exact).max() for n in steps]
        slopes.append(float(-np.polyfit(np.log(steps), np.log(errors), 1)[0]))
    table.add("order of DPM-Solver++(3M): ours, theirs", f"{slopes[0]:.2f}, {slopes[1]:.2f}", "3")
    assert slopes[1] < 2.8 < slopes[0]


@spacings
@counts
@pytest.mark.parametrize(("order", "variant"), [(2, "bh1"), (2, "bh2"), (3, "bh1"), (3, "bh2")])
def test_unipc(spacing: str, n: int, order: int, variant: str, table: Any) -> None:
    """Up to the last step; with B2 and order 2 that too."""
    times = make_timesteps(SCHEDULE, n, spacing)
    ends = (order, variant) == (2, "bh2")
    options = {"solver_order": order, "solver_type": variant}
    found = theirs(made("UniPCMultistep", lower_order_final=ends, **options), times, ends=ends)
    own = ours("unipc", times, order=order, variant=variant)
    what = f"UniPC-{order}, {variant}, {spacing}, n = {n}"
    agree(own[: len(found)], found, what + ": up to the last step" * (not ends), table)
    if order == 2:
        last = theirs(made("UniPCMultistep", **options), times)[-1]
        assert np.all(np.isnan(last)) != ends


@spacings
@counts
def test_heun(spacing: str, n: int, table: Any) -> None:
    times = make_timesteps(SCHEDULE, n, spacing)
    found = theirs(made("HeunDiscrete"), times, in_sigma="twice")
    agree(ours("heun", times), found, f"Heun, {spacing}, n = {n}", table)


@spacings
@counts
def test_euler(spacing: str, n: int, table: Any) -> None:
    times = make_timesteps(SCHEDULE, n, spacing)
    found = theirs(made("EulerDiscrete"), times, in_sigma=True)
    agree(ours("euler", times), found, f"Euler, {spacing}, n = {n}", table)


@pytest.mark.parametrize("n", [4, 10, 40])
@pytest.mark.parametrize("eta", [0.0, 0.6, 1.0])
@pytest.mark.parametrize("clip", [False, True])
def test_ddim_where_the_number_of_steps_divides_T(
    n: int, eta: float, clip: bool, table: Any
) -> None:
    """Clipped, it keeps the unclipped estimate's noise, unless told otherwise, as here."""
    scheduler = made("DDIM", clip_sample=clip, timestep_spacing="trailing")
    step = {"eta": eta, "use_clipped_model_output": True, "noisy": eta > 0}
    found, times = looked_up(scheduler, n, **step)
    assert tuple(times) == make_timesteps(SCHEDULE, n, "trailing")
    own = ours("ddim", times, eta=eta, clip=clip)
    agree(own, found, f"DDIM, n = {n}, eta = {eta}{', clipped' * clip}", table)


def test_ddim_goes_elsewhere_where_it_does_not(table: Any) -> None:
    """In 7 steps: to t - 142 each, although its own times are 143 apart, and some 142."""
    found, times = looked_up(made("DDIM", clip_sample=False, timestep_spacing="trailing"), 7)
    assert [t - s for t, s in pairwise(times)] == [143, 143, 143, 142, 143, 143]
    own = ours("ddim", times)
    table.add(
        "DDIM, n = 7, which does not divide T", f"{np.abs(own[-1] - found[-1]).max():.1e}", ""
    )
    assert np.max(np.abs(own[1] - found[1])) > 1e3 * NEAR
    x0_hat = TWO.predict_x0(SCHEDULE, X_T, np.full(len(X_T), T))
    to = first_order(X_T, x0_hat, *levels(SCHEDULE, [T, T - T // 7]))
    np.testing.assert_allclose(found[1], to, atol=NEAR)


@pytest.mark.parametrize("n", [5, 10, 40])
def test_plms_with_even_times(n: int, table: Any) -> None:
    """The first step of ours is two evaluations too, as they have it with skip_prk_steps."""
    scheduler = diffusers.PNDMScheduler(
        num_train_timesteps=T,
        skip_prk_steps=True,
        set_alpha_to_one=True,
        timestep_spacing="trailing",
    )
    found, times = looked_up(scheduler, n, predicts_noise=True)
    times.pop(1)  # which is asked for twice
    assert tuple(times) == make_timesteps(SCHEDULE, n, "trailing")
    agree(ours("plms", times), found, f"PLMS, n = {n}", table)


def test_plms_ends_with_a_step_of_another_length(table: Any) -> None:
    """Its leading times end at t = 1: from there to 0 it is 1, and its weights are for 100."""
    scheduler = diffusers.PNDMScheduler(
        num_train_timesteps=T, skip_prk_steps=True, set_alpha_to_one=True
    )
    found, times = looked_up(scheduler, 10, predicts_noise=True)
    times.pop(1)
    assert times == [901 - 100 * i for i in range(10)]
    own = ours("plms", times)
    agree(own[:-1], found[:-1], "PLMS, leading: up to the last step", table)
    assert np.max(np.abs(own[-1] - found[-1])) > 1e3 * NEAR


@counts
def test_deis_of_order_1_and_where_log_sigma_is_linear(
    n: int, table: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between whole times it is only nearly linear, by which the higher orders differ."""
    even = make_timesteps(SCHEDULE, n, "uniform")
    scheduler = made("DEISMultistep", solver_order=1)
    found, own = theirs(scheduler, even), ours("deis", even, order=1)
    agree(own[:-1], found[:-1], f"DEIS-1, n = {n}: up to the last step", table)
    assert np.all(np.isnan(found[-1]))
    sigma = np.exp(np.linspace(np.log(0.02), np.log(30.0), T))
    alpha_bar = np.concatenate([[1.0], 1.0 / (1.0 + sigma**2)])
    monkeypatch.setitem(
        schedules._RULES, "linear", lambda length: 1.0 - alpha_bar[1:] / alpha_bar[:-1]
    )
    straight = make_schedule("linear", T)
    np.testing.assert_allclose(straight.alpha_bar, alpha_bar, rtol=1e-9)
    times = make_timesteps(straight, n, "karras")
    for order in (2, 3):
        options = {"solver_order": order, "lower_order_final": False}
        found = theirs(made("DEISMultistep", **options), times, straight)
        own = ours("deis", times, straight, order=order)
        plain = ours("deis", times, straight, order=order - 1)
        worst, apart = (
            float(np.max(np.abs(a - np.array(found[:-1]))))
            for a in (np.array(own[:-1]), np.array(plain[:-1]))
        )
        table.add(f"DEIS-{order}, log sigma linear, n = {n}", f"{worst:.1e}", "5e-6")
        assert worst < 5e-6
        assert apart > 1e-4
        # Elsewhere they are of one order, and not the same.
        usual = theirs(made("DEISMultistep", **options), even)
        assert np.max(np.abs(ours("deis", even, order=order)[-2] - usual[-2])) > 1e-4
