"""A denoiser that both sides know exactly: for data of independent Gaussian values.

The best x0_hat is then an affine function of x_t. The reference asks its oracle; the device has the
factors as tables, gathered at the time that the network is given. With self-conditioning a share of
the estimate before is added to x0_hat.
"""

from __future__ import annotations

from collections.abc import Callable

import mindspore as ms
import numpy as np
from mindspore import Tensor, ops

from ...reference.config.diffusion import ObjectiveConfig
from ...reference.levels import Levels
from ...reference.oracle import gaussian
from ...reference.schedule import Schedule
from ..judgement.tolerance import elementwise
from .device import Array


class Denoiser:
    """x0_hat = slope[t] x_t + offset[t] + self_cond before.

    Args:
        schedule: the tables.
        objective: what the network's output stands for.
        mean, var: of the data, (C, *spatial).
        self_cond: the share of the estimate before.

    Attributes:
        schedule, objective, self_cond: as given.
        levels: what the device is told of times.
        slope, offset: (T + 1, C, *spatial); entry 0 is never read.
        of_x, of_output: factors of x_t and of the network's output in x0_hat, (T + 1, 1, ...).
    """

    def __init__(
        self, schedule: Schedule, objective: str, mean: Array, var: Array, self_cond: float
    ) -> None:
        self.schedule, self.objective, self.self_cond = schedule, objective, self_cond
        self.levels = Levels(schedule, ObjectiveConfig(objective=objective))
        mean, var = mean.astype(np.float64), var.astype(np.float64)
        self._oracle = gaussian(mean, np.diag(var.ravel()))
        a = schedule.alpha_bar.reshape((-1,) + (1,) * mean.ndim)
        signal, noise = np.sqrt(a), np.where(a < 1.0, np.sqrt(1.0 - a), 1.0)
        self.slope = signal * var / (a * var + noise**2)
        self.offset = mean * (1.0 - signal * self.slope)
        if objective == "pred_noise":
            self.of_x, self.of_output = 1.0 / signal, -noise / signal
        elif objective == "pred_v":
            self.of_x, self.of_output = signal, -noise
        else:
            self.of_x, self.of_output = np.zeros_like(a), np.ones_like(a)

    def predict_x0(self, x_t: Array, t: Array, before: Array) -> Array:
        """x0_hat by the reference's oracle, with its share of the estimate before."""
        x0_hat: Array = self._oracle.predict_x0(self.schedule, x_t, t) + self.self_cond * before
        return x0_hat

    def output(self) -> tuple[Array, Array, Array]:
        """The network's output: factors of x_t, of 1 and of the estimate before."""
        slope = (self.slope - self.of_x) / self.of_output
        return slope, self.offset / self.of_output, self.self_cond / self.of_output

    def network(self) -> Callable[[Tensor, Tensor, Tensor], Tensor]:
        """The device's side: (x, time, x_self_cond) to the output.

        The tables go on to T + 1, and are no numbers there and at 0: a time input off by one shows.
        """
        slope, offset, share = (_fenced(table) for table in self.output())

        def network(x: Tensor, time: Tensor, x_self_cond: Tensor) -> Tensor:
            t = time.astype(ms.int32) + 1
            affine = ops.gather(slope, t, 0) * x + ops.gather(offset, t, 0)
            return affine + ops.gather(share, t, 0) * x_self_cond

        return network

    def roundings(self, x: Array, t: int, before: Array) -> Array:
        """What the roundings in the network and in the conversion of its output add to x0_hat.

        In the output each term has its coefficient, its product and two sums; in x0_hat one sum.
        """
        slope, offset, share = (table[t] for table in self.output())
        terms = (slope * x, np.broadcast_to(offset, x.shape), share * before)
        of_output = self.of_output[t]
        conversion = elementwise(3, self.of_x[t] * x, of_output * sum(terms))
        rounded: Array = conversion + np.abs(of_output) * elementwise(4, *terms)
        return rounded


def _fenced(table: Array) -> Tensor:
    fence = np.full((1, *table.shape[1:]), np.nan)
    return Tensor(np.concatenate([fence, table[1:], fence]), ms.float32)
