"""Dynamic thresholding, by hand and by what it promises."""

from __future__ import annotations

import numpy as np
import pytest

from ddpm_mindspore.reference.samplers import SAMPLERS
from ddpm_mindspore.reference.schedule import make_schedule
from ddpm_mindspore.reference.thresholding import dynamic_threshold, thresholded


def test_a_share_is_within_the_range_and_the_rest_at_its_ends() -> None:
    x = np.array([[0.5, -1.0, 2.0, -4.0, 3.0], [0.1, 0.2, -0.3, 0.4, 0.5]])
    # |x| sorted is 0.5, 1, 2, 3, 4: three quarters are up to 3. The second item is left alone.
    found = dynamic_threshold(x, 0.75)
    np.testing.assert_allclose(found[0], [0.5 / 3, -1 / 3, 2 / 3, -1.0, 1.0])
    np.testing.assert_array_equal(found[1], x[1])
    # Between two of them: 0.875 is halfway from 3 to 4.
    np.testing.assert_allclose(
        dynamic_threshold(x, 0.875)[0], [0.5 / 3.5, -1 / 3.5, 2 / 3.5, -1, 3 / 3.5]
    )
    np.testing.assert_allclose(dynamic_threshold(x, 1.0)[0], x[0] / 4)


def test_items_are_apart_and_pictures_are_one_item() -> None:
    rng = np.random.default_rng(0)
    x = rng.standard_normal((3, 2, 4, 4)).astype(np.float32) * 3
    found = dynamic_threshold(x, 0.9)
    assert found.dtype == np.float32 and np.abs(found).max() == 1.0
    for i in range(3):
        np.testing.assert_array_equal(found[i], dynamic_threshold(x[i : i + 1], 0.9)[0])
        assert np.mean(np.abs(found[i]) < 1.0) == pytest.approx(0.9, abs=0.03)


def test_any_sampler_draws_with_it() -> None:
    schedule = make_schedule("cosine", 10)
    predict = thresholded(lambda x, t: 4.0 * x, 0.995)
    x_T = np.random.default_rng(1).standard_normal((2, 50))
    x_0 = SAMPLERS["dpm++2m"](schedule, predict, x_T, timesteps=(10, 5, 2))
    assert np.abs(x_0).max() == pytest.approx(1.0)


@pytest.mark.parametrize("share", [0.0, 1.1, float("nan")])
def test_what_is_no_share_is_refused(share: float) -> None:
    with pytest.raises(ValueError, match=r"share .* of a threshold must be above 0 and at most 1"):
        dynamic_threshold(np.ones((1, 2)), share)
