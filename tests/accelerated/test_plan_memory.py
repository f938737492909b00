"""Plans that remember: second-order solvers as tables, whose order is fitted to an exact solution.

For data N(mean, var) the probability-flow ODE (arXiv 2011.13456, eq. 13) has a closed form:
x_t - sqrt(alpha_bar_t) mean stays the same share of its own deviation.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from mindspore import Tensor
from numpy.typing import NDArray

from ddpm_mindspore.accelerated.samplers import Plan, ddim_plan, run_plan, sampling_step
from ddpm_mindspore.reference.config.diffusion import ObjectiveConfig
from ddpm_mindspore.reference.levels import TIME, Levels
from ddpm_mindspore.reference.schedule import make_schedule

Array = NDArray[np.float64]
T = 4000
SCHEDULE = make_schedule("linear", T)
LEVELS = Levels(SCHEDULE, ObjectiveConfig())
SIGNAL, SIGMA = SCHEDULE.sqrt_alpha_bar, SCHEDULE.sqrt_one_minus_alpha_bar
MEAN, VAR = 0.6, 0.09
X_T = np.array([[1.3], [-0.4], [0.2]], np.float32)


def times(n: int) -> NDArray[np.int64]:
    """n + 1 of them, evenly in log(signal / sigma), from far out to where little noise is left."""
    log_ratio = np.log(SIGNAL[1:] / SIGMA[1:])
    wanted = np.linspace(log_ratio[3000], log_ratio[200], n + 1)
    return 1 + np.abs(log_ratio[:, None] - wanted).argmin(0)


def exact(start: int, end: int) -> Array:
    def deviation(t: int) -> float:
        return float(np.sqrt(SIGNAL[t] ** 2 * VAR + SIGMA[t] ** 2))

    share = (X_T - SIGNAL[start] * MEAN) / deviation(start)
    return np.asarray(SIGNAL[end] * MEAN + deviation(end) * share)


def predict_x0(
    x_t: Tensor, levels: Tensor, condition: Any = None, x_self_cond: Any = None
) -> Tensor:
    """E(x_0 | x_t), exactly."""
    at = 1 + int(levels.asnumpy()[0, TIME])
    signal, var = SIGNAL[at], SIGNAL[at] ** 2 * VAR + SIGMA[at] ** 2
    slope = float(signal * VAR / var)
    return slope * x_t + float(MEAN * (1.0 - signal * slope))


def exponential(t: Any, s: Any) -> tuple[Any, Any]:
    """Factors of x_t and of a constant x0_hat in x_s (arXiv 2211.01095, eq. 9 with k = 1)."""
    a = SIGMA[s] / SIGMA[t]
    return a, SIGNAL[s] - a * SIGNAL[t]


def log_ratio(t: Any) -> Any:
    return np.log(SIGNAL[t] / SIGMA[t])


def two_step(path: NDArray[np.int64]) -> Plan:
    """DPM-Solver++(2M), arXiv 2211.01095, algorithm 2; its first step is of first order."""
    t, s = path[:-1], path[1:]
    a, b = exponential(t, s)
    h = log_ratio(s) - log_ratio(t)
    ahead = np.append(0.0, h[1:] / (2.0 * h[:-1]))  # 1 / (2 r)
    coefficients = np.stack([a, b * (1.0 + ahead), 0.0 * a], axis=1)
    return Plan(t.astype(float), coefficients, earlier=(-b * ahead)[:, None])


def midpoint(path: NDArray[np.int64]) -> Plan:
    """DPM-Solver++(2S), arXiv 2211.01095, algorithm 1: to the middle, and again from the anchor."""
    t, s = path[:-1], path[1:]
    wanted = (log_ratio(t) + log_ratio(s)) / 2.0
    middle = 1 + np.abs(log_ratio(np.arange(1, T + 1))[:, None] - wanted).argmin(0)
    ahead = (log_ratio(s) - log_ratio(t)) / (2.0 * (log_ratio(middle) - log_ratio(t)))  # 1 / (2 r)
    (to_middle, of_first), (a, b) = exponential(t, middle), exponential(t, s)
    none = 0.0 * a

    def rows(*columns: tuple[Array, Array]) -> Array:
        """A row for the way to the middle, and one for the whole, of each step in turn."""
        return np.stack([np.stack(column, 1).ravel() for column in columns], 1)

    coefficients = rows((to_middle, none), (of_first, b * ahead), (none, none))
    return Plan(
        np.stack([t, middle], 1).ravel().astype(float),
        coefficients,
        # D = (1 - 1 / (2 r)) x0_hat_t + 1 / (2 r) x0_hat_middle, of which the first is remembered.
        earlier=rows((none, b * (1.0 - ahead))),
        anchor=rows((none, a)).ravel(),
        anchors=np.tile([True, False], len(t)),
    )


def first_order(path: NDArray[np.int64]) -> Plan:
    """DDIM (arXiv 2010.02502), whose table is the library's own, up to where it goes at last."""
    whole = ddim_plan(SCHEDULE, [*path.tolist()], 0.0)
    return Plan(whole.timesteps[:-1], whole.coefficients[:-1])


@pytest.mark.parametrize(("plan_of", "order"), [(first_order, 1), (two_step, 2), (midpoint, 2)])
def test_the_order_of_a_plan_is_that_of_its_method(
    plan_of: Callable[[NDArray[np.int64]], Plan], order: int
) -> None:
    step = sampling_step(predict_x0)
    counts = np.array([64, 128])
    errors = []
    for n in counts:
        path = times(n)
        drawn = run_plan(step, plan_of(path), X_T, lambda i: np.zeros_like(X_T), LEVELS)
        errors.append(np.abs(drawn - exact(path[0], path[-1])).max())
    slope = -np.polyfit(np.log(counts), np.log(errors), 1)[0]
    assert slope == pytest.approx(order, abs=0.25), errors


def test_what_is_remembered_is_what_was_estimated_and_where_x_was() -> None:
    """Row 2 reads the estimates of rows 1 and 0, and the x before row 1."""
    plan = Plan(
        np.array([3.0, 2.0, 1.0]),
        np.array([[1.0, 1.0, 0.0], [2.0, 0.0, 0.0], [0.0, 0.0, 0.0]]),
        earlier=np.array([[0.0, 0.0], [0.0, 0.0], [10.0, 100.0]]),
        anchor=np.array([0.0, 0.0, 1000.0]),
        anchors=np.array([False, True, False]),
    )
    estimates = iter([0.5, 0.25, 0.125])

    def estimate(x: Tensor, levels: Tensor, condition: Any, before: Tensor) -> Tensor:
        return 0.0 * x + next(estimates)

    start = np.ones((1, 1), np.float32)
    out = run_plan(sampling_step(estimate), plan, start, lambda i: X_T, LEVELS)
    # x: 1, then 1.5, then 3.
    assert out.item() == pytest.approx(10.0 * 0.25 + 100.0 * 0.5 + 1000.0 * 1.5)
