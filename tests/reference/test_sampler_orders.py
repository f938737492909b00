"""How fast each sampler's error against the exact flow falls, and what breaks that."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from ddpm_mindspore.reference.samplers import SAMPLERS
from ddpm_mindspore.reference.samplers.common import levels
from ddpm_mindspore.reference.schedule import levels_at

from .sampler_orders import DATA, FIRST, ORDERS, SCHEDULE, X_T, Walk, counts_of, order_of


@pytest.mark.parametrize("data", DATA)
@pytest.mark.parametrize(("name", "options", "order"), ORDERS)
def test_the_error_falls_with_the_order_that_is_claimed(
    name: str, options: dict[str, Any], order: int, data: str
) -> None:
    counts = counts_of(name, order)
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
