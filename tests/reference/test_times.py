"""Real times of training have the distribution that they are said to have."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from ddpm_mindspore.reference.config import DiffusionConfig, MlpConfig, UnetConfig
from ddpm_mindspore.reference.config.draws import DrawsConfig
from ddpm_mindspore.reference.preconditioning import s_at, sigma_at
from ddpm_mindspore.reference.schedule import make_schedule
from ddpm_mindspore.reference.times import real_times

SCHEDULE = make_schedule("cosine", 1000)
U = np.random.default_rng(0).random(20_000)


def test_uniform_is_every_number_from_the_first_step_to_the_last() -> None:
    config = DrawsConfig(time_distribution="uniform")
    ends = real_times(SCHEDULE, config, np.array([0.0, 0.5, 1.0 - 2**-53]))
    np.testing.assert_allclose(ends, [1.0, 500.5, 1000.0])
    assert (real_times(make_schedule("linear", 1), config, U) == 1.0).all()


def test_log_normal_is_the_distribution_of_the_noise() -> None:
    config = DrawsConfig(time_distribution="log_normal", p_mean=-0.4, p_std=0.9)
    t = real_times(SCHEDULE, config, U)
    assert stats.kstest(np.log(sigma_at(SCHEDULE, t)), "norm", (-0.4, 0.9)).pvalue > 1e-3
    # On the straight path sigma = s / (1 - s): its logarithm is the logit of s.
    s = s_at(SCHEDULE, t)
    assert stats.kstest(np.log(s / (1 - s)), "norm", (-0.4, 0.9)).pvalue > 1e-3


def test_beyond_the_schedule_its_ends_are_taken() -> None:
    for mean, end in ((-30.0, 1.0), (30.0, 1000.0)):
        config = DrawsConfig(time_distribution="log_normal", p_mean=mean)
        assert (real_times(SCHEDULE, config, np.array([0.1, 0.3, 0.9])) == end).all()
    # The quantile at 0 is minus infinity: no noise at all, which is not to be had.
    config = DrawsConfig(time_distribution="log_normal")
    assert real_times(SCHEDULE, config, np.zeros(1)).tolist() == [1.0]


def test_what_cannot_be_is_refused() -> None:
    for name, value in (("time_distribution", "normal"), ("p_std", 0.0), ("offset_noise", -0.1)):
        with pytest.raises(ValueError, match=f"{name} "):
            DrawsConfig(**{name: value})  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"offset_noise 0\.1 .* vectors have one value in each"):
        DiffusionConfig(offset_noise=0.1).check_network(MlpConfig(dim=4))
    with pytest.raises(ValueError, match="time_distribution 'uniform' draws no whole steps"):
        config = DiffusionConfig(time_distribution="uniform")
        config.check_network(UnetConfig(dim=8, learned_variance=True))
    with pytest.raises(ValueError, match="'steps' is of whole numbers"):
        real_times(SCHEDULE, DrawsConfig(), U)
