"""RePaint on the device; ``reference/tasks/inpainting.py`` states it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from mindspore import Parameter, Tensor, ops
from numpy.typing import NDArray

from ...reference.degradations import masked
from ...reference.schedule import levels_at
from ...reference.tasks.paths import ancestral_step, with_jumps
from ..degradations import on_device
from ..networks.network import Network
from .paths import Array, Noise, Solver, factors, tensor
from .restoration import restoration_step


def repaint(
    solver: Solver,
    x_T: Array,
    known: NDArray[Any],
    mask: NDArray[Any],
    *,
    timesteps: Sequence[int],
    noise: Noise,
    jump_length: int = 1,
    jump_repeats: int = 1,
) -> Array:
    """As ``reference.tasks.inpainting.repaint`` (2201.09865); float32, on the host."""
    if known.shape != x_T.shape:
        raise ValueError(f"known has shape {known.shape}: give it that of x_T, {x_T.shape}")
    keep = masked(mask, x_T.shape[1:])
    directions = on_device(keep)
    shown = keep.singular > 0.0
    of_known = np.where(shown, known.astype(np.float64), 0.0)

    def told(i: int, t: float, s: float) -> tuple[Any, ...]:
        b, a, var = ancestral_step(solver.schedule, t, s)
        signal, sigma = map(float, levels_at(solver.schedule, s))
        target, added = signal * of_known, np.zeros(x_T.shape)
        if s > 0:
            target = target + sigma * noise(2 * i + 1)
            added = np.where(shown, 0.0, math.sqrt(var) * noise(2 * i))
        return (
            *(tensor(added), tensor(target), directions.singular, directions.bases),
            factors(a, b, a, b),
        )

    moves = with_jumps(timesteps, jump_length, jump_repeats)
    return solver.walk(solver.graph(restoration_step), moves, x_T, lambda i: noise(2 * i), told)


class Shown(Network):
    """A network that is shown the same channels behind every x.

    Args:
        model: the network, which reads as many channels.
        shown: (K, *spatial), as of ``reference.tasks.inpainting.shown``.
    """

    def __init__(self, model: Network, shown: NDArray[np.float32]) -> None:
        super().__init__(auto_prefix=False)
        self.model, self.config = model, model.config
        self.conditional, self.captioned = model.conditional, model.captioned
        # No constant of the graph, which then is the same for every picture.
        self.shown = Parameter(Tensor(shown[None]), name="shown", requires_grad=False)

    def construct(
        self,
        x: Tensor,
        time: Tensor,
        x_self_cond: Tensor | None = None,
        dropout_masks: tuple[Tensor, ...] | None = None,
        condition: Tensor | None = None,
    ) -> Tensor:
        """All as of the network, whose x it makes."""
        beside = ops.broadcast_to(self.shown, (x.shape[0], *self.shown.shape[1:]))
        return self.model(ops.concat((x, beside), 1), time, x_self_cond, dropout_masks, condition)
