"""How fast the error of each deterministic sampler falls, on data whose flow is known exactly.

    python -m tests.reference.sampler_orders

prints a table. For Gaussian data the probability flow (arXiv 2011.13456, eq. 13) keeps each
coordinate the same number of its own standard deviations from the mean; for any data of one
dimension it keeps each value's share of the probability below it. The times are real numbers, even
in log(signal / noise). Compared is x at the last of them: the step from there to t = 0 is of first
order in all samplers but PLMS and DEIS, and as short as the user wants it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.stats import norm

from ddpm_mindspore.reference.oracle import Mixture, gaussian
from ddpm_mindspore.reference.samplers import SAMPLERS
from ddpm_mindspore.reference.schedule import levels_at, log_snr_at, make_schedule, time_of

Array = NDArray[np.float64]
Walk = Callable[..., Array]

SCHEDULE = make_schedule("linear", 4000)
FIRST, LAST = 4000.0, 60.0  # noise 0.11 is left at the last
COUNTS = (32, 64, 128, 256)
MORE = (64, 128, 256, 512)  # where the first steps, without history, are felt longest
FEWER = (12, 24, 48, 96)
X_T = np.random.default_rng(0).standard_normal((4, 1))

ORDERS: list[tuple[str, dict[str, Any], int]] = [
    ("ddim", {}, 1),
    ("euler", {}, 1),
    ("heun", {}, 2),
    ("plms", {}, 2),
    ("dpm++2s", {}, 2),
    ("dpm++2m", {}, 2),
    ("dpm++3m", {}, 3),
    ("unipc", {"order": 2, "variant": "bh1"}, 3),
    ("unipc", {"order": 2, "variant": "bh2"}, 3),
    ("unipc", {"order": 3}, 3),
    ("deis", {"order": 1}, 1),
    ("deis", {"order": 2}, 2),
    ("deis", {"order": 3}, 3),
]
"""What each claims: UniPC one more than its predictor's (2302.04867, theorem 3.1), as far as its
first steps, which have no history, let it."""

MEAN, VAR = 0.6, 0.3
PAIR = Mixture([0.35, 0.65], [[-1.0], [0.8]], [[[0.1]], [[0.05]]])


def flow_of_one(x: Array, t: float, s: float) -> Array:
    (a, b), (c, d) = levels_at(SCHEDULE, t), levels_at(SCHEDULE, s)
    return c * MEAN + (x - a * MEAN) * np.sqrt((c * c * VAR + d * d) / (a * a * VAR + b * b))


def flow_of_two(x: Array, t: float, s: float) -> Array:
    def below(value: float, t: float) -> float:
        a, b = levels_at(SCHEDULE, t)
        deviations = np.sqrt(a * a * PAIR.covs[:, 0, 0] + b * b)
        return float(PAIR.weights @ norm.cdf(value, a * PAIR.means[:, 0], deviations))

    found = [brentq(lambda y, v=v: below(y, s) - below(v, t), -6, 6, xtol=1e-14) for v in x[:, 0]]
    return np.array(found)[:, None]


DATA = {"one": (gaussian([MEAN], [[VAR]]), flow_of_one), "two": (PAIR, flow_of_two)}


def times(n: int, first: float, last: float) -> list[float]:
    path = np.linspace(*log_snr_at(SCHEDULE, [first, last]), n + 1)
    return [first, *map(float, time_of(SCHEDULE, path[1:-1])), last]


def order_of(
    walk: Walk,
    counts: Sequence[int] = FEWER,
    data: str = "one",
    first: float = FIRST,
    last: float = LAST,
    **options: Any,
) -> float:
    """The slope of the largest error of x at the last time, for several counts of steps."""
    found, exact = [], DATA[data][1](X_T, first, last)
    for n in counts:
        states: list[Array] = []

        def predict(x: Array, t: Array, states: list[Array] = states) -> Array:
            if t[0] == last:
                states.append(x)
            return DATA[data][0].predict_x0(SCHEDULE, x, t)

        walk(SCHEDULE, predict, X_T, timesteps=times(n, first, last), **options)
        found.append(np.abs(states[-1] - exact).max())
    return float(-np.polyfit(np.log(counts), np.log(found), 1)[0])


def counts_of(name: str, order: int) -> tuple[int, ...]:
    """The counts of steps that a sampler's order is measured with."""
    return MORE if (name, order) in (("plms", 2), ("deis", 3)) else COUNTS


def table() -> str:
    """The Markdown table of orders: claimed, and the slopes that are measured."""
    lines = ["| sampler | order | on a Gaussian | on a mixture of two |", "|---|---|---|---|"]
    for name, options, order in ORDERS:
        slopes = [order_of(SAMPLERS[name], counts_of(name, order), x, **options) for x in DATA]
        said = ", ".join([f"`{name}`", *(f"{key} {value}" for key, value in options.items())])
        lines.append(f"| {said} | {order} | {slopes[0]:.2f} | {slopes[1]:.2f} |")
    return "\n".join(lines)


if __name__ == "__main__":
    print(table())
