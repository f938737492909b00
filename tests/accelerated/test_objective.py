"""The function that is differentiated: what the network is shown, and how it is scored."""

from __future__ import annotations

from typing import Any

import mindspore as ms
import numpy as np
import pytest
from mindspore import Tensor
from numpy.typing import NDArray

from ddpm_mindspore.accelerated.process import (
    on_device,
    to_model_range,
    to_uint8,
    to_unit_range,
)
from ddpm_mindspore.accelerated.training import training_loss
from ddpm_mindspore.reference.config.diffusion import ObjectiveConfig
from ddpm_mindspore.reference.levels import WEIGHT, Levels
from ddpm_mindspore.reference.schedule import make_schedule

Array = NDArray[np.float32]
SCHEDULE = make_schedule("cosine", 8)
T_OF_EACH = np.array([1, 4, 8], np.int32)


def draw(seed: int) -> Array:
    return np.random.default_rng(seed).standard_normal((3, 2, 2, 2)).astype(np.float32)


def of_each(table: NDArray[np.float64]) -> NDArray[np.float64]:
    return table[T_OF_EACH].reshape(-1, 1, 1, 1)


class Recorder:
    """A network of one parameter that notes what it is shown."""

    def __init__(self) -> None:
        self.weight = ms.Parameter(Tensor(np.float32(0.5)), name="weight")
        self.shown: list[tuple[Any, ...]] = []

    def __call__(
        self, x: Tensor, time: Tensor, x_self_cond: Tensor | None = None, masks: Any = None
    ) -> Tensor:
        self.shown.append((x, time, x_self_cond, masks))
        return x * self.weight if x_self_cond is None else x * self.weight + x_self_cond


def loss_of(model: Recorder, *, self_condition: bool, self_cond_mask: Array) -> Any:
    levels = Levels(SCHEDULE, ObjectiveConfig(objective="pred_x0"))(T_OF_EACH)
    levels[:, WEIGHT] = T_OF_EACH
    loss = training_loss(model, "l2", self_condition)
    arrays = (draw(0), draw(1), self_cond_mask.reshape(-1, 1, 1, 1))
    inputs = [Tensor(a) for a in arrays]
    inputs.insert(1, on_device(levels))
    value, (slope,) = ms.value_and_grad(loss, None, [model.weight])(*inputs, None)
    return float(value.asnumpy()), float(slope.asnumpy())


@pytest.fixture(scope="module")
def x_t() -> NDArray[np.float64]:
    signal, sigma = of_each(SCHEDULE.sqrt_alpha_bar), of_each(SCHEDULE.sqrt_one_minus_alpha_bar)
    return signal * draw(0) + sigma * draw(1)


def test_the_network_sees_x_t_and_t_minus_1_and_is_scored_with_weights(
    x_t: NDArray[np.float64],
) -> None:
    model = Recorder()
    value, slope = loss_of(model, self_condition=False, self_cond_mask=np.ones(3, np.float32))
    ((x, time, x_self_cond, masks),) = model.shown
    np.testing.assert_allclose(x.asnumpy(), x_t, rtol=1e-5, atol=1e-6)
    assert time.asnumpy().tolist() == [0, 3, 7] and time.dtype == ms.float32
    assert x_self_cond is None and masks is None
    error = 0.5 * x_t - draw(0)
    each = (error**2).mean(axis=(1, 2, 3))
    assert value == pytest.approx((each * T_OF_EACH).mean(), rel=1e-5)
    expected = ((2 * error * x_t).mean(axis=(1, 2, 3)) * T_OF_EACH).mean()
    assert slope == pytest.approx(expected, rel=1e-4)


def test_self_conditioning_shows_an_estimate_that_gradients_do_not_flow_through(
    x_t: NDArray[np.float64],
) -> None:
    model = Recorder()
    self_cond_mask = np.array([1, 0, 1], np.float32)
    value, slope = loss_of(model, self_condition=True, self_cond_mask=self_cond_mask)
    (*_, first, _), (*_, second, _) = model.shown
    assert first is None
    shown = 0.5 * x_t * self_cond_mask.reshape(-1, 1, 1, 1)
    np.testing.assert_allclose(second.asnumpy(), shown, rtol=1e-5, atol=1e-6)
    error = 0.5 * x_t + shown - draw(0)
    each = (error**2).mean(axis=(1, 2, 3))
    assert value == pytest.approx((each * T_OF_EACH).mean(), rel=1e-5)
    # Through the estimate the slope would count x_t twice for the first and the last image.
    expected = ((2 * error * x_t).mean(axis=(1, 2, 3)) * T_OF_EACH).mean()
    assert slope == pytest.approx(expected, rel=1e-4)


def test_an_unknown_loss_is_refused() -> None:
    with pytest.raises(ValueError, match="loss_type 'l3' is unknown: choose l1, l2 or huber"):
        training_loss(Recorder(), "l3", False)


def test_ranges_convert_there_and_back() -> None:
    levels = np.arange(256, dtype=np.uint8)
    x_0 = to_model_range(levels)
    assert x_0.dtype == np.float32 and x_0[0] == -1 and x_0[255] == pytest.approx(1, abs=1e-7)
    np.testing.assert_array_equal(to_uint8(to_unit_range(x_0)), levels)
    np.testing.assert_allclose(to_model_range(levels / 255), x_0, atol=1e-6)
    beyond = np.array([-7, -1, 0, 1, 7], np.float32)
    assert to_unit_range(beyond).tolist() == [0, 0, 0.5, 1, 1]
