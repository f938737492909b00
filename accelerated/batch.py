"""What one gradient is computed from, as one structure that goes from the data to the loss."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import mindspore as ms
import numpy as np
from mindspore import Tensor
from numpy.typing import NDArray

from ..reference.config.draws import DrawsConfig
from ..reference.noise import assigned, with_offset
from ..reference.schedule import Schedule, Table
from ..reference.times import real_times
from .process import on_device
from .randomness import Purpose, normal, times, uniform


class MicroBatch(NamedTuple):
    """What one gradient is computed from, on the host.

    Attributes:
        x_0: (B, C, *spatial) float32 in [-1, 1].
        t: (B,) int32 in 1..T, or float64 in [1, T].
        noise: like x_0, standard normal.
        self_cond_mask: (B,) bool, which items are shown an estimate of their x_0 first.
        dropout_masks: one 0/1 array for each residual block, or None.
        condition: (B, ...), what the network is told of each item, as its label; or None.
        levels: (B, K), what the graph is told of t (``reference/levels.py``).
    """

    x_0: NDArray[np.float32]
    t: NDArray[Any]
    noise: NDArray[np.float32]
    self_cond_mask: NDArray[np.bool_]
    dropout_masks: Sequence[NDArray[np.bool_]] | None = None
    condition: NDArray[Any] | None = None
    levels: Table = np.zeros((0, 0))

    def tensors(self) -> tuple[Any, ...]:
        """As device tensors, in this order, for ``training.training_loss``."""
        masks = self.dropout_masks
        if masks is not None:
            # Without "mutable" a tuple is a constant of the graph, which is compiled anew for each.
            masks = ms.mutable(tuple(Tensor(m.astype(np.float32)) for m in masks))
        each = (-1,) + (1,) * (self.x_0.ndim - 1)
        return (
            Tensor(self.x_0),
            on_device(self.levels),
            Tensor(self.noise),
            Tensor(self.self_cond_mask.astype(np.float32).reshape(each)),
            masks,
            None if self.condition is None else Tensor(self.condition),
        )

    def item(self, place: int) -> MicroBatch:
        """One item of it, as a batch."""
        only = slice(place, place + 1)
        masks = self.dropout_masks
        return MicroBatch(
            self.x_0[only],
            self.t[only],
            self.noise[only],
            self.self_cond_mask[only],
            dropout_masks=None if masks is None else [mask[only] for mask in masks],
            condition=None if self.condition is None else self.condition[only],
            levels=self.levels[only],
        )


def times_and_noise(
    schedule: Schedule,
    config: DrawsConfig,
    x_0: NDArray[np.float32],
    step: int,
    positions: Sequence[int],
    seed: int,
) -> tuple[NDArray[Any], NDArray[np.float32]]:
    """t of each item and its noise, as it is configured; see ``GaussianDiffusion.micro_batch``."""
    channels, *sides = x_0.shape[1:]
    t: NDArray[Any]
    if config.time_distribution == "steps":
        t = times(seed, step, positions, schedule.T)
    else:
        u = uniform(seed, Purpose.REAL_TIME, step, positions, 1)[:, 0]
        t = real_times(schedule, config, u)
    noise = normal(seed, Purpose.NOISE, step, positions, x_0.shape[1:])
    if config.offset_noise:
        each = (channels, *(1 for _ in sides))
        offset = normal(seed, Purpose.OFFSET, step, positions, each)
        noise = with_offset(noise, offset, config.offset_noise)
    return t, assigned(x_0, noise) if config.immiscible else noise
