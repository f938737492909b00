"""The network as a denoiser: what it is told, what it remembers, and what is known besides."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from ddpm_mindspore.reference.denoiser import denoiser, given
from ddpm_mindspore.reference.objective import x0_from_output
from ddpm_mindspore.reference.samplers import ddim
from ddpm_mindspore.reference.schedule import make_schedule

SCHEDULE = make_schedule("cosine", 10)
X = np.array([[0.5, -3.0], [2.0, 0.25]])
T = np.array([3, 7])


@pytest.mark.parametrize("objective", ["pred_noise", "pred_x0", "pred_v"])
def test_an_output_is_turned_into_an_estimate(objective: str) -> None:
    told = []

    def network(x_t: Any, time: Any, x_self_cond: Any) -> Any:
        told.append((x_t, time, x_self_cond))
        return 0.5 * x_t

    estimate = denoiser(network, SCHEDULE, objective)(X, T)
    np.testing.assert_array_equal(estimate, x0_from_output(SCHEDULE, objective, X, T, 0.5 * X))
    ((x_t, time, x_self_cond),) = told
    assert x_t is X and time.tolist() == [2, 6] and x_self_cond is None


@pytest.mark.parametrize("clip", [False, True])
def test_a_self_conditioned_one_is_shown_its_last_estimate(clip: bool) -> None:
    shown = []

    def network(x_t: Any, time: Any, x_self_cond: Any) -> Any:
        shown.append(x_self_cond)
        return x_t

    predict_x0 = denoiser(network, SCHEDULE, "pred_x0", self_condition=True, clip=clip)
    first = predict_x0(X, T)
    predict_x0(0.1 * X, T)
    np.testing.assert_array_equal(first, np.clip(X, -1, 1) if clip else X)
    assert shown[0] is None and shown[1] is first


def test_a_sampler_does_not_see_the_condition() -> None:
    levels = np.array([-0.5, 0.25])

    def network(x_t: Any, time: Any, x_self_cond: Any, label: Any) -> Any:
        return levels[label][:, None] + 0.0 * x_t

    predict_x0 = denoiser(network, SCHEDULE, "pred_x0")
    known = given(predict_x0, np.array([1, 0]))
    drawn = ddim.sample(SCHEDULE, known, X, timesteps=[10, 5, 1])
    np.testing.assert_allclose(drawn, [[0.25, 0.25], [-0.5, -0.5]])
    np.testing.assert_array_equal(known(X, T), predict_x0(X, T, np.array([1, 0])))
