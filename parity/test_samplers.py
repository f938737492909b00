"""One step and whole walks of each sampler, with a denoiser that is known exactly.

See ``sides/closed_form`` for the denoiser, and ``sides/walks`` for the bounds. Every state of a
walk is compared.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from hypothesis import given
from mindspore import Tensor

from ddpm_mindspore.accelerated import samplers as accelerated
from ddpm_mindspore.accelerated import thresholding
from ddpm_mindspore.accelerated.samplers.plan import MEMORY
from ddpm_mindspore.parity.examples import plans
from ddpm_mindspore.parity.examples.samplers import (
    STEPS,
    THRESHOLDS,
    TRAJECTORIES,
    step_cases,
    threshold_cases,
    trajectory_cases,
)
from ddpm_mindspore.parity.examples.values import Case, first
from ddpm_mindspore.parity.judgement.compare import check, reproducible
from ddpm_mindspore.parity.judgement.tolerance import elementwise
from ddpm_mindspore.parity.report import budget, trace
from ddpm_mindspore.parity.sides import device, walks
from ddpm_mindspore.parity.sides.closed_form import Denoiser
from ddpm_mindspore.parity.sides.device import Array
from ddpm_mindspore.reference.schedule import Schedule
from ddpm_mindspore.reference.thresholding import dynamic_threshold


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
    """a whole walk from x_T to x_0 by any sampler: every state on the way"""
    walk(**case)


@first(plans.MEMORY)
@budget.examples(0.3)
@given(case=plans.plan_cases())
def test_registers(case: Case) -> None:
    """a plan with memory: what earlier rows kept, in any share"""
    registers(**case)


@first(THRESHOLDS)
@budget.examples(0.2)
@given(case=threshold_cases())
def test_threshold(case: Case) -> None:
    """dynamic thresholding: each item squeezed until a share of it is within [-1, 1]"""
    threshold(**case)


@reproducible
def threshold(
    share: float,
    scale: float,
    shape: Sequence[int],
    batch: int,
    seed: int,
    modes: Sequence[str] = device.MODES,
) -> None:
    """The largest sizes are picked without error; the rest is five roundings, and a clip."""
    x0_hat = device.draw(seed, (batch, *shape), scale)
    x0_hat *= 1.0 + np.arange(batch, dtype=np.float32).reshape((-1,) + (1,) * len(shape))
    expected = dynamic_threshold(x0_hat.astype(np.float64), share)
    # Of s: its factor, a difference, a product, a sum; and the division.
    allowed = elementwise(6, expected)

    def squeezed(x: Tensor) -> Tensor:
        return thresholding.dynamic_threshold(x, share)

    for mode in modes:
        actual = device.run(mode, squeezed, x0_hat)
        check(f"squeezed estimates ({mode})", actual, expected, allowed, x0_hat=x0_hat)


@reproducible
def walk(
    sampler: str,
    options: Mapping[str, Any],
    timesteps: Sequence[float],
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
    """Every x and x0_hat of a walk down ``timesteps``, from the same start and noise."""
    s = device.schedule(*schedule)
    mean, var, x_T, *noise = device.draw(seed, (3 + len(timesteps), batch, *shape))
    learned = options.get("variance") == "learned"
    denoiser = Denoiser(s, objective, mean[0], spread * np.abs(var[0]), self_cond, learned)
    expected = walks.on_reference(denoiser, sampler, options, timesteps, clip, x_T, noise)
    plan = accelerated.PLANS[sampler](s, timesteps, **options)
    check(f"evaluations of {sampler}", len(plan), len(expected.times), 0.0)
    allowed = walks.bounds(denoiser, plan, clip, expected, noise)
    if sampler in ("ancestral", "ddim"):
        eta = options.get("eta", 0.0) if sampler == "ddim" else 1.0
        states, estimates = expected.states, expected.estimates
        if options.get("variance", "posterior") == "posterior":
            trace.note(lambda: first_step(s, eta, timesteps, states[0], estimates[0], noise[0]))
    for mode in modes:
        actual = walks.on_device(denoiser, plan, expected.times, clip, x_T, noise, mode)
        for i, (t, (x, x0_hat)) in enumerate(zip(expected.times, actual, strict=True)):
            where, x_t = f"of {sampler} at t = {t:g} ({mode})", expected.states[i]
            check(f"x0_hat {where}", x0_hat, expected.estimates[i], allowed[i][0], x_t=x_t)
            check(f"next x {where}", x, expected.states[i + 1], allowed[i][1], x_t=x_t)


def first_step(
    s: Schedule, eta: float, timesteps: Sequence[float], x_t: Array, x0_hat: Array, noise: Array
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
    timesteps: Sequence[float],
    memory: int,
    silent: Sequence[int],
    self_cond: float,
    shape: Sequence[int],
    batch: int,
    seed: int,
    modes: Sequence[str] = device.MODES,
) -> None:
    """x_n by a plan of drawn factors of x, x0_hat, noise and ``memory`` things that were kept.

    ``silent``: the rows that keep nothing. Rows number n draw the noise of row n - 1, the first
    that of the last.
    """
    s, n = device.schedule(*schedule), len(timesteps)
    mean, var, x_T, *noise = device.draw(seed, (3 + n, batch, *shape))
    denoiser = Denoiser(s, objective, mean[0], np.abs(var[0]), self_cond)
    rng = np.random.default_rng(seed)
    kept = rng.uniform(0.1, 0.6, (n, 2))
    kept[list(silent)] = 0.0
    plan = accelerated.Plan(
        np.array(timesteps, np.float64),
        rng.uniform(0.1, 0.6, (n, 3)),
        rng.uniform(-0.5, 0.5, (n, memory)),
        kept,
        (np.arange(n) - 1) % n,
    )
    expected = walks.Walk(list(map(float, timesteps)), [x_T.astype(np.float64)])
    remembered = [np.zeros_like(expected.states[0])] * MEMORY
    before = remembered[0]
    for i, t in enumerate(timesteps):
        x = expected.states[-1]
        x0_hat = denoiser.predict_x0(x, np.full(batch, t), before)
        terms = [x, x0_hat, noise[i - 1].astype(np.float64), *remembered[:memory]]
        factors = [*plan.coefficients[i], *plan.earlier[i]]
        expected.estimates.append(x0_hat)
        expected.states.append(sum(f * term for f, term in zip(factors, terms, strict=True)))
        if i not in silent:
            remembered = [kept[i, 0] * x + kept[i, 1] * x0_hat, *remembered[:-1]]
        before = x0_hat
    allowed = walks.bounds(denoiser, plan, False, expected, noise)
    for mode in modes:
        actual = walks.on_device(denoiser, plan, timesteps, False, x_T, noise, mode)[-1][0]
        check(f"x after {n} rows ({mode})", actual, expected.states[-1], allowed[-1][1], x_T=x_T)
