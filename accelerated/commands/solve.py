"""What ``inpaint``, ``restore`` and ``super-resolve`` share: keeping to a measurement y = A x."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...reference.degradations import Degradation
from ..tasks.posterior_sampling import dps
from ..tasks.restoration import ddnm
from .given import Array, Asked, Walk, carry_out, evaluations, repeated
from .task_options import InpaintConfig, RestoreConfig, SuperResolveConfig


def solved(
    config: InpaintConfig | RestoreConfig | SuperResolveConfig,
    told: Asked,
    degradation: Degradation,
    y: NDArray[np.float32],
    noise: float,
    task: dict[str, Any],
) -> int:
    """Draw pictures of which y, in [-1, 1], may be the measurement; an exit code.

    ``noise``: the deviation of the noise on y, where pixels are from 0 to 1.
    """
    jumps = config.jump_length, config.jump_repeats
    follows = config.method == "dps"

    def work(walk: Walk) -> Array:
        given = walk.solver, walk.start, repeated(y, len(walk.start)), degradation
        if follows:
            return dps(*given, timesteps=told.timesteps, noise=walk.noise, scale=config.scale)
        return ddnm(
            *given,
            timesteps=told.timesteps,
            noise=walk.noise,
            sigma_y=2.0 * noise,  # [-1, 1] is twice as wide as [0, 1]
            jump_length=jumps[0],
            jump_repeats=jumps[1],
        )

    more = {"scale": config.scale}
    if not follows:
        more = {"noise": noise, "jump_length": jumps[0], "jump_repeats": jumps[1]}
    asks = evaluations(told.timesteps, *((1, 1) if follows else jumps))
    return carry_out(
        config,
        told,
        config.num_samples,
        work,
        task={**task, "method": config.method, **more},
        evaluations=asks,
    )
