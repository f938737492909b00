"""The table of methods says what it measures."""

from __future__ import annotations

import numpy as np

from ddpm_mindspore.reference.oracle import gaussian

from . import tasks_exact as exact


def test_the_denoiser_is_the_oracles() -> None:
    x_t, t = np.random.default_rng(0).standard_normal((3, *exact.SHAPE)), np.full(3, 70)
    data = gaussian(exact.MEAN, exact.COV)
    expected = data.predict_x0(exact.SCHEDULE, x_t, t)
    np.testing.assert_allclose(exact.predict(x_t, t), expected, atol=1e-12)


def test_exact_draws_are_nearest_and_not_looking_is_far() -> None:
    methods = {name: exact.METHODS[name] for name in ("not looking at it", "DDNM, 20 steps")}
    found = exact.measure("2 times smaller", 300, methods)
    (best, _), (worst, _), (between, _) = (found[name] for name in ("exact draws", *methods))
    assert best < between < worst / 3
    text = exact.table({"2 times smaller": found})
    assert text.count("\n") == 2 + len(exact.METHODS) + 1
    assert f"| not looking at it | {100 * worst:.0f} / " in text
