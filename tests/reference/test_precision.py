"""The rule of the loss scale: closed-form sequences."""

from __future__ import annotations

import pytest

from ddpm_mindspore.reference.precision import INTERVAL, START, LossScale, next_scale


def after(state: LossScale, finite: bool, times: int) -> LossScale:
    for _ in range(times):
        state = next_scale(state, finite)
    return state


def test_it_starts_at_two_to_the_sixteenth() -> None:
    assert LossScale() == LossScale(65536.0, 0)


def test_it_doubles_after_so_many_good_updates_in_a_row() -> None:
    assert after(LossScale(), True, INTERVAL - 1) == LossScale(START, INTERVAL - 1)
    assert after(LossScale(), True, INTERVAL) == LossScale(2 * START, 0)
    assert after(LossScale(), True, 2 * INTERVAL + 5) == LossScale(4 * START, 5)


def test_an_overflow_halves_it_and_counts_anew() -> None:
    assert next_scale(LossScale(START, INTERVAL - 1), False) == LossScale(START / 2, 0)
    assert after(LossScale(START / 2, 0), True, INTERVAL) == LossScale(START, 0)


def test_it_does_not_fall_below_one() -> None:
    assert after(LossScale(), False, 16) == LossScale(1.0, 0)
    assert after(LossScale(), False, 40) == LossScale(1.0, 0)


@pytest.mark.parametrize(("scale", "good"), [(0.5, 0), (float("nan"), 0), (2.0, -1), (2.0, 2000)])
def test_states_that_cannot_be_are_refused(scale: float, good: int) -> None:
    with pytest.raises(ValueError, match=r"scale|good"):
        LossScale(scale, good)
