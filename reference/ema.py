"""Averages of the parameters over the whole training (Karras et al. 2024, arXiv 2312.02696).

An average with the profile of a power function weighs the parameters after step tau by
tau^gamma: the longer training lasts, the longer it gets, so that its relative width sigma_rel, the
standard deviation of its profile as a share of the steps done, stays. Averages of other widths
are put together from snapshots of a few, after training. Everything is float64.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from .optimizer import Arrays
from .schedule import Array


class Snapshot(NamedTuple):
    """An average of width ``sigma_rel`` as it was after update number ``step``."""

    step: int
    sigma_rel: float
    arrays: Arrays


def sigma_rel_of(gamma: float) -> float:
    """sqrt((gamma + 1) / ((gamma + 2)^2 (gamma + 3))), the relative width (2312.02696, sec. 3.1).

    The standard deviation of tau / t where tau has the density (gamma + 1) tau^gamma / t^(gamma+1)
    on 0..t. Raises ValueError for a negative gamma.
    """
    if not gamma >= 0:
        raise ValueError(f"gamma {gamma} must not be negative: 0 is the plain mean of all steps")
    return math.sqrt((gamma + 1.0) / ((gamma + 2.0) ** 2 * (gamma + 3.0)))


def gamma_of(sigma_rel: float) -> float:
    """The inverse of ``sigma_rel_of`` (2312.02696, appendix C, algorithm 2).

    The largest root of gamma^3 + 7 gamma^2 + (16 - s) gamma + (12 - s), s = sigma_rel^-2, in the
    form of Viete: for s >= 12 all three are real.
    Raises ValueError unless 0 < sigma_rel <= 12^(-1/2), which belongs to gamma = 0.
    """
    if not 0.0 < sigma_rel <= sigma_rel_of(0.0):
        raise ValueError(f"sigma_rel {sigma_rel} must be above 0 and at most 0.2886 (12^(-1/2))")
    s = 1.0 / (sigma_rel * sigma_rel)
    q = (1.0 + 3.0 * s) / 9.0
    angle = math.acos((1.0 + 18.0 * s) / (27.0 * q * math.sqrt(q)))
    return -2.0 * math.sqrt(q) * math.cos((angle + 2.0 * math.pi) / 3.0) - 7.0 / 3.0


def power_weight(step: int, sigma_rel: float) -> float:
    """The w in ema <- w ema + (1 - w) params after update number ``step`` = 1, 2, ...

        w = beta_gamma(step) = (1 - 1/step)^(gamma + 1)             (2312.02696, section 3.1)

    At step 1 it is 0, a copy. What the parameters after step tau weigh in the end is the integral
    of the profile from tau - 1 to tau.

    What one of a million steps adds is lost when it is rounded to float32. So after step 8192 the
    average moves only at every n-th step, as far as n steps would take it: w is (1 - n/step)^(gamma
    + 1) where n divides step and 1 elsewhere, with n = 2, 4, 8, ... the first with 8192 n >= step.

    Raises ValueError for a step below 1.
    """
    if step < 1:
        raise ValueError(f"step {step} is less than 1: the first update has number 1")
    n = 1
    while 8192 * n < step:
        n *= 2
    if step % n:
        return 1.0
    return math.pow(1.0 - n / step, gamma_of(sigma_rel) + 1.0)


def profile_product(t_a: float, gamma_a: float, t_b: float, gamma_b: float) -> float:
    """The integral over tau of p_a(tau) p_b(tau) (2312.02696, appendix C).

    p_a(tau) = (gamma_a + 1) tau^gamma_a / t_a^(gamma_a + 1) on 0..t_a, and nothing after it; p_b
    alike. With t_a <= t_b,

        (gamma_a + 1) (gamma_b + 1) (t_a / t_b)^gamma_b / ((gamma_a + gamma_b + 1) t_b)
    """
    if t_a > t_b:
        return profile_product(t_b, gamma_b, t_a, gamma_a)
    scale = (gamma_a + 1.0) * (gamma_b + 1.0) / ((gamma_a + gamma_b + 1.0) * t_b)
    return scale * math.pow(t_a / t_b, gamma_b)


def post_hoc_weights(
    steps: Sequence[int], sigma_rels: Sequence[float], step: int, sigma_rel: float
) -> Array:
    """The weights x_i that make sum_i x_i p_i nearest to a profile (2312.02696, algorithm 3).

    p_i is the profile of the snapshot after ``steps[i]`` of width ``sigma_rels[i]``; the one
    wanted is of width ``sigma_rel`` after ``step``. Least squares in closed form:

        sum_j <p_i, p_j> x_j = <p_i, p>   for every i

    Returns float64 of shape (len(steps),). Their sum is about 1, the nearer the better the fit.
    Raises ValueError without snapshots, for two alike, and for one that was taken after ``step``.
    """
    _check(steps, sigma_rels, step)
    gammas = [gamma_of(s) for s in sigma_rels]
    own = list(zip(steps, gammas, strict=True))
    products = np.array([[profile_product(*a, *b) for b in own] for a in own])
    wanted = np.array([profile_product(*a, step, gamma_of(sigma_rel)) for a in own])
    return np.linalg.solve(products, wanted)


def profile_error(
    steps: Sequence[int], sigma_rels: Sequence[float], step: int, sigma_rel: float, weights: Array
) -> float:
    """||sum_i x_i p_i - p|| / ||p||, how well weights x_i make the wanted profile p."""
    ends = [*steps, step]
    gammas = [gamma_of(s) for s in (*sigma_rels, sigma_rel)]
    terms = list(zip([*weights, -1.0], ends, gammas, strict=True))
    square = sum(
        x * y * profile_product(t_a, gamma_a, t_b, gamma_b)
        for x, t_a, gamma_a in terms
        for y, t_b, gamma_b in terms
    )
    last = step, gammas[-1]
    return math.sqrt(max(0.0, square / profile_product(*last, *last)))


def reconstruct(snapshots: Sequence[Snapshot], step: int, sigma_rel: float) -> dict[str, Array]:
    """The average of width ``sigma_rel`` after ``step``, from snapshots of others.

    sum_i x_i arrays_i / sum_i x_i, with x_i of ``post_hoc_weights``. The paper's network does not
    mind the scale of its parameters and does without the divisor; this one does mind. With it,
    parameters that never moved come out as they are. Raises ValueError as ``post_hoc_weights``.
    """
    x = post_hoc_weights(
        [s.step for s in snapshots], [s.sigma_rel for s in snapshots], step, sigma_rel
    )
    x = x / x.sum()
    return {
        name: np.asarray(sum(w * s.arrays[name] for w, s in zip(x, snapshots, strict=True)))
        for name in snapshots[0].arrays
    }


def _check(steps: Sequence[int], sigma_rels: Sequence[float], step: int) -> None:
    if not steps:
        raise ValueError("snapshots is empty: give at least one")
    own = list(zip(steps, sigma_rels, strict=True))
    if len(set(own)) < len(own):
        raise ValueError(f"snapshots {own} hold one (step, sigma_rel) twice: leave one of them out")
    if not 1 <= min(steps) <= max(steps) <= step:
        raise ValueError(
            f"steps {list(steps)} of snapshots must be from 1 to step, which is {step}"
        )
