"""Averages over the whole of training: their weights, and an average made afterwards."""

from __future__ import annotations

import math

import numpy as np
import pytest

from ddpm_mindspore.accelerated.ema import (
    combine,
    gamma_of,
    post_hoc_weights,
    power_name,
    power_weight,
)


def test_names_are_plain_words() -> None:
    assert power_name(0.05) == "ema_0_05"
    assert power_name(0.1) == "ema_0_1"
    names = [power_name(x) for x in (0.05, 0.051, 0.1, 0.28, 1e-05)]
    assert len(set(names)) == 5 and all(name.isidentifier() for name in names)


@pytest.mark.parametrize("sigma_rel", [0.001, 0.05, 0.1, 0.2, 0.28])
def test_the_exponent_has_the_width(sigma_rel: float) -> None:
    gamma = gamma_of(sigma_rel)
    assert gamma > 0
    width = math.sqrt((gamma + 1) / ((gamma + 2) ** 2 * (gamma + 3)))
    assert width == pytest.approx(sigma_rel, rel=1e-12)


def test_the_first_update_is_a_copy_and_a_plain_mean_follows() -> None:
    assert power_weight(1, 0.1) == 0.0
    # gamma = 0 at the widest: w = 1 - 1/t.
    assert power_weight(4, 12**-0.5) == pytest.approx(0.75, rel=1e-6)
    gamma = gamma_of(0.05)
    assert power_weight(1000, 0.05) == pytest.approx(0.999 ** (gamma + 1), rel=1e-12)


def kept(sequence: np.ndarray, sigma_rel: float) -> np.ndarray:  # type: ignore[type-arg]
    average, averages = 0.0, []
    for step, p in enumerate(sequence, start=1):
        weight = power_weight(step, sigma_rel)
        average = weight * average + (1 - weight) * p
        averages.append(average)
    return np.array(averages)


def test_an_average_that_was_not_kept_is_made_of_two_that_were() -> None:
    sequence = np.cumsum(np.random.default_rng(0).standard_normal(600)) / 20 + 1.0
    tracked = {sigma_rel: kept(sequence, sigma_rel) for sigma_rel in (0.05, 0.1)}
    pairs = [(step, s) for step in range(40, 601, 40) for s in tracked]
    snapshots = [{"p": np.array([tracked[s][step - 1], 3.0], np.float32)} for step, s in pairs]
    for sigma_rel in (0.07, 0.15):
        direct = kept(sequence, sigma_rel)[-1]
        nearest = min(abs(values[-1] - direct) for values in tracked.values())
        weights, error = post_hoc_weights(
            [step for step, _ in pairs], [s for _, s in pairs], 600, sigma_rel
        )
        made = combine(snapshots, weights)["p"]
        assert made.dtype == np.float32
        assert error < 0.02
        assert abs(made[0] - direct) < 0.05 * nearest
        assert made[1] == 3.0  # what never moved


def test_too_few_snapshots_are_told_from_enough() -> None:
    _, error = post_hoc_weights([100], [0.1], 100, 0.2)
    assert error > 0.4
    weights, error = post_hoc_weights([50, 100], [0.1, 0.1], 100, 0.1)
    assert error < 1e-7
    np.testing.assert_allclose(weights, [0.0, 1.0], atol=1e-12)
