"""Plans that remember: their order on the device, fitted to an exact flow.

For data N(mean, var) the probability-flow ODE (arXiv 2011.13456, eq. 13) has a closed form:
x_t - sqrt(alpha_bar_t) mean stays the same share of its own deviation.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from mindspore import Tensor
from numpy.typing import NDArray

from ddpm_mindspore.accelerated.samplers import PLANS, Plan, run_plan, sampling_step
from ddpm_mindspore.reference.config.diffusion import ObjectiveConfig
from ddpm_mindspore.reference.levels import NOISE as OF_NOISE
from ddpm_mindspore.reference.levels import SIGNAL as OF_DATA
from ddpm_mindspore.reference.levels import Levels
from ddpm_mindspore.reference.schedule import levels_at, log_snr_at, make_schedule, time_of

Array = NDArray[np.float64]
SCHEDULE = make_schedule("linear", 4000)
LEVELS = Levels(SCHEDULE, ObjectiveConfig())
MEAN, VAR = 0.6, 0.09
X_T = np.array([[1.3], [-0.4], [0.2]], np.float32)


def times(n: int) -> Array:
    """n + 1 of them, evenly in log(signal / noise), from far out to where little noise is left."""
    return time_of(SCHEDULE, np.linspace(*log_snr_at(SCHEDULE, [3000, 200]), n + 1))


def exact(start: float, end: float) -> Array:
    (a, b), (c, d) = levels_at(SCHEDULE, start), levels_at(SCHEDULE, end)
    share = (X_T - a * MEAN) / np.sqrt(a**2 * VAR + b**2)
    return np.asarray(c * MEAN + np.sqrt(c**2 * VAR + d**2) * share)


def predict_x0(
    x_t: Tensor, levels: Tensor, condition: Any = None, x_self_cond: Any = None
) -> Tensor:
    """E(x_0 | x_t), exactly."""
    signal, noise = (float(level) for level in levels.asnumpy()[0, [OF_DATA, OF_NOISE]])
    slope = signal * VAR / (signal**2 * VAR + noise**2)
    return slope * x_t + float(MEAN * (1.0 - signal * slope))


@pytest.mark.parametrize(("name", "order"), [("ddim", 1), ("dpm++2m", 2), ("dpm++2s", 2)])
def test_the_order_of_a_plan_is_that_of_its_method(name: str, order: int) -> None:
    """The rows of each down to the last time, in float32, on the device."""
    step = sampling_step(predict_x0)
    counts = np.array([64, 128])
    errors = []
    for n in counts:
        path = times(n)
        whole = PLANS[name](SCHEDULE, path.tolist())
        rows = [getattr(whole, column)[:-1] for column in ("timesteps", "coefficients", "earlier")]
        plan = Plan(*rows, whole.kept[:-1], whole.draws[:-1])
        drawn = run_plan(step, plan, X_T, lambda i: np.zeros_like(X_T), LEVELS)
        errors.append(np.abs(drawn - exact(path[0], path[-1])).max())
    slope = -np.polyfit(np.log(counts), np.log(errors), 1)[0]
    assert slope == pytest.approx(order, abs=0.3), errors


def test_what_is_remembered_is_what_each_row_keeps() -> None:
    """Row 3 reads what rows 2 and 0 kept: row 1 keeps nothing."""
    plan = Plan(
        np.array([4.0, 3.0, 2.0, 1.0]),
        np.array([[1.0, 1.0, 0.0], [2.0, 0.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 0.0]]),
        earlier=np.array([[0.0, 0.0], [0.0, 0.0], [0.0, 0.0], [10.0, 100.0]]),
        kept=np.array([[0.0, 1.0], [0.0, 0.0], [2.0, 4.0], [0.0, 1.0]]),
    )
    estimates = iter([0.5, 0.25, 0.125, 0.0625])

    def estimate(x: Tensor, levels: Tensor, condition: Any, before: Tensor) -> Tensor:
        return 0.0 * x + next(estimates)

    step = sampling_step(estimate)
    out = run_plan(step, plan, np.ones((1, 1), np.float32), lambda i: X_T, LEVELS)
    # x: 1, then 1.5, 3 and 3; row 2 keeps 2 * 3 + 4 * 0.125.
    assert out.item() == pytest.approx(10.0 * 6.5 + 100.0 * 0.5)
