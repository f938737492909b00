"""Walks that go back up to noise now and then, on the device.

``reference/tasks/paths.py`` says where they go. A task is a step, compiled once, and what the host
gives it at each move.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import mindspore as ms
import numpy as np
from mindspore import Tensor, ops
from numpy.typing import NDArray

from ...reference.schedule import Schedule, Table
from ...reference.tasks.paths import noising_step
from ..denoiser import Denoiser
from ..process import on_device
from ..system.compile_cache import compiled

Array = NDArray[np.float32]
Noise = Callable[[int], NDArray[Any]]
Step = Callable[..., tuple[Tensor, ...]]


def _nothing() -> None:
    pass


class Solver:
    """A denoiser, with all that tasks do with it.

    Args:
        schedule: how much noise there is at t.
        levels: what the graph is told of times (``reference.levels.Levels``).
        predict_x0: ``predict_x0(x_t, levels, condition, x_self_cond)``.
        condition: (B, ...), what each item is, for a denoiser that is told.
        on_step: called after every question to the denoiser.
        compiles: what makes a graph of a step, as ``restoration_step``.
    """

    def __init__(
        self,
        schedule: Schedule,
        levels: Callable[[Table], Table],
        predict_x0: Denoiser,
        *,
        condition: NDArray[Any] | None = None,
        on_step: Callable[[], None] = _nothing,
        compiles: Callable[[Step], Step] = compiled,
    ) -> None:
        self.schedule, self._levels = schedule, levels
        self._predict_x0, self._compiles = predict_x0, compiles
        self.tell(condition)
        self.on_step = on_step
        self._graphs: dict[Any, Step] = {}

    def tell(self, condition: NDArray[Any] | None) -> None:
        """Say what the items are from now on; graphs stay, where it has the same shape."""
        self._condition = None if condition is None else Tensor(condition)

    def graph(self, of: Callable[[Denoiser], Step]) -> Step:
        """A step around the denoiser, compiled when it is asked for first."""
        if of not in self._graphs:
            self._graphs[of] = self._compiles(of(self._predict_x0))
        return self._graphs[of]

    def ask(
        self, step: Step, x: Tensor, t: float, noise: Tensor, before: Tensor, *told: Any
    ) -> tuple[Tensor, ...]:
        """One step at t: the next x, x0_hat, and what else it returns."""
        at = on_device(np.tile(self._levels(np.array([t], np.float64)), (len(x), 1)))
        result = step(x, at, noise, self._condition, before, *told)
        self.on_step()
        return result

    def walk(
        self,
        step: Step,
        moves: Sequence[tuple[float, float]],
        x_T: Array,
        noise: Noise,
        told: Callable[[int, float, float], tuple[Any, ...]],
    ) -> Array:
        """From x_T along the moves (t, s): upwards by noise, downwards by the step.

        ``noise(i)`` is what move i goes up by. ``told(i, t, s)``: what the step is given on a move
        down: what is added to the result, and all arguments after the last estimate.
        """
        x = Tensor(x_T)
        before = ops.zeros_like(x)
        for i, (t, s) in enumerate(moves):
            if s > t:
                kept, var = noising_step(self.schedule, t, s)
                x = x * kept + tensor(math.sqrt(var) * noise(i))
                continue
            added, *rest = told(i, t, s)
            x, before, *_ = self.ask(step, x, t, added, before, *rest)
        return np.asarray(x.asnumpy())


def tensor(values: NDArray[Any]) -> Tensor:
    """Rounded to float32 once."""
    return Tensor(np.asarray(values, np.float32))


def factors(*values: float) -> Any:
    """Numbers as the graph takes them: not as constants of it."""
    return ms.mutable(tuple(Tensor(value, ms.float32) for value in values))
