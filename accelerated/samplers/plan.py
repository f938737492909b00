"""Plans: float64 tables made on the host, applied by one compiled device step.

Row i of a plan is a linear combination over registers: x, the estimate x0_hat at x, noise, the last
estimates before it, and an anchor, an x of before. ``reference/samplers`` states each sampler as
its paper does; here a new sampler is a new table, and no new compiled graph.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import mindspore as ms
import numpy as np
from mindspore import Tensor, ops
from numpy.typing import NDArray

from ...reference.schedule import Schedule
from ..denoiser import Denoiser
from ..process import on_device

Table = NDArray[np.float64]


def _nothing() -> Table:
    return np.zeros((0, 0))


@dataclass(frozen=True)
class Plan:
    """Which steps to take, and what each does.

    Attributes:
        timesteps: (n,) float64, the t at which x is when each step begins: whole or between.
        coefficients: (n, 3) float64, the factors (a, b, c) of x, x0_hat and noise.
        earlier: (n, k) float64, the factors of the last k estimates before this one, the newest
            first (default: k = 0). There are none before the first step: they count as zeros.
        anchor: (n,) float64, the factor of the anchor; empty where a plan has none.
        anchors: (n,) bool, at which steps x, as it is before the step, becomes the anchor.
    """

    timesteps: Table
    coefficients: Table
    earlier: Table = field(default_factory=_nothing)
    anchor: Table = field(default_factory=lambda: np.zeros(0))
    anchors: NDArray[np.bool_] = field(default_factory=lambda: np.zeros(0, bool))

    def __len__(self) -> int:
        return len(self.timesteps)

    def factors(self, i: int) -> tuple[float, ...]:
        """Row i: the factors of x, x0_hat, noise, the earlier estimates and the anchor."""
        earlier = self.earlier[i] if self.earlier.size else ()
        return (*self.coefficients[i], *earlier, *(self.anchor[i : i + 1]))


def alpha_bars(schedule: Schedule, timesteps: Sequence[int]) -> tuple[Table, Table]:
    """alpha_bar at each step's t, and at where it goes: the next t, at last 0."""
    steps = np.asarray(timesteps)
    return schedule.alpha_bar[steps], schedule.alpha_bar[np.append(steps[1:], 0)]


def plan_of(timesteps: Sequence[int], a: Table, b: Table, c: Table) -> Plan:
    """A plan without memory: ``x <- a x + b x0_hat + c noise``."""
    return Plan(np.asarray(timesteps, np.float64), np.stack([a, b, c], axis=1))


def sampling_step(predict_x0: Denoiser) -> Callable[..., tuple[Tensor, Tensor]]:
    """The device step: the next x, and x0_hat.

    It takes x, levels, noise, condition, x_self_cond (the last estimate), registers and factors.
    Shapes: x, noise, x_self_cond and each of the registers (B, C, *spatial); levels (B, K);
    factors: scalars for x, x0_hat, noise and the registers.
    """

    def step(x, levels, noise, condition, x_self_cond, registers, factors):  # type: ignore[no-untyped-def]
        x0_hat = predict_x0(x, levels, condition, x_self_cond)
        return move(x, x0_hat, noise, registers, factors)

    return step


def move(x: Tensor, x0_hat: Tensor, noise: Tensor, registers: Any, factors: Any) -> Any:
    """All that a step gives, once it has its estimate: where a row of a plan leads, and x0_hat."""
    moved = factors[0] * x + factors[1] * x0_hat + factors[2] * noise
    for i in range(len(registers)):
        moved = moved + factors[3 + i] * registers[i]
    return moved, x0_hat


def run_plan(
    step: Callable[..., tuple[Tensor, Tensor]],
    plan: Plan,
    x_T: NDArray[np.float32],
    noise: Callable[[int], NDArray[np.float32]],
    levels: Callable[[Table], Table],
    on_step: Callable[[], None] = lambda: None,
    states: list[NDArray[np.float32]] | None = None,
    condition: Tensor | None = None,
) -> NDArray[np.float32]:
    """Apply a plan to x_T (B, C, *spatial); ``noise(i)`` draws the i-th step's, only where c_i > 0.

    ``levels``: what the graph is told of times (``reference.levels.Levels``). ``states``: each step
    adds the x that it led to. ``condition``: (B, ...), for the denoiser.
    """
    x = Tensor(x_T)
    zeros = ops.zeros_like(x)
    memory = plan.earlier.shape[1]
    estimates = (zeros,) * max(1, memory)
    anchor: tuple[Tensor, ...] = (zeros,) if plan.anchor.size else ()
    for i, row in enumerate(levels(plan.timesteps)):
        if anchor and plan.anchors[i]:
            anchor = (x,)
        factors = ms.mutable(tuple(Tensor(value, ms.float32) for value in plan.factors(i)))
        drawn = Tensor(noise(i)) if plan.coefficients[i, 2] > 0.0 else zeros
        at = on_device(np.tile(row, (len(x_T), 1)))
        registers = (*estimates[:memory], *anchor)
        registers = ms.mutable(registers) if registers else registers
        x, x0_hat = step(x, at, drawn, condition, estimates[0], registers, factors)
        estimates = (x0_hat, *estimates[:-1])
        if states is not None:
            states.append(x.asnumpy())
        on_step()
    return np.asarray(x.asnumpy())
