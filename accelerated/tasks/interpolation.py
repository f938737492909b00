"""Between two pictures, by way of their noise; ``reference/tasks/interpolation.py`` has the arc."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ...reference.tasks.interpolation import slerp
from .inversion import invert, walk_back
from .paths import Array, Solver


def interpolate(
    solver: Solver,
    first: Array,
    second: Array,
    *,
    shares: Sequence[float],
    timesteps: Sequence[int],
) -> Array:
    """The pictures between two (C, *spatial), themselves at 0 and 1: (len(shares), C, *spatial).

    Both are inverted, the noise is mixed along the sphere, and walked back from (2010.02502,
    appendix D.5).
    """
    noise = invert(solver, np.stack([first, second]), timesteps=timesteps)
    return walk_back(solver, slerp(noise[0], noise[1], shares), timesteps=timesteps)
