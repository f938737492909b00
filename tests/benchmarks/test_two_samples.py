"""The comparison of two tables knows what is equal and what is not."""

from __future__ import annotations

import numpy as np

from . import two_samples


def test_equal_tables_are_told_from_different_ones() -> None:
    rng = np.random.default_rng(0)
    mix = rng.standard_normal((4, 4))

    def draw(count: int) -> np.ndarray:
        return rng.standard_normal((count, 4)) @ mix

    trained_on, real, equal = draw(300), draw(150), draw(150)
    same = two_samples.compare(equal, real, trained_on)
    assert same.energy_p > 0.05 and abs(same.auc - 0.5) < 0.12
    assert same.ks_max < 0.25 and same.correlation_max < 0.3 and same.copies < 0.15
    recited = two_samples.compare(trained_on[:150] + 1e-3, real, trained_on)
    assert recited.copies == 1.0
    shuffled = np.stack([rng.permutation(column) for column in equal.T], 1)
    unrelated = two_samples.compare(shuffled, real, trained_on)
    assert unrelated.correlation_max > 0.4 and unrelated.energy_p < 0.05
    assert unrelated.ks_max == same.ks_max  # the marginals are the same
    moved = two_samples.compare(equal + np.std(equal, 0), real, trained_on)
    assert moved.ks_max > 0.3 and moved.auc > 0.7 and moved.energy > 5 * abs(same.energy)
    text = two_samples.markdown({"equal": same})
    assert text.count("\n") == 2 and "| equal | " in text


def test_energy_is_the_formula() -> None:
    x, y = np.array([[0.0], [1.0]]), np.array([[3.0]])
    value, p = two_samples.energy_test(x, y, np.random.default_rng(0), divisions=20)
    assert value == 2 * 2.5 - 0.5
    assert 0 < p <= 1
