"""One step and whole walks of each sampler, with a denoiser that is known exactly.

See ``closed_form`` for the denoiser. Every state of a walk is compared, and its bound is carried
along with it: the error that it had, times the derivative of the step, plus the roundings made in
the step (to first order; the second is ten million times smaller).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from hypothesis import given
from mindspore import Tensor

from ddpm_mindspore.accelerated import denoiser as accelerated_denoiser
from ddpm_mindspore.accelerated import samplers as accelerated
from ddpm_mindspore.parity.examples import plans
from ddpm_mindspore.parity.examples.samplers import (
    STEPS,
    TRAJECTORIES,
    step_cases,
    trajectory_cases,
)
from ddpm_mindspore.parity.examples.values import Case, first
from ddpm_mindspore.parity.judgement.compare import check, reproducible
from ddpm_mindspore.parity.judgement.tolerance import elementwise
from ddpm_mindspore.parity.report import budget, trace
from ddpm_mindspore.parity.sides import device
from ddpm_mindspore.parity.sides.closed_form import Denoiser
from ddpm_mindspore.parity.sides.device import Array
from ddpm_mindspore.reference.samplers import ancestral, ddim
from ddpm_mindspore.reference.schedule import Schedule


@first(STEPS)
@budget.examples(0.5)
@given(case=step_cases())
def test_step(case: Case) -> None:
    """one step from t to s, then one to 0: x_s = a x_t + b x0_hat + c noise"""
    walk(**case)


@first(TRAJECTORIES)
@budget.examples(0.5)
@given(case=trajectory_cases())
def test_trajectory(case: Case) -> None:
    """a whole walk from x_T to x_0, ancestral or DDIM: every state on the way"""
    walk(**case)


@first(plans.MEMORY)
@budget.examples(0.3)
@given(case=plans.plan_cases())
def test_registers(case: Case) -> None:
    """a plan with memory: estimates of earlier steps, and an x of before"""
    registers(**case)


@reproducible
def walk(
    sampler: str,
    eta: float,
    timesteps: Sequence[int],
    schedule: tuple[str, int, bool],
    objective: str,
    clip: bool,
    self_cond: float,
    shape: Sequence[int],
    batch: int,
    spread: float,
    seed: int,
    modes: Sequence[str] = device.MODES,
) -> None:
    """Every x_s and x0_hat of a walk down ``timesteps``, from the same start and noise."""
    s = device.schedule(*schedule)
    mean, var, x_T, *noise = device.draw(seed, (3 + len(timesteps), batch, *shape))
    denoiser = Denoiser(s, objective, mean[0], spread * np.abs(var[0]), self_cond)
    eta = 1.0 if sampler == "ancestral" else eta
    states, estimates = reference_walk(denoiser, sampler, eta, timesteps, clip, x_T, noise)
    bounds = bounds_of(denoiser, eta, timesteps, clip, states, estimates, noise)
    trace.note(lambda: first_step(s, eta, timesteps, states[0], estimates[0], noise[0]))
    for mode in modes:
        actual = device_walk(denoiser, sampler, eta, timesteps, clip, x_T, noise, mode)
        for i, (t, (x, x0_hat)) in enumerate(zip(timesteps, actual, strict=True)):
            where = f"of {sampler} at t = {t} ({mode})"
            check(f"x0_hat {where}", x0_hat, estimates[i], bounds[i][0], x_t=states[i])
            check(f"next x {where}", x, states[i + 1], bounds[i][1], x_t=states[i])


def reference_walk(
    denoiser: Denoiser,
    sampler: str,
    eta: float,
    timesteps: Sequence[int],
    clip: bool,
    x_T: Array,
    noise: Sequence[Array],
) -> tuple[list[Array], list[Array]]:
    """The states x_T, ..., x_0 and the (clipped) estimates of x_0 on the way, float64."""
    states: list[Array] = []
    estimates: list[Array] = []

    def predict_x0(x_t: Array, t: Array) -> Array:
        before = estimates[-1] if estimates else np.zeros_like(x_t)
        x0_hat = denoiser.predict_x0(x_t, t, before)
        states.append(x_t)
        estimates.append(np.clip(x0_hat, -1.0, 1.0) if clip else x0_hat)
        return x0_hat

    start, all_noise = x_T.astype(np.float64), np.array(noise, np.float64)
    if sampler == "ancestral":
        x_0 = ancestral.sample(
            denoiser.schedule,
            predict_x0,
            start,
            timesteps=timesteps,
            noise=all_noise,
            clip=clip,
        )
    else:
        x_0 = ddim.sample(
            denoiser.schedule,
            predict_x0,
            start,
            timesteps=timesteps,
            eta=eta,
            noise=all_noise,
            clip=clip,
        )
    return [*states, x_0], estimates


def device_walk(
    denoiser: Denoiser,
    sampler: str,
    eta: float,
    timesteps: Sequence[int],
    clip: bool,
    x_T: Array,
    noise: Sequence[Array],
    mode: str,
) -> list[tuple[Array, Array]]:
    """The same on the device: (next x, x0_hat) of each step."""
    s = denoiser.schedule
    predict_x0 = accelerated_denoiser.denoiser(denoiser.network())
    step = accelerated.sampling_step(
        accelerated_denoiser.clipped(predict_x0) if clip else predict_x0
    )
    if mode == "compiled":
        step = device.compiled(step)
    seen: list[tuple[Array, Array]] = []

    def watched(*args: Tensor) -> tuple[Tensor, Tensor]:
        result = step(*args)
        seen.append(device.arrays(result))
        return result

    plan = (
        accelerated.ancestral_plan(s, timesteps)
        if sampler == "ancestral"
        else accelerated.ddim_plan(s, timesteps, eta)
    )
    x_0 = accelerated.run_plan(watched, plan, x_T, lambda i: noise[i], denoiser.levels)
    return [*seen[:-1], (x_0, seen[-1][1])]


def bounds_of(
    denoiser: Denoiser,
    eta: float,
    timesteps: Sequence[int],
    clip: bool,
    states: Sequence[Array],
    estimates: Sequence[Array],
    noise: Sequence[Array],
) -> list[tuple[Array, Array]]:
    """How far x0_hat and the next x may be from the truth, for each step.

    With errors e_x and e_c in x and in the estimate before, and x0_hat = k x + w c + ... :

        e_x0 = |k| e_x + w e_c + roundings of x0_hat
        e_s  = |a + b k| e_x + |b| (w e_c + roundings of x0_hat) + roundings of the sum

    Clipping takes away any part of k, so that with it |a + b k| becomes max(|a|, |a + b k|).
    """
    bounds = []
    e_x: Array = np.zeros_like(states[0])
    e_c, before = e_x, np.zeros_like(states[0])
    for i, (t, s) in enumerate(zip(timesteps, [*timesteps[1:], 0], strict=True)):
        x, x0_hat = states[i], estimates[i]
        a, b, c = coefficients(denoiser.schedule, t, s, eta)
        k = denoiser.slope[t]
        new = denoiser.self_cond * e_c + denoiser.roundings(x, t, before)
        growth = np.maximum(abs(a), abs(a + b * k)) if clip else abs(a + b * k)
        # Each term: its coefficient, its product, two sums.
        local = elementwise(4, a * x, b * x0_hat, c * noise[i])
        e_x, e_c = growth * e_x + abs(b) * new + local, abs(k) * e_x + new
        bounds.append((e_c, e_x))
        before = x0_hat
    return bounds


def first_step(
    s: Schedule, eta: float, timesteps: Sequence[int], x_t: Array, x0_hat: Array, noise: Array
) -> tuple[Any, ...]:
    """The first step of a walk on its own, from an estimate that is given, as a case of a trace."""
    t, to = (int(time) for time in (*timesteps, 0)[:2])
    inputs = {"x_t": x_t, "x0_hat": x0_hat, "noise": noise}
    inputs = {name: array.astype(np.float32) for name, array in inputs.items()}
    factors = coefficients(s, t, to, eta)
    terms = [f * x.astype(np.float64) for f, x in zip(factors, inputs.values(), strict=True)]
    # Each term: its coefficient, its product, two sums.
    results = {"x_s": sum(terms)}, {"x_s": elementwise(4, *terms)}
    return (
        "ddim_step",
        {"eta": eta, "t": t, "s": to},
        {"alpha_bar": s.alpha_bar, **inputs},
        *results,
    )


def coefficients(s: Schedule, t: int, to: int, eta: float) -> tuple[float, float, float]:
    """Of x_t, x0_hat and noise in the next x (2010.02502, eq. 12; ancestral is eta = 1)."""
    a_t, a_s = float(s.alpha_bar[t]), float(s.alpha_bar[to])
    sigma = eta * math.sqrt((1.0 - a_s) / (1.0 - a_t) * (1.0 - a_t / a_s))
    a = math.sqrt(max(0.0, 1.0 - a_s - sigma**2) / (1.0 - a_t))
    return a, math.sqrt(a_s) - a * math.sqrt(a_t), sigma


@reproducible
def registers(
    schedule: tuple[str, int, bool],
    objective: str,
    timesteps: Sequence[int],
    memory: int,
    anchors: Sequence[int],
    self_cond: float,
    shape: Sequence[int],
    batch: int,
    seed: int,
    modes: Sequence[str] = device.MODES,
) -> None:
    """x_n by a plan of drawn factors of x, x0_hat, noise, ``memory`` earlier ones and an anchor.

    The error of x0_hat = k x + w c + ... is as in ``bounds_of``, that of the next x the sum of its
    terms' errors, each times its factor, and of their roundings.
    """
    s, steps = device.schedule(*schedule), len(timesteps)
    mean, var, x_T, *noise = device.draw(seed, (3 + steps, batch, *shape))
    denoiser = Denoiser(s, objective, mean[0], np.abs(var[0]), self_cond)
    rng = np.random.default_rng(seed)
    plan = accelerated.Plan(
        np.array(timesteps, np.float64),
        rng.uniform(0.1, 0.6, (steps, 3)),
        rng.uniform(-0.5, 0.5, (steps, memory)),
        rng.uniform(-0.5, 0.5, steps if anchors else 0),
        np.isin(np.arange(steps), anchors) if anchors else np.zeros(0, bool),
    )
    x, e_x = x_T.astype(np.float64), np.zeros_like(x_T, np.float64)
    zeros = np.zeros_like(x)
    estimates = [(zeros, zeros)] * max(1, memory)
    anchor = [(zeros, zeros)] if anchors else []
    for i, t in enumerate(timesteps):
        if i in anchors:
            anchor = [(x, e_x)]
        before, e_before = estimates[0]
        x0_hat = denoiser.predict_x0(x, np.full(batch, t), before)
        e_x0 = np.abs(denoiser.slope[t]) * e_x + self_cond * e_before
        e_x0 = e_x0 + denoiser.roundings(x, t, before)
        parts = [(x, e_x), (x0_hat, e_x0), (noise[i].astype(np.float64), zeros)]
        parts += [*estimates[:memory], *anchor]
        factors = plan.factors(i)
        terms = [f * value for f, (value, _) in zip(factors, parts, strict=True)]
        # Each term: its factor, its product, and the sums.
        e_x = elementwise(2 + len(terms), *terms)
        e_x = e_x + sum(abs(f) * e for f, (_, e) in zip(factors, parts, strict=True))
        x, estimates = sum(terms, zeros), [(x0_hat, e_x0), *estimates[:-1]]
    for mode in modes:
        actual = on_device(denoiser, plan, x_T, noise, mode)
        check(f"x after {steps} steps ({mode})", actual, x, e_x, x_T=x_T)


def on_device(
    denoiser: Denoiser, plan: accelerated.Plan, x_T: Array, noise: Sequence[Array], mode: str
) -> Array:
    """The end of a plan, of estimates that are not clipped."""
    step = accelerated.sampling_step(accelerated_denoiser.denoiser(denoiser.network()))
    step = device.compiled(step) if mode == "compiled" else step
    return accelerated.run_plan(step, plan, x_T, lambda i: noise[i], denoiser.levels)
