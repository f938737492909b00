"""How fast each sampler's error against the exact flow falls, and what breaks that.

For Gaussian data the probability flow (arXiv 2011.13456, eq. 13) keeps each coordinate the same
number of its own standard deviations from the mean; for any data of one dimension it keeps each
value's share of the probability below it. The times are real numbers, even in log(signal / noise).
Compared is x at the last of them: the step from there to t = 0 is of first order in all samplers
but PLMS and DEIS, and as short as the user wants it.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.stats import norm

from ddpm_mindspore.reference.oracle import Mixture, gaussian
from ddpm_mindspore.reference.samplers import SAMPLERS
from ddpm_mindspore.reference.samplers.common import levels
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


@pytest.mark.parametrize("data", DATA)
@pytest.mark.parametrize(("name", "options", "order"), ORDERS)
def test_the_error_falls_with_the_order_that_is_claimed(
    name: str, options: dict[str, Any], order: int, data: str
) -> None:
    counts = MORE if (name, order) in (("plms", 2), ("deis", 3)) else COUNTS
    assert order_of(SAMPLERS[name], counts, data, **options) >= order - 0.2


@pytest.mark.parametrize("data", DATA)
def test_the_last_step_is_the_last_estimate(data: str) -> None:
    """And as far from the flow as the noise that is left squared, as the estimate is."""
    oracle, flow = DATA[data]
    worst = []
    for t in (100, 50):
        x_t = flow(X_T, FIRST, t)
        x_0 = SAMPLERS["dpm++2m"](
            SCHEDULE, lambda x, at: oracle.predict_x0(SCHEDULE, x, at), x_t, timesteps=[t]
        )
        np.testing.assert_array_equal(x_0, oracle.predict_x0(SCHEDULE, x_t, np.full(4, t)))
        worst.append(np.abs(x_0 - flow(x_t, t, 0)).max() / levels_at(SCHEDULE, t)[1] ** 2)
    assert worst[1] == pytest.approx(worst[0], rel=0.1)


def broken(name: str, *changes: tuple[str, str], **names: Any) -> Walk:
    """A sampler whose source says something else, and knows other names too."""
    module = sys.modules[SAMPLERS[name].walk.__module__]
    source = Path(str(module.__file__)).read_text()
    for old, new in changes:
        assert source.count(old) == 1, (name, old)
        source = source.replace(old, new)
    copy = ModuleType(module.__name__)
    copy.__package__ = module.__package__
    copy.__dict__.update(names)
    exec(compile(source, str(module.__file__), "exec"), copy.__dict__)
    walk: Walk = copy.sample
    return walk


LOOKED_UP = "    walk = walk_down(schedule, timesteps)\n"
AFTER_CHURN = "    added, walk = Churn(**churn), walk_down(schedule, timesteps)\n"


@pytest.mark.parametrize(("name", "options", "order"), ORDERS)
def test_a_last_step_to_a_wrong_neighbour_loses_the_order(
    name: str, options: dict[str, Any], order: int
) -> None:
    """To where it comes from: x stays, and the sampler goes on as if it had moved.

    That is wrong by a step's length, as every step of first order is: for those it is the time
    after the right one.
    """

    def wrong(schedule: Any, timesteps: Sequence[float]) -> Any:
        end = 0.0 if order == 1 else timesteps[-2] - 1e-6
        path = levels(schedule, [*timesteps[:-1], end])
        return [*pairwise(path), *pairwise(levels(schedule, [timesteps[-1], 0]))]

    line = AFTER_CHURN if name in ("euler", "heun") else LOOKED_UP
    walk = broken(name, (line, line.replace("walk_down(", "wrong(")), wrong=wrong)
    assert order_of(walk, last=1000.0, **options) < order - 0.5


NO_PAIRS = "list[tuple[Level, Array]]()"
ONE_BEFORE = (
    "[(Level(2 * walk[0][0].t - walk[0][1].t, walk[0][0].signal ** 2 / walk[0][1].signal * "
    "walk[0][1].noise / walk[0][0].noise, walk[0][0].noise), 0.0 * x_T)]"
)
"""An estimate of zero, as far before the first one as the first step is long."""


@pytest.mark.parametrize(
    ("name", "options", "order", "changes"),
    [
        ("plms", {}, 2, [(NO_PAIRS, ONE_BEFORE)]),
        ("dpm++2m", {}, 2, [("x, before = x_T, None", f"x, before = x_T, {ONE_BEFORE}[0]")]),
        ("dpm++3m", {}, 3, [(NO_PAIRS, ONE_BEFORE)]),
        ("unipc", {"order": 2, "variant": "bh1"}, 3, [(NO_PAIRS, ONE_BEFORE)]),
        ("unipc", {"order": 2, "variant": "bh2"}, 3, [(NO_PAIRS, ONE_BEFORE)]),
        ("unipc", {"order": 3}, 3, [(NO_PAIRS, ONE_BEFORE)]),
        ("deis", {"order": 2}, 2, [(NO_PAIRS, ONE_BEFORE)]),
        ("deis", {"order": 3}, 3, [(NO_PAIRS, ONE_BEFORE)]),
    ],
)
def test_a_first_step_with_zeros_for_a_history_loses_the_order(
    name: str, options: dict[str, Any], order: int, changes: list[tuple[str, str]]
) -> None:
    """From where half of the signal is left: from far out the first step does not matter."""
    assert order_of(broken(name, *changes), first=2000.0, **options) < order - 0.5


NEWEST_LAST = "zip(weights, history, strict=True)", "zip(weights, history[::-1], strict=True)"


@pytest.mark.parametrize(
    ("name", "options", "order", "change"),
    [
        ("plms", {}, 2, NEWEST_LAST),
        ("dpm++2m", {}, 2, ("ahead = share_ahead", "ahead = -1.0 - share_ahead")),
        ("dpm++3m", {}, 3, ("for _, x0_hat in history", "for _, x0_hat in history[::-1]")),
        ("unipc", {"order": 2}, 3, ("for at, _ in others]", "for at, _ in others[::-1]]")),
        ("unipc", {"order": 3}, 3, ("for at, _ in others]", "for at, _ in others[::-1]]")),
        ("deis", {"order": 2}, 2, ("zip(factors, history,", "zip(factors, history[::-1],")),
        ("deis", {"order": 3}, 3, ("zip(factors, history,", "zip(factors, history[::-1],")),
        ("dpm++2s", {}, 2, ("math.expm1(-h) * x0_there", "math.expm1(-h) * x0_hat")),
        ("heun", {}, 2, ("estimate(predict_x0, x, s.t, clip)) / s.sigma", "x0_hat) / s.sigma")),
    ],
)
def test_a_swapped_order_loses_the_order(
    name: str, options: dict[str, Any], order: int, change: tuple[str, str]
) -> None:
    """Older estimates in the newer ones' place, or the first of a step in its second's."""
    assert order_of(broken(name, change), **options) < order - 0.5
