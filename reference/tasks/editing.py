"""SDEdit: noise a picture, so far that details go and its outline stays, and denoise it again.

Meng et al. 2021, arXiv 2108.01073.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..process import q_sample
from ..samplers import ancestral, ddim
from ..samplers.common import Denoiser
from ..schedule import Array, Schedule


def sdedit(
    schedule: Schedule,
    predict_x0: Denoiser,
    x_0: Array,
    *,
    strength: float,
    timesteps: Sequence[int],
    start_noise: Array,
    noise: Array | None = None,
    eta: float = 1.0,
    clip: bool = False,
) -> Array:
    """Noise x_0 to t_0 = strength T, and walk down from there (2108.01073, algorithm 1).

    Small strengths give x_0 back, strength 1 forgets it.

    Args:
        x_0: the picture to change, floats (B, ...).
        strength: above 0, at most 1.
        timesteps: of a whole walk; those from t_0 down are taken (``from_strength``).
        start_noise: of the shape of x_0.
        noise: (n, B, ...) for the n steps that are taken; needed where eta > 0.
        eta: 1 is ancestral sampling, 0 is deterministic.

    Raises ValueError for arguments that do not fit.
    """
    kept = from_strength(timesteps, strength, schedule.T)
    x_t = q_sample(schedule, x_0, np.full(len(x_0), kept[0]), start_noise)
    if eta == 1.0 and noise is not None:
        return ancestral.sample(schedule, predict_x0, x_t, timesteps=kept, noise=noise, clip=clip)
    return ddim.sample(schedule, predict_x0, x_t, timesteps=kept, eta=eta, noise=noise, clip=clip)


def from_strength(timesteps: Sequence[int], strength: float, T: int) -> tuple[int, ...]:
    """The walk from t_0 = strength T, rounded, down the timesteps below it. Host code.

    Raises ValueError for a strength that is not above 0 and at most 1.
    """
    if not 0.0 < strength <= 1.0:
        raise ValueError(
            f"strength {strength} must be above 0 (nothing changes) and at most 1 (all is new)"
        )
    t_0 = max(1, round(strength * T))
    return (t_0, *(t for t in timesteps if t < t_0))
