"""Plans: float64 tables made on the host, applied by one compiled device step.

A row of a plan is one evaluation of the network and a linear combination: of x, the estimate x0_hat
at x, noise, and what the last rows kept. ``reference/samplers`` states each sampler as its paper
does; here a sampler is a table, and no new compiled graph: all of them run the same one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import mindspore as ms
import numpy as np
from mindspore import Tensor, ops
from numpy.typing import NDArray

from ...reference.schedule import Schedule, levels_at
from ..bound import halves, share_of
from ..denoiser import Denoiser
from ..process import on_device

Table = NDArray[np.float64]

MEMORY = 3
"""How many of the things that were kept a row can read."""

_SPREAD = 5 + MEMORY
"""The place of the spread among a row's factors."""


class Row(NamedTuple):
    """One evaluation, and where x goes then.

    Attributes:
        t: the time at which x is, and of which the network is told.
        x, x0_hat, noise: their factors in the next x.
        earlier: the factors of what the last rows kept, the newest first, MEMORY at most.
        kept: the factors of x and x0_hat in what this row keeps; (0, 0): it keeps nothing.
        draw: the number of its noise.
    """

    t: float
    x: float
    x0_hat: float
    noise: float = 0.0
    earlier: Sequence[float] = ()
    kept: tuple[float, float] = (0.0, 1.0)
    draw: int = 0


@dataclass(frozen=True)
class Plan:
    """Which evaluations to make, and what each leads to; the columns of its rows.

    Attributes:
        timesteps: (n,) float64, the t at which x is at each evaluation: whole or between.
        coefficients: (n, 3) float64, the factors (a, b, c) of x, x0_hat and noise.
        earlier: (n, k) float64, k <= MEMORY, the factors of what was kept, the newest first
            (default: k = 0). Before there is anything it counts as zeros.
        kept: (n, 2) float64, the factors of x and x0_hat in what each row keeps (default: x0_hat);
            where both are 0 it keeps nothing, and what there is stays.
        draws: (n,) the number of each row's noise (default: the row's).
        spread: (n,) float64, for a learned variance: the largest one over the smallest, which is
            that of ``coefficients`` (default: the variance is not learned).
    """

    timesteps: Table
    coefficients: Table
    earlier: Table = field(default_factory=lambda: np.zeros((0, 0)))
    kept: Table = field(default_factory=lambda: np.zeros((0, 2)))
    draws: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))
    spread: Table = field(default_factory=lambda: np.zeros(0))

    @property
    def learned(self) -> bool:
        """Whether the network says how large the noise is."""
        return bool(self.spread.size)

    def __len__(self) -> int:
        """How many evaluations of the network it takes."""
        return len(self.timesteps)

    def keeps(self, i: int) -> tuple[float, float]:
        """The factors of x and x0_hat in what row i keeps."""
        return (float(self.kept[i, 0]), float(self.kept[i, 1])) if self.kept.size else (0.0, 1.0)

    def draw(self, i: int) -> int:
        """The number of row i's noise."""
        return int(self.draws[i]) if self.draws.size else i

    def factors(self, i: int) -> tuple[float, ...]:
        """Row i: the factors of x, x0_hat, noise, those of what it keeps, and MEMORY earlier.

        With a learned variance its spread comes last.
        """
        earlier = np.zeros(MEMORY)
        earlier[: self.earlier.shape[1]] = self.earlier[i] if self.earlier.size else 0.0
        spread = self.spread[i : i + 1]
        return (*self.coefficients[i], *self.keeps(i), *earlier, *spread)


def plan_of_rows(rows: Sequence[Row]) -> Plan:
    """The plan that has these rows."""
    earlier = np.zeros((len(rows), MEMORY))
    for i, row in enumerate(rows):
        earlier[i, : len(row.earlier)] = row.earlier
    return Plan(
        np.array([row.t for row in rows], np.float64),
        np.array([(row.x, row.x0_hat, row.noise) for row in rows], np.float64),
        earlier,
        np.array([row.kept for row in rows], np.float64),
        np.array([row.draw for row in rows], np.int64),
    )


