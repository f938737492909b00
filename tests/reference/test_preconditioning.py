"""Flow matching, EDM and x-prediction with the velocity's error, by what their papers say."""

from __future__ import annotations

import numpy as np
import pytest

from ddpm_mindspore.reference.config.diffusion import DiffusionConfig
from ddpm_mindspore.reference.objective import loss_weight, target, weight_at, x0_from_output
from ddpm_mindspore.reference.preconditioning import network_input, s_at, sigma_at
from ddpm_mindspore.reference.process import q_sample, v_from_x0
from ddpm_mindspore.reference.samplers import ddim
from ddpm_mindspore.reference.schedule import make_schedule

SCHEDULE = make_schedule("cosine", 60)
T = np.array([1.0, 17.5, 42.0, 60.0])
X_0, EPS = np.random.default_rng(0).standard_normal((2, 4, 3))


def test_flow_sees_the_straight_path_and_is_asked_for_its_velocity() -> None:
    s = s_at(SCHEDULE, T)[:, None]
    assert s[0] < 0.05 and s[-1] > 0.99
    seen = network_input(SCHEDULE, "flow", q_sample(SCHEDULE, X_0, T, EPS), T)
    np.testing.assert_allclose(seen, (1 - s) * X_0 + s * EPS, rtol=1e-12)
    np.testing.assert_array_equal(target(SCHEDULE, "flow", X_0, T, EPS), EPS - X_0)


def test_a_step_of_ddim_is_a_step_of_euler_along_the_flow() -> None:
    """One constant velocity moves x_s by (s' - s) u, wherever the schedule goes in between."""
    velocity = 0.3 + 0.7 * X_0
    seen: list[np.ndarray] = []  # type: ignore[type-arg]

    def predict_x0(x_t, t, condition=None):  # type: ignore[no-untyped-def]
        seen.append(network_input(SCHEDULE, "flow", x_t, t))
        return x0_from_output(SCHEDULE, "flow", x_t, t, velocity)

    timesteps = (60, 41, 17, 3)
    end = ddim.sample(SCHEDULE, predict_x0, EPS, timesteps=timesteps)
    s = s_at(SCHEDULE, np.array(timesteps))
    for i, (before, after) in enumerate(zip(seen, [*seen[1:], end], strict=True)):
        step = (s[i + 1] if i < 3 else 0.0) - s[i]
        np.testing.assert_allclose(after, before + step * velocity, rtol=1e-9)


@pytest.mark.parametrize("sigma_data", [0.5, 1.7])
def test_edm_has_unit_variance_before_and_behind_the_network(sigma_data: float) -> None:
    rng = np.random.default_rng(1)
    x_0 = sigma_data * rng.standard_normal((4, 200_000))
    eps = rng.standard_normal(x_0.shape)
    seen = network_input(SCHEDULE, "edm", q_sample(SCHEDULE, x_0, T, eps), T, sigma_data)
    goal = target(SCHEDULE, "edm", x_0, T, eps, sigma_data)
    np.testing.assert_allclose(seen.var(1), 1.0, rtol=0.02)
    np.testing.assert_allclose(goal.var(1), 1.0, rtol=0.02)
    # c_skip makes c_out as small as it can be (2206.00364, appendix B.6): they are independent.
    np.testing.assert_allclose(np.mean(seen * goal, 1), 0.0, atol=0.02)


def test_edm_of_data_of_variance_one_is_minus_v() -> None:
    x_t = q_sample(SCHEDULE, X_0, T, EPS)
    np.testing.assert_allclose(network_input(SCHEDULE, "edm", x_t, T, 1.0), x_t, rtol=1e-12)
    v = v_from_x0(SCHEDULE, X_0, T, EPS)
    np.testing.assert_allclose(target(SCHEDULE, "edm", X_0, T, EPS, 1.0), -v, rtol=1e-6)


def test_edm_weighs_the_denoiser_s_error_as_its_table_says() -> None:
    """lambda(sigma) = (sigma^2 + sigma_data^2) / (sigma sigma_data)^2 of |D - x_0|^2."""
    data, sigma = 0.6, sigma_at(SCHEDULE, T)
    x_t = q_sample(SCHEDULE, X_0, T, EPS)
    output = np.random.default_rng(2).standard_normal(X_0.shape)
    error = x0_from_output(SCHEDULE, "edm", x_t, T, output, data) - X_0
    weight = (sigma**2 + data**2) / (sigma * data) ** 2
    own = (output - target(SCHEDULE, "edm", X_0, T, EPS, data)) ** 2
    np.testing.assert_allclose(weight[:, None] * error**2, own, rtol=1e-6)
    assert (weight_at(sigma**-2, "edm", sigma_data=data) == 1.0).all()


def test_x0_v_loss_is_the_velocity_s_error() -> None:
    """u = (x_s - x_0) / s, with s clipped at 0.05 (2511.13720)."""
    s = s_at(SCHEDULE, T)[:, None]
    x_s = network_input(SCHEDULE, "x0_v_loss", q_sample(SCHEDULE, X_0, T, EPS), T)
    np.testing.assert_allclose(x_s, (1 - s) * X_0 + s * EPS, rtol=1e-12)
    x0_hat, clipped = X_0 + 0.3, np.maximum(s, 0.05)
    velocities = [(x_s - x) / clipped for x in (x0_hat, X_0)]
    weight = weight_at(sigma_at(SCHEDULE, T) ** -2.0, "x0_v_loss")
    cost = weight[:, None] * (x0_hat - X_0) ** 2
    np.testing.assert_allclose(cost, (velocities[0] - velocities[1]) ** 2, rtol=1e-9)
    assert weight[0] == pytest.approx(400.0)  # the clipped end was seen


@pytest.mark.parametrize("objective", ["flow", "x0_v_loss"])
def test_nothing_divides_by_zero_where_no_signal_is_left(objective: str) -> None:
    schedule = make_schedule("cosine", 10, zero_terminal_snr=True)
    t, x, eps = np.array([10]), X_0[:1], EPS[:1]
    x_t = q_sample(schedule, x, t, eps)
    np.testing.assert_array_equal(network_input(schedule, objective, x_t, t), eps)
    goal = target(schedule, objective, x, t, eps)
    np.testing.assert_allclose(x0_from_output(schedule, objective, x_t, t, goal), x, rtol=1e-12)
    assert np.isfinite(loss_weight(schedule, objective)).all()


def test_what_contradicts_itself_is_refused() -> None:
    with pytest.raises(ValueError, match=r"'edm' cannot be used with .* infinite"):
        DiffusionConfig(objective="edm", zero_terminal_snr=True)
    for name, value in (("min_snr_loss_weight", True), ("p2_loss_weight_gamma", 1.0)):
        with pytest.raises(ValueError, match=f"'x0_v_loss' is a weight itself, and {name} "):
            DiffusionConfig(objective="x0_v_loss", **{name: value})  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"sigma_data 0\.0 must be positive"):
        DiffusionConfig(sigma_data=0)
