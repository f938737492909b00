"""DPM-Solver++(3M): a step by this estimate and the two before, in log(signal / noise).

Lu et al. 2022, arXiv 2211.01095, eq. 12 with k = 3: the exponential integrator of third order.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from ..schedule import Array, Schedule
from .common import Denoiser, Level, check_inputs, estimate, first_order, walk_down


def sample(
    schedule: Schedule,
    predict_x0: Denoiser,
    x_T: Array,
    *,
    timesteps: Sequence[float],
    noise: Array | None = None,
    clip: bool = False,
) -> Array:
    """Walk from x_T to x_0, with one evaluation a step.

    With lambda = log(signal / noise) the flow's solution from t to s is

        x_s = noise_s / noise_t x_t + noise_s integral of exp(lambda) x0_hat(lambda) d lambda

    and x0_hat(lambda) is here the parabola through the last three estimates, D0 + D1 u + D2 u^2
    with u = (lambda - lambda_t) / h, which is integrated as it is:

        x_s = noise_s / noise_t x_t + signal_s (phi_1 D0 + phi_2 D1 + phi_3 D2)
        phi_1 = 1 - exp(-h),  phi_2 = 1 - phi_1 / h,  phi_3 = 1 - 2 phi_2 / h

    (Programs that are in use have half of this phi_3, and with it only the second order.) The first
    steps have fewer estimates, and a line or a constant; the last one, to t = 0, the constant, as
    there h is infinite. Estimates from where no signal is left, infinitely far, are not used.

    Args: as of ``ancestral.sample``; ``noise`` is not read.

    Returns x_0, of the shape of x_T. Raises ValueError for arguments that do not fit.
    """
    walk = walk_down(schedule, timesteps)
    check_inputs(x_T, noise, len(walk))
    x, history = x_T, list[tuple[Level, Array]]()
    for t, s in walk:
        x0_hat = estimate(predict_x0, x, t.t, clip)
        history = [(t, x0_hat), *history][:3]
        if s.t == 0 or t.signal == 0.0:
            x, history = first_order(x, x0_hat, t, s), []
            continue
        h = s.log_snr - t.log_snr
        D1, D2 = _derivatives(history, h)
        phi_1 = -math.expm1(-h)
        phi_2 = 1.0 - phi_1 / h
        phi_3 = 1.0 - 2.0 * phi_2 / h
        x = s.noise / t.noise * x + s.signal * (phi_1 * x0_hat + phi_2 * D1 + phi_3 * D2)
    return x


def _derivatives(history: Sequence[tuple[Level, Array]], h: float) -> tuple[Array, Array]:
    """D1 and D2 by divided differences of what there is, newest first, in units of h."""
    place = [at.log_snr / h for at, _ in history]
    value = [x0_hat for _, x0_hat in history]
    none = 0.0 * value[0]
    if len(history) == 1:
        return none, none
    slope = (value[0] - value[1]) / (place[0] - place[1])
    if len(history) == 2:
        return slope, none
    slope_before = (value[1] - value[2]) / (place[1] - place[2])
    D2 = (slope - slope_before) / (place[0] - place[2])
    return slope + D2 * (place[0] - place[1]), D2
