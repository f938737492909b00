"""Times between whole ones, and the numbers that the device is told of a time."""

from __future__ import annotations

import numpy as np
import pytest

from ddpm_mindspore.reference.config.diffusion import OBJECTIVES, PREDICTIONS, ObjectiveConfig
from ddpm_mindspore.reference.levels import COLUMNS, WEIGHT, Levels
from ddpm_mindspore.reference.objective import loss_weight, target, x0_from_output
from ddpm_mindspore.reference.preconditioning import network_input
from ddpm_mindspore.reference.process import q_sample
from ddpm_mindspore.reference.schedule import (
    SCHEDULES,
    levels_at,
    log_snr_at,
    make_schedule,
    time_of,
)


@pytest.mark.parametrize("zero_snr", [False, True])
@pytest.mark.parametrize("name", SCHEDULES)
@pytest.mark.parametrize("T", [1, 2, 1000])
def test_time_is_the_tables_at_whole_numbers_and_goes_on_between(
    name: str, T: int, zero_snr: bool
) -> None:
    schedule = make_schedule(name, T, zero_terminal_snr=zero_snr)
    whole = np.arange(T + 1)
    for t in (whole, whole.astype(float)):
        signal, noise = levels_at(schedule, t)
        np.testing.assert_array_equal(signal, schedule.sqrt_alpha_bar)
        np.testing.assert_array_equal(noise, schedule.sqrt_one_minus_alpha_bar)
    t = np.linspace(0.0, T, 7 * T + 1)
    signal, noise = levels_at(schedule, t)
    np.testing.assert_allclose(signal**2 + noise**2, 1.0, rtol=1e-14)
    assert (np.diff(noise) > 0).all() or name == "sigmoid"  # it is flat where it begins
    assert (np.diff(noise) >= 0).all()
    middle = levels_at(schedule, np.array(0.5))
    assert np.arctan2(*middle[::-1]) == pytest.approx(
        0.5 * np.arctan2(schedule.sqrt_one_minus_alpha_bar[1], schedule.sqrt_alpha_bar[1])
    )


@pytest.mark.parametrize("name", SCHEDULES)
def test_there_and_back(name: str) -> None:
    for zero_snr in (False, True):
        schedule = make_schedule(name, 100, zero_terminal_snr=zero_snr)
        t = np.linspace(0.0, 100.0, 777)
        np.testing.assert_allclose(time_of(schedule, log_snr_at(schedule, t)), t, atol=1e-8)
    assert time_of(schedule, np.inf) == 0.0 and time_of(schedule, -np.inf) == 100.0
    weak = make_schedule(name, 100)
    assert time_of(weak, np.array([-1e9, 1e9])).tolist() == [100.0, 0.0]
    with pytest.raises(ValueError, match=r"t 3\.0\.\.101\.0 is outside 0\.\.100"):
        levels_at(schedule, np.array([3.0, 101.0]))


@pytest.mark.parametrize("objective", OBJECTIVES)
@pytest.mark.parametrize("t", [np.array([1, 30, 60]), np.array([0.25, 17.5, 59.75])])
def test_columns_do_what_the_formulas_do(objective: str, t: np.ndarray) -> None:  # type: ignore[type-arg]
    schedule = make_schedule("cosine", 60)
    config, data = ObjectiveConfig(objective=objective, sigma_data=0.8), 0.8
    columns = Levels(schedule, config)(t)
    assert columns.shape == (3, len(COLUMNS))
    columns = columns[:, : WEIGHT + 1]
    time, signal, noise, scale, skip, out, of_x0, of_noise, weight = columns.T[:, :, None]
    np.testing.assert_array_equal(time[:, 0], t - 1)
    assert (scale == 1).all() or objective not in PREDICTIONS
    assert (weight == 1).all() or objective == "x0_v_loss"
    x_0, eps, output = np.random.default_rng(0).standard_normal((3, 3, 4))
    x_t = q_sample(schedule, x_0, t, eps)
    np.testing.assert_allclose(signal * x_0 + noise * eps, x_t, rtol=1e-13)
    seen = network_input(schedule, objective, x_t, t, data)
    np.testing.assert_allclose(scale * x_t, seen, rtol=1e-13)
    goal = target(schedule, objective, x_0, t, eps, data)
    np.testing.assert_allclose(of_x0 * x_0 + of_noise * eps, goal, rtol=1e-11)
    x0_hat = x0_from_output(schedule, objective, x_t, t, output, data)
    np.testing.assert_allclose(skip * x_t + out * output, x0_hat, rtol=1e-9)
    np.testing.assert_allclose(skip * x_t + out * goal, x_0, rtol=1e-7)


def test_weights_are_those_of_the_table() -> None:
    schedule = make_schedule("linear", 60)
    config = ObjectiveConfig(objective="pred_x0", min_snr_loss_weight=True, min_snr_gamma=0.5)
    t = np.arange(1, 61)
    weights = Levels(schedule, config)(t)[:, WEIGHT]
    table = loss_weight(schedule, "pred_x0", min_snr_loss_weight=True, min_snr_gamma=0.5)
    np.testing.assert_allclose(weights, table[1:], rtol=1e-12)


def test_what_cannot_be_is_refused() -> None:
    schedule = make_schedule("linear", 10, zero_terminal_snr=True)
    for objective in ("pred_noise", "edm"):
        with pytest.raises(ValueError, match=f"'{objective}' cannot be used with zero_terminal_sn"):
            Levels(schedule, ObjectiveConfig(objective=objective))
    with pytest.raises(ValueError, match=r"t 0 is the data, of which nothing"):
        Levels(schedule, ObjectiveConfig())(np.array([0, 3]))
