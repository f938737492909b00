"""Targets, weights and losses by their definitions."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from autograd import grad
from numpy.typing import NDArray

from ddpm_mindspore.reference.objective import (
    LOSSES,
    OBJECTIVES,
    loss_weight,
    simple_loss,
    target,
    x0_from_output,
)
from ddpm_mindspore.reference.process import eps_from_x0, q_sample
from ddpm_mindspore.reference.schedule import SCHEDULES, make_schedule

Array = NDArray[np.float64]
every_name = pytest.mark.parametrize("name", SCHEDULES)
every_objective = pytest.mark.parametrize("objective", OBJECTIVES)
WITHOUT_EPS = ("pred_x0", "pred_v", "flow")
COMPARABLE = tuple(name for name in OBJECTIVES if name != "x0_v_loss")  # which is a weight itself


def draw(T: int, n: int = 6) -> tuple[Array, Array, NDArray[np.int64]]:
    rng = np.random.default_rng(0)
    t = rng.integers(1, T, n)
    t[0] = 1
    return rng.standard_normal((n, 2, 3, 3)), rng.standard_normal((n, 2, 3, 3)), t


@every_name
@every_objective
def test_a_perfect_output_gives_back_the_data(name: str, objective: str) -> None:
    schedule = make_schedule(name, 20)
    x_0, noise, t = draw(20)
    output = target(schedule, objective, x_0, t, noise)
    x_t = q_sample(schedule, x_0, t, noise)
    x0_hat = x0_from_output(schedule, objective, x_t, t, output)
    np.testing.assert_allclose(x0_hat, x_0, rtol=1e-6, atol=1e-6)


def test_targets_are_what_their_names_say() -> None:
    schedule = make_schedule("cosine", 20)
    x_0, noise, t = draw(20)
    np.testing.assert_array_equal(target(schedule, "pred_noise", x_0, t, noise), noise)
    np.testing.assert_array_equal(target(schedule, "pred_x0", x_0, t, noise), x_0)
    a = schedule.alpha_bar[t][:, None, None, None]
    v = np.sqrt(a) * noise - np.sqrt(1 - a) * x_0
    np.testing.assert_allclose(target(schedule, "pred_v", x_0, t, noise), v, rtol=1e-14)


@pytest.mark.parametrize("objective", COMPARABLE)
def test_without_a_rule_every_step_weighs_one(objective: str) -> None:
    weight = loss_weight(make_schedule("sigmoid", 50), objective)
    assert weight.shape == (51,) and weight.dtype == np.float64
    assert weight[0] == 0 and np.all(weight[1:] == 1)


def test_p2_and_min_snr_of_the_noise_are_the_papers() -> None:
    schedule = make_schedule("linear", 100)
    snr = schedule.snr[1:]
    p2 = loss_weight(schedule, "pred_noise", p2_loss_weight_gamma=0.5, p2_loss_weight_k=2.0)
    np.testing.assert_allclose(p2[1:], (2 + snr) ** -0.5, rtol=1e-14)
    clipped = loss_weight(schedule, "pred_noise", min_snr_loss_weight=True, min_snr_gamma=3.0)
    np.testing.assert_allclose(clipped[1:], np.minimum(snr, 3) / snr, rtol=1e-14)
    assert snr.min() < 3 < snr.max()  # both branches were seen


@every_name
@pytest.mark.parametrize(
    "rule", [{"p2_loss_weight_gamma": 1.0}, {"min_snr_loss_weight": True}], ids=["p2", "min_snr"]
)
def test_every_objective_weighs_one_mistake_alike(name: str, rule: dict[str, float]) -> None:
    """The same wrong x0_hat costs the same, whatever the network predicts."""
    T = 20
    schedule = make_schedule(name, T)
    x_0, noise, _ = draw(T)
    for t in (1, 7, 13, 19):
        when = np.full(len(x_0), t)
        x_t = q_sample(schedule, x_0, when, noise)
        x0_hat = x_0 + 0.3 * np.sin(5 * noise)
        eps_hat = eps_from_x0(schedule, x_t, when, x0_hat)
        costs = []
        for objective in COMPARABLE:
            # What a network with this estimate would return, and what it should return.
            output = target(schedule, objective, x0_hat, when, eps_hat)
            goal = target(schedule, objective, x_0, when, noise)
            weight = loss_weight(schedule, objective, **rule)[when]  # type: ignore[arg-type]
            costs.append(simple_loss(output, goal, weight))
        np.testing.assert_allclose(costs, costs[0], rtol=1e-6)


@pytest.mark.parametrize("objective", WITHOUT_EPS)
def test_weights_are_finite_at_zero_terminal_snr(objective: str) -> None:
    schedule = make_schedule("cosine", 30, zero_terminal_snr=True)
    for weight in (
        loss_weight(schedule, objective),
        loss_weight(schedule, objective, p2_loss_weight_gamma=1.0),
        loss_weight(schedule, objective, min_snr_loss_weight=True),
    ):
        assert np.all(np.isfinite(weight)) and np.all(weight >= 0)


def test_min_snr_weights_are_those_of_the_paper_for_each_objective() -> None:
    schedule = make_schedule("cosine", 30)
    clipped = np.minimum(schedule.snr[1:], 5.0)
    for objective, expected in (
        ("pred_noise", clipped / schedule.snr[1:]),
        ("pred_x0", clipped),
        ("pred_v", clipped / (schedule.snr[1:] + 1)),
    ):
        weight = loss_weight(schedule, objective, min_snr_loss_weight=True)
        np.testing.assert_allclose(weight[1:], expected, rtol=1e-14)


def test_pred_noise_is_refused_with_zero_terminal_snr() -> None:
    schedule = make_schedule("cosine", 10, zero_terminal_snr=True)
    x, t = np.zeros((2, 3)), np.array([1, 2])
    for call in (
        lambda: loss_weight(schedule, "pred_noise"),
        lambda: target(schedule, "pred_noise", x, t, x),
        lambda: x0_from_output(schedule, "pred_noise", x, t, x),
    ):
        with pytest.raises(ValueError, match=r"cannot be used with zero_terminal_snr .* pred_v"):
            call()


def test_wrong_weights_and_names_are_refused() -> None:
    schedule = make_schedule("cosine", 10)
    with pytest.raises(ValueError, match=r"p2_loss_weight_gamma 1\.0 and min_snr_loss_weight"):
        loss_weight(schedule, "pred_v", p2_loss_weight_gamma=1.0, min_snr_loss_weight=True)
    for wrong in (
        {"p2_loss_weight_gamma": -1.0},
        {"p2_loss_weight_k": 0.0},
        {"min_snr_gamma": 0.0},
    ):
        with pytest.raises(ValueError, match=next(iter(wrong))):
            loss_weight(schedule, "pred_v", **wrong)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="objective 'eps' is unknown: choose pred_noise, pred_x0"):
        loss_weight(schedule, "eps")
    with pytest.raises(ValueError, match="loss_type 'l3' is unknown: choose l1, l2 or huber"):
        simple_loss(np.zeros(2), np.zeros(2), np.ones(2), "l3")


@pytest.mark.parametrize(
    ("loss_type", "each"),
    [
        ("l1", abs),
        ("l2", lambda d: d * d),
        ("huber", lambda d: d * d / 2 if abs(d) < 1 else abs(d) - 0.5),
    ],
)
def test_losses_are_weighted_means_of_means(loss_type: str, each: Callable[[float], float]) -> None:
    rng = np.random.default_rng(1)
    output, goal = 2 * rng.standard_normal((2, 4, 3, 2, 2))
    weight = np.array([1.0, 0.0, 2.0, 0.5])
    far = np.abs(output - goal) >= 1
    assert far.any() and not far.all()  # both branches of huber
    expected = 0.0
    for i in range(4):
        errors = [each(d) for d in (output[i] - goal[i]).ravel()]
        expected += weight[i] * sum(errors) / len(errors) / 4
    assert simple_loss(output, goal, weight, loss_type) == pytest.approx(expected, rel=1e-14)


@pytest.mark.parametrize("loss_type", LOSSES)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_losses_have_the_gradients_of_their_definitions(loss_type: str, dtype: type) -> None:
    d = np.array([[-3.0, -1.0, -0.5], [0.25, 1.0, 2.0]], dtype)
    weight = np.array([1.0, 3.0])
    slope = {"l1": np.sign(d), "l2": 2 * d, "huber": np.clip(d, -1, 1)}[loss_type]
    gradient = grad(lambda o: simple_loss(o, np.zeros_like(d), weight, loss_type))(d)
    assert gradient.dtype == dtype
    rtol = 4 * np.finfo(dtype).eps
    np.testing.assert_allclose(gradient, slope * weight[:, None] / 6, rtol=rtol)


@pytest.mark.parametrize("loss_type", LOSSES)
def test_a_float32_loss_is_computed_in_float32(loss_type: str) -> None:
    x = np.ones((2, 3), np.float32)
    assert simple_loss(x, 0 * x, np.array([0.1, 0.2]), loss_type).dtype == np.float32


def test_losses_check_their_arrays() -> None:
    x = np.zeros((2, 3))
    with pytest.raises(ValueError, match=r"target has shape \(3, 2\)"):
        simple_loss(x, x.T, np.ones(2))
    with pytest.raises(ValueError, match="weight needs one entry for each image"):
        simple_loss(x, x, np.ones(3))
    with pytest.raises(ValueError, match="output is not an array of floats"):
        simple_loss(x.astype(np.uint8), x, np.ones(2))
