"""What is said about an average that is none yet."""

from __future__ import annotations

import numpy as np
import pytest

from ddpm_mindspore.accelerated.config import TrainerConfig
from ddpm_mindspore.accelerated.optimizer import ema_weight
from ddpm_mindspore.accelerated.runs.warm_up import lag, remark

CASES = [(0.995, 10, 100), (0.5, 1, 0), (0.9, 7, 15), (1.0, 3, 5), (0.999, 40, 0)]


@pytest.mark.parametrize(("decay", "every", "after"), CASES)
@pytest.mark.parametrize("step", [1, 2, 10, 11, 60, 101, 102, 111, 112, 900])
def test_the_lag_is_that_of_the_average_of_the_steps_themselves(
    decay: float, every: int, after: int, step: int
) -> None:
    config = TrainerConfig(ema_decay=decay, ema_update_every=every, ema_update_after_step=after)
    average = np.nan
    for s in range(1, step + 1):
        weight = ema_weight(s, decay, every, after)
        average = s if weight == 0.0 else weight * average + (1.0 - weight) * s
    assert lag(step, config) == pytest.approx(step - average, rel=1e-5, abs=1e-5 * step)


def test_a_copy_is_called_one_until_the_average_begins() -> None:
    config = TrainerConfig()
    for step, copied in ((1, 0), (9, 1), (10, 1), (11, 0), (101, 0), (110, 101)):
        copy = f"a copy of the parameters after step {copied}" if copied else "the parameters them"
        assert f"the average at step {step} is still {copy}" in remark(step, config)
        assert remark(step, config).endswith("at step 111")
    assert remark(111, config) == ""
    assert remark(0, config) == ""
    every_step = TrainerConfig(ema_update_every=1, ema_update_after_step=0)
    assert remark(1, every_step).endswith("begins to average at step 2")
    assert remark(2, every_step) == ""


def test_an_average_of_early_parameters_is_called_one() -> None:
    config = TrainerConfig(ema_update_every=1000)
    assert remark(1500, config) == (
        "the average at step 1,500 is mostly of early parameters: they lie 1,488 steps behind on "
        "average (ema_decay 0.995, ema_update_every 1,000)"
    )
    frozen = TrainerConfig(ema_decay=1.0)
    assert "mostly of early parameters: they lie 899 steps" in remark(1000, frozen)
    for step in (200, 700, 5000, 100_000):
        assert remark(step, TrainerConfig()) == ""
        assert remark(step, TrainerConfig(ema_decay=0.9999, ema_update_every=1)) == ""
