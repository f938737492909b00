"""How many bits an image takes: by the variational bound, and by the probability-flow ODE.

Host code: all that is asked of a device is the denoiser, and its derivative along a direction.

The bound of arXiv 2006.11239, eq. 5, is in ``bound``. The ODE (Song et al. 2021, arXiv 2011.13456,
section 4.3), with y = x_t / signal and l = log(noise / signal), is

    dy/dl = y - x0_hat,    d log p(y) / dl = -(D - tr dx0_hat/dy),

along which the density of noise at T becomes that of x_t; traces are estimated by v . (J v) with
random signs v (Skilling 1989; Hutchinson 1990), or summed over the axes.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from ..bound import (
    LEVELS,
    bits_per_dim,
    halves,
    log_var,
    share_of,
    vlb_decoder,
    vlb_prior,
    vlb_term,
)
from ..plain import check_choice
from ..schedule import Array, Schedule, Table, levels_at, time_of
from .solvers import SOLVERS as SOLVERS

Predict = Callable[[Array, Array], tuple[Array, Array | None]]
"""(x_t, t) to x0_hat and the logarithm of its step's variance, or None."""

Probe = Callable[[Array, Array, Array], tuple[Array, Table]]
"""(x_t, t, v) to x0_hat and v . (dx0_hat/dx_t v) of each item, (B,)."""

Draw = Callable[[int], Array]
"""i to the i-th array of N(0, 1), (B, ...)."""


class Bits(NamedTuple):
    """What images take, in bits for each of their values.

    Attributes:
        each: (B,) in all.
        times: (K,) at which terms were measured, 1 the last step.
        terms: (K, B) what one step at each of these times takes.
        priors: (B,) what the chain's end gives away.
    """

    each: Table
    times: tuple[int, ...]
    terms: Table
    priors: Table


def predicted(
    schedule: Schedule, estimate: Array, t: Array, like: Array, *, clip: bool
) -> tuple[Array, Array | None]:
    """What ``Predict`` returns, of x0_hat and what tells the variance where that was learned.

    Args:
        estimate: (B, C, ...), or (B, 2 C, ...) with the variance; t: (B,) whole times.
        like: (B, C, ...).
        clip: estimates are brought into [-1, 1].
    """
    x0_hat, raw = halves(estimate, like)
    variance = None if raw is None else log_var(schedule, t, share_of(raw))
    return np.clip(x0_hat, -1.0, 1.0) if clip else x0_hat, variance


def spread_times(T: int, count: int) -> tuple[tuple[int, ...], Table]:
    """Times at which terms are measured, ``count`` at most besides 1, and how many each stands for.

    1 stands for itself. 2..T is parted evenly in log t, since terms fall about as 1 / t; the middle
    of each part stands for it.
    """
    edges = np.arange(2, T + 2)
    if count < T - 1:
        edges = np.unique(np.geomspace(2, T + 1, count + 1).round().astype(int))
    middles = [round(math.sqrt(a * (b - 1))) for a, b in pairwise(edges.tolist())]
    return (1, *middles), np.array([1, *np.diff(edges)], np.float64)


def bound_bits(
    schedule: Schedule, predict: Predict, x_0: Array, noise: Draw, *, count: int | None = None
) -> Bits:
    """An upper bound: L_T + ... + L_0, by one draw of x_t at each time.

    Args:
        x_0: (B, ...) on the grid of 256 levels from -1 to 1.
        noise: the i-th draw is that of the i-th time.
        count: times besides 1, at most (default: all, which is exact but for the draws).
    """
    times, stands_for = spread_times(schedule.T, schedule.T if count is None else count)
    terms = []
    for i, t in enumerate(times):
        at = np.full(len(x_0), t)
        signal, sigma = (float(level[0]) for level in levels_at(schedule, at[:1]))
        x0_hat, variance = predict(signal * x_0 + sigma * noise(i), at)
        terms.append(vlb_term(schedule, x_0, at, x0_hat, variance))
    dims = x_0[0].size
    bits, prior = bits_per_dim(np.stack(terms), dims), bits_per_dim(vlb_prior(schedule, x_0), dims)
    return Bits(prior + stands_for @ bits, times, bits, prior)


