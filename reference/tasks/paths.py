"""Walks that go back up to noise now and then, so that what was put in and the rest can agree.

RePaint's resampling (2201.09865, section 4.2 and appendix B), DDNM's time-travel (2212.00490,
section 3.4). Host code.
"""

from __future__ import annotations

from collections.abc import Sequence

from ..schedule import Schedule, levels_at, posterior_coefficients


def with_jumps(
    timesteps: Sequence[int], length: int = 1, repeats: int = 1
) -> list[tuple[int, int]]:
    """The moves (t, s) down ``timesteps`` to 0, stretches of ``length`` walked ``repeats`` times.

    s < t is a step of the sampler, s > t adds noise. From the last timestep, and from each
    ``length`` above it, the walk returns ``length`` upwards, repeats - 1 times; repeats = 1 is a
    plain walk. With length = 1 it is 2201.09865, algorithm 1.

    Raises ValueError for numbers below 1.
    """
    for name, value in (("length", length), ("repeats", repeats)):
        if value < 1:
            raise ValueError(f"{name} {value} of jumps must be at least 1")
    times = [*timesteps, 0]
    last = len(times) - 1  # the place of t = 0
    left = dict.fromkeys(range(last - 1, length - 1, -length), repeats - 1)
    moves, place = [], 0
    while place < last:
        moves.append((times[place], times[place + 1]))
        place += 1
        if left.get(place, 0):
            left[place] -= 1
            for _ in range(length):
                moves.append((times[place], times[place - 1]))
                place -= 1
    return moves


def alpha_bars(schedule: Schedule, t: float, s: float) -> tuple[float, float]:
    """alpha_bar at two times, whole or real."""
    signal, _ = levels_at(schedule, (t, s))
    return float(signal[0] ** 2), float(signal[1] ** 2)


def ancestral_step(schedule: Schedule, t: float, s: float) -> tuple[float, float, float]:
    """The factors of x0_hat and x_t in a draw of x_s, and its variance (2006.11239, eq. 7)."""
    of_x0, of_xt, var = posterior_coefficients(*alpha_bars(schedule, t, s))  # type: ignore[arg-type]
    return float(of_x0), float(of_xt), float(var)


def noising_step(schedule: Schedule, t: float, s: float) -> tuple[float, float]:
    """From step t up to s > t: the factor of x_t, and the variance of the noise.

    q(x_s | x_t) = N(sqrt(r) x_t, 1 - r) with r = alpha_bar_s / alpha_bar_t.
    """
    a_t, a_s = alpha_bars(schedule, t, s)
    return (a_s / a_t) ** 0.5, 1.0 - a_s / a_t