def alpha_bars(schedule: Schedule, timesteps: Sequence[float]) -> tuple[Table, Table]:
    """alpha_bar at each step's t, and at where it goes: the next t, at last 0."""
    steps = np.asarray(timesteps)
    signal_t, _ = levels_at(schedule, steps)
    signal_s, _ = levels_at(schedule, np.append(steps[1:], 0))
    return signal_t**2, signal_s**2


def plan_of(timesteps: Sequence[float], a: Table, b: Table, c: Table) -> Plan:
    """A plan without memory: ``x <- a x + b x0_hat + c noise``."""
    return Plan(np.asarray(timesteps, np.float64), np.stack([a, b, c], axis=1))


def sampling_step(predict_x0: Denoiser) -> Callable[..., tuple[Tensor, Tensor, Tensor]]:
    """The device step: the next x, x0_hat, and what is kept.

    It takes x, levels, noise, condition, x_self_cond (the last estimate), registers and factors.
    Shapes: x, noise, x_self_cond and each of the MEMORY registers (B, C, *spatial); levels (B, K);
    factors: scalars for x, x0_hat, noise, for x and x0_hat in what is kept, and for the registers;
    and, where the denoiser tells of variances, the spread.
    """

    def step(x, levels, noise, condition, x_self_cond, registers, factors):  # type: ignore[no-untyped-def]
        x0_hat, raw = halves(predict_x0(x, levels, condition, x_self_cond), x)
        return move(x, x0_hat, widened(noise, raw, factors), registers, factors)

    return step


def widened(noise: Tensor, raw: Tensor | None, factors: Any) -> Tensor:
    """Noise of the variance that the network says, where its factor is of the smallest one.

    Its deviation is spread^(share / 2) times as large (arXiv 2102.09672, eq. 15); ``factors``: as
    of ``move``, and the spread after them.
    """
    if raw is None:
        return noise
    # A CPU's pow is right to the last bit, and its exp off by fifty.
    return noise * ops.pow(factors[_SPREAD], 0.5 * share_of(raw))


def move(x: Tensor, x0_hat: Tensor, noise: Tensor, registers: Any, factors: Any) -> Any:
    """All that a step gives once it has its estimate: the next x, x0_hat, and what is kept."""
    moved = factors[0] * x + factors[1] * x0_hat + factors[2] * noise
    for i in range(len(registers)):
        moved = moved + factors[5 + i] * registers[i]
    return moved, x0_hat, factors[3] * x + factors[4] * x0_hat


def run_plan(
    step: Callable[..., tuple[Tensor, Tensor, Tensor]],
    plan: Plan,
    x_T: NDArray[np.float32],
    noise: Callable[[int], NDArray[np.float32]],
    levels: Callable[[Table], Table],
    on_step: Callable[[], None] = lambda: None,
    on_state: Sequence[Callable[[NDArray[np.float32]], object]] = (),
    condition: Tensor | None = None,
) -> NDArray[np.float32]:
    """Apply a plan to x_T (B, C, *spatial); ``noise(j)`` draws number j, only where it is added.

    ``levels``: what the graph is told of times (``reference.levels.Levels``). ``on_step``: called
    after every evaluation. ``on_state``: each is called before it, with the x that it led to.
    ``condition``: (B, ...), for the denoiser.
    """
    x = Tensor(x_T)
    zeros = ops.zeros_like(x)
    registers: tuple[Tensor, ...] = (zeros,) * MEMORY
    x0_hat = zeros
    for i, row in enumerate(levels(plan.timesteps)):
        factors = ms.mutable(tuple(Tensor(value, ms.float32) for value in plan.factors(i)))
        drawn = Tensor(noise(plan.draw(i))) if plan.coefficients[i, 2] > 0.0 else zeros
        at = on_device(np.tile(row, (len(x_T), 1)))
        x, x0_hat, kept = step(x, at, drawn, condition, x0_hat, ms.mutable(registers), factors)
        if any(plan.keeps(i)):
            registers = (kept, *registers[:-1])
        if on_state:
            now = x.asnumpy()
            for told in on_state:
                told(now)
        on_step()
    return np.asarray(x.asnumpy())