def flow_bits(
    schedule: Schedule,
    probe: Probe,
    x_0: Array,
    noise: Draw,
    *,
    solver: str = "heun",
    steps: int = 50,
    probes: int = 1,
) -> Table:
    """By the ODE from x_1, whose noise is paid for: (B,) bits for each value, a bound as well.

        -log P(x_0) <= E[log q(x_1 | x_0) - log p(x_1) - log P(x_0 | x_1)]

    in which p(x_1) is that of the ODE and P(x_0 | x_1) the chain's last step, to 256 levels.

    Args:
        x_0: (B, ...) on the grid of 256 levels from -1 to 1.
        noise: draw 0 makes x_1; the others' signs are probes.
        solver: of SOLVERS; steps: equal in log(noise / signal).
        probes: directions, of which the traces are means.
    """
    one, eps = np.ones(len(x_0)), noise(0)
    signal, sigma = (float(level[0]) for level in levels_at(schedule, one[:1]))
    x_1 = signal * x_0 + sigma * eps
    signs = [np.where(noise(1 + i) < 0.0, -1.0, 1.0) for i in range(probes)]
    log_p = flow_log_density(schedule, probe, x_1, signs, solver=solver, steps=steps)
    x0_hat, _ = probe(x_1, one, signs[0])
    log_q = -_sum(eps**2) / 2.0 - eps[0].size * math.log(2.0 * math.pi * sigma**2) / 2.0
    nats = log_q - log_p + vlb_decoder(schedule, x_0, x0_hat, LEVELS)
    return bits_per_dim(nats, x_0[0].size)


def flow_log_density(
    schedule: Schedule,
    probe: Probe,
    x: Array,
    directions: Sequence[Array],
    *,
    start: float = 1.0,
    solver: str = "heun",
    steps: int = 50,
) -> Table:
    """log p(x_t) at t = ``start`` of the ODE that noise N(0, I) at T follows, in nats, (B,).

    ``directions``: arrays like x; traces are the means of v . (J v) over them (``axes``: exact).
    Raises ValueError for an unknown solver.
    """
    check_choice("solver", solver, tuple(SOLVERS))
    stages, weights = SOLVERS[solver]
    dims = x[0].size
    grid = _grid(schedule, start, steps)
    signal = math.exp(-0.5 * math.log1p(math.exp(2.0 * grid[0])))
    y, change = x / signal, np.zeros(len(x))

    def slope(state: Array, level: float) -> tuple[Array, Table]:
        # signal^2 + noise^2 = 1
        signal = math.exp(-0.5 * math.log1p(math.exp(2.0 * level)))
        t = np.full(len(x), _time(schedule, level))
        traces = np.zeros(len(x))
        for v in directions:
            x0_hat, along = probe(signal * state, t, v)
            traces = traces + signal * along / len(directions)
        return state - x0_hat, dims - traces

    for low, high in pairwise(grid):
        step = float(high - low)
        found: list[tuple[Array, Table]] = []
        for earlier in stages:
            moved = sum(a * found[j][0] for j, a in enumerate(earlier))
            found.append(slope(y + step * moved, low + step * sum(earlier)))
        y = y + step * sum(w * k for w, (k, _) in zip(weights, found, strict=True))
        change = change + step * sum(w * k for w, (_, k) in zip(weights, found, strict=True))
    signal_T = math.exp(-0.5 * math.log1p(math.exp(2.0 * grid[-1])))
    prior = -_sum((signal_T * y) ** 2) / 2.0 - dims * math.log(2.0 * math.pi) / 2.0
    found_density: Table = prior + dims * math.log(signal_T / signal) + change
    return found_density


def axes(x: Array) -> list[Array]:
    """Directions whose mean of v . (J v) is the trace: sqrt(D) times each axis."""
    dims = x[0].size
    units = math.sqrt(dims) * np.eye(dims)
    return [np.broadcast_to(unit.reshape(x.shape[1:]), x.shape) for unit in units]


def _grid(schedule: Schedule, start: float, steps: int) -> Table:
    """log(noise / signal) from ``start`` up to T, or the last time at which there is a signal."""
    last = float(schedule.T) if schedule.alpha_bar[-1] > 0.0 else schedule.T - 1.0
    signal, noise = levels_at(schedule, np.array([start, last]))
    low, high = np.log(noise / signal)
    grid: Table = np.linspace(low, high, steps + 1)
    return grid


def _time(schedule: Schedule, level: float) -> float:
    """The real time at which log(noise / signal) is ``level``."""
    return float(np.asarray(time_of(schedule, np.array([-level])))[0])


def _sum(values: Array) -> Table:
    sums: Table = np.sum(values, axis=tuple(range(1, values.ndim)))
    return sums
