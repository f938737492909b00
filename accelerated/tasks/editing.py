"""SDEdit on the device; ``reference/tasks/editing.py`` states it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from mindspore import Tensor, ops

from ...reference.schedule import levels_at
from ...reference.tasks.editing import from_strength
from ..samplers import ddim_plan, sampling_step
from .paths import Array, Noise, Solver, factors, tensor


def sdedit(
    solver: Solver,
    x_0: Array,
    *,
    strength: float,
    timesteps: Sequence[int],
    start_noise: Array,
    noise: Noise,
    eta: float = 1.0,
) -> Array:
    """As ``reference.tasks.editing.sdedit`` (2108.01073); float32, on the host.

    ``noise(i)``: of the i-th step that is taken.
    """
    kept = from_strength(timesteps, strength, solver.schedule.T)
    signal, sigma = map(float, levels_at(solver.schedule, kept[0]))
    x = tensor(signal * x_0.astype(np.float64) + sigma * start_noise)
    plan = ddim_plan(solver.schedule, kept, eta)
    nothing = before = ops.zeros_like(x)
    for i, t in enumerate(plan.timesteps):
        drawn = Tensor(noise(i)) if plan.coefficients[i, 2] > 0.0 else nothing
        told = factors(*plan.factors(i))
        step = solver.graph(sampling_step)
        x, before, _ = solver.ask(step, x, float(t), drawn, before, (), told)
    return np.asarray(x.asnumpy())
