"""SDE-DPM-Solver++(2M): the same estimates as DPM-Solver++(2M) has, and the reverse SDE's noise.

Lu et al. 2022, arXiv 2211.01095, section 6 and appendix B.5.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from ..schedule import Array, Schedule
from .common import Denoiser, check_inputs, estimate, walk_down
from .dpmpp_2m import share_ahead


def sample(
    schedule: Schedule,
    predict_x0: Denoiser,
    x_T: Array,
    *,
    timesteps: Sequence[float],
    noise: Array | None = None,
    clip: bool = False,
) -> Array:
    """Walk from x_T to x_0 with noise, one evaluation a step.

    With h and D as in ``dpmpp_2m``,

        x_s = noise_s / noise_t exp(-h) x_t + signal_s (1 - exp(-2 h)) D
            + noise_s sqrt(1 - exp(-2 h)) noise[i]

    With D = x0_hat alone this is ancestral sampling. On the way to t = 0, and from where no signal
    is left, h is infinite: exp(-h) = 0. The last step gives x0_hat, without noise.

    Args: as of ``ancestral.sample``; noise[-1] is not read.

    Returns x_0, of the shape of x_T. Raises ValueError for arguments that do not fit.
    """
    walk = walk_down(schedule, timesteps)
    check_inputs(x_T, noise, len(walk), needed="dpm++2m-sde")
    assert noise is not None
    x, before = x_T, None
    for i, (t, s) in enumerate(walk):
        x0_hat = estimate(predict_x0, x, t.t, clip)
        ahead = share_ahead(before[0], t, s) if before else 0.0
        D = (1.0 + ahead) * x0_hat - (ahead * before[1] if before else 0.0)
        h = s.log_snr - t.log_snr
        new = -math.expm1(-2.0 * h)
        x = s.noise / t.noise * math.exp(-h) * x + s.signal * new * D
        if s.t > 0:
            x = x + s.noise * math.sqrt(new) * noise[i]
        before = (t, x0_hat)
    return x
