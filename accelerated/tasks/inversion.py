"""DDIM inversion with the device's denoiser; ``reference/tasks/inversion.py`` states and solves it.

What is asked of the device is one estimate after another; the solver looks at each of them.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from mindspore import Tensor, ops
from numpy.typing import NDArray

from ...reference.tasks import inversion as host
from ..samplers import ddim_plan, sampling_step
from .paths import Array, Solver, factors

TOLERANCE = 1e-4
"""Of x_s, from which a step is right: float32 has no more, and pictures have 256 levels."""


def invert(
    solver: Solver,
    x_0: Array,
    *,
    timesteps: Sequence[int],
    iterations: int = 50,
    tolerance: float = TOLERANCE,
) -> Array:
    """As ``reference.tasks.inversion.invert`` (2010.02502); float32, on the host."""

    def predict_x0(x: NDArray[np.float64], t: NDArray[np.float64]) -> NDArray[np.float64]:
        x_t = Tensor(x.astype(np.float32))
        nothing = ops.zeros_like(x_t)
        found = solver.ask(
            solver.graph(sampling_step),
            x_t,
            float(t[0]),
            nothing,
            nothing,
            (),
            factors(0.0, 1.0, 0.0, 0.0, 0.0),
        )[1]
        estimate: NDArray[np.float64] = found.asnumpy().astype(np.float64)
        return estimate

    x_T = host.invert(
        solver.schedule,
        predict_x0,
        x_0.astype(np.float64),
        timesteps=timesteps,
        iterations=iterations,
        tolerance=tolerance,
    )
    return x_T.astype(np.float32)


def walk_back(solver: Solver, x_T: Array, *, timesteps: Sequence[int]) -> Array:
    """x_0 where the deterministic walk leads from x_T; self-conditioning is told nothing."""
    plan = ddim_plan(solver.schedule, timesteps, 0.0)
    x = Tensor(x_T)
    nothing = ops.zeros_like(x)
    for i, t in enumerate(plan.timesteps):
        told = factors(*plan.factors(i))
        step = solver.graph(sampling_step)
        x, *_ = solver.ask(step, x, float(t), nothing, nothing, (), told)
    return np.asarray(x.asnumpy())
