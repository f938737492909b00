"""Averages over the whole of training: their weights, and an average made afterwards."""

from __future__ import annotations

import numpy as np

from ddpm_mindspore.accelerated.ema import combine, power_name
from ddpm_mindspore.reference.ema import post_hoc_weights, power_weight


def test_names_are_plain_words() -> None:
    assert power_name(0.05) == "ema_0_05"
    assert power_name(0.1) == "ema_0_1"
    names = [power_name(x) for x in (0.05, 0.051, 0.1, 0.28, 1e-05)]
    assert len(set(names)) == 5 and all(name.isidentifier() for name in names)


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
        weights = post_hoc_weights(
            [step for step, _ in pairs], [s for _, s in pairs], 600, sigma_rel
        )
        made = combine(snapshots, weights)["p"]
        assert made.dtype == np.float32
        assert abs(made[0] - direct) < 0.05 * nearest
        assert made[1] == 3.0  # what never moved
