"""The average velocity is the average of the velocity, and what MeanFlow says of it holds."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
from scipy.integrate import quad

from ddpm_mindspore.reference import mean_flow
from ddpm_mindspore.reference.mean_flow import average_velocity, jump, velocity

Z = np.array([-3.0, -0.4, 0.0, 1.1, 2.5])
TIMES = [(0.0, 1.0), (0.0, 0.3), (0.25, 0.8), (0.9, 1.0)]
GAUSSIANS = [(0.0, 1.0), (0.8, 0.14), (-2.0, 3.0), (1.0, 0.0)]
every_time = pytest.mark.parametrize(("r", "t"), TIMES)
every_gaussian = pytest.mark.parametrize(("mean", "sd"), GAUSSIANS)


@pytest.mark.parametrize(("mean", "sd"), GAUSSIANS[:3])
def test_the_velocity_is_that_of_noise_less_data(mean: float, sd: float) -> None:
    """E[eps - x_0 | z_t = z], integrated over every x_0 that may have led there."""
    for t in (0.2, 0.5, 1.0):
        x_0 = np.linspace(mean - 40 * sd, mean + 40 * sd, 80_001)
        for z in Z:
            eps = (z - (1 - t) * x_0) / t
            weight = np.exp(-0.5 * (eps**2 + ((x_0 - mean) / sd) ** 2))
            expected = np.sum(weight * (eps - x_0)) / np.sum(weight)
            assert velocity(mean, sd, z, t) == pytest.approx(expected, abs=1e-9)


@every_gaussian
@every_time
def test_it_is_the_average_along_the_flow(mean: float, sd: float, r: float, t: float) -> None:
    for z in Z:

        def there(s: float, z: float = z) -> float:
            """The velocity at s of who is at z at t; where they are is found from r = s."""
            z_s = jump(z, average_velocity(mean, sd, z, s, t), s, t) if s < t else z
            return float(velocity(mean, sd, z_s, s))

        whole, _ = quad(there, r, t, epsabs=1e-11)
        assert average_velocity(mean, sd, z, r, t) == pytest.approx(whole / (t - r), abs=1e-8)


@every_gaussian
@every_time
def test_the_identity_holds(mean: float, sd: float, r: float, t: float) -> None:
    """Of the average velocity, and of no other: eq. 6."""
    of_data = partial(average_velocity, mean, sd)
    v = velocity(mean, sd, Z, t)
    change = mean_flow.along(of_data, Z, v, r, t)
    np.testing.assert_allclose(
        of_data(Z, r, t), mean_flow.target(v, change, r, t), rtol=1e-11, atol=1e-11
    )

    def wrong(z: np.ndarray, r: float, t: float) -> np.ndarray:
        return 1.1 * of_data(z, r, t) + 0.1

    change = mean_flow.along(wrong, Z, v, r, t)
    assert not np.allclose(wrong(Z, r, t), mean_flow.target(v, change, r, t), atol=1e-3)


@every_gaussian
def test_one_step_arrives_and_two_arrive_there_too(mean: float, sd: float) -> None:
    arrived = jump(Z, average_velocity(mean, sd, Z, 0.0, 1.0), 0.0, 1.0)
    np.testing.assert_allclose(arrived, mean + sd * Z, atol=1e-13)
    half = jump(Z, average_velocity(mean, sd, Z, 0.5, 1.0), 0.5, 1.0)
    np.testing.assert_allclose(
        jump(half, average_velocity(mean, sd, half, 0.0, 0.5), 0.0, 0.5), arrived, atol=1e-13
    )


@pytest.mark.parametrize(("r", "t"), [(0.5, 0.5), (0.7, 0.2), (-0.1, 1.0), (0.0, 1.5)])
def test_a_step_goes_back_from_t_to_r(r: float, t: float) -> None:
    with pytest.raises(ValueError, match=rf"r {r} and t {t} must be 0 <= r < t <= 1"):
        jump(Z, Z, r, t)
