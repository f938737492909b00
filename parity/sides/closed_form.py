"""A denoiser that both sides know exactly: for data of independent Gaussian values.

The best x0_hat is then an affine function of x_t. The reference asks its oracle; the device has the
factors as tables, read at the time that the network is given. With self-conditioning a share of the
estimate before is added to x0_hat. With a learned variance it says of it RAW
x + BIAS, x being what the network sees of x_t.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import mindspore as ms
import numpy as np
from mindspore import Tensor, ops

from ...reference.config.diffusion import SIGMA_DATA, ObjectiveConfig
from ...reference.levels import Levels
from ...reference.oracle import gaussian
from ...reference.schedule import Schedule, levels_at
from ..judgement.tolerance import elementwise
from .device import Array

RAW, BIAS = 0.75, 0.375
"""What is said of the variance: of x_t, another one for each value; exact in float32."""


class Denoiser:
    """x0_hat = slope(t) x_t + offset(t) + self_cond before.

    Args:
        schedule: the tables.
        objective: what the network's output stands for.
        mean, var: of the data, (C, *spatial).
        self_cond: the share of the estimate before.
        learned: whether it says of the variance.

    Attributes:
        schedule, objective, self_cond, learned: as given.
        levels: what the device is told of times.
    """

    def __init__(
        self,
        schedule: Schedule,
        objective: str,
        mean: Array,
        var: Array,
        self_cond: float,
        learned: bool = False,
    ) -> None:
        self.schedule, self.objective, self.self_cond = schedule, objective, self_cond
        self.learned = learned
        self.levels = Levels(schedule, ObjectiveConfig(objective=objective))
        self._mean, self._var = mean.astype(np.float64), var.astype(np.float64)
        self._oracle = gaussian(self._mean, np.diag(self._var.ravel()))

    def predict_x0(self, x_t: Array, t: Array, before: Array) -> Array:
        """x0_hat by the reference's oracle, with its share of the estimate before."""
        x0_hat: Array = self._oracle.predict_x0(self.schedule, x_t, t) + self.self_cond * before
        return x0_hat

    def share(self, x_t: Array, t: float) -> Array:
        """The share of log beta in the logarithm of the variance."""
        said: Array = (RAW * self.scale(t) * x_t + BIAS + 1.0) / 2.0
        return said

    def slope(self, t: float) -> Array:
        """The factor of x_t in x0_hat, of the data's shape."""
        signal, noise = levels_at(self.schedule, t)
        found: Array = signal * self._var / (signal**2 * self._var + noise**2)
        return found

    def factors(self, t: float) -> tuple[float, float]:
        """Of x_t and of the network's output in x0_hat."""
        signal, noise = map(float, levels_at(self.schedule, t))
        if self.objective == "pred_noise":
            return 1.0 / signal, -noise / signal
        if self.objective == "flow":
            return self.scale(t), -noise * self.scale(t)
        if self.objective == "edm":
            sigma, data = noise / signal, SIGMA_DATA
            skip, out = data**2 / (sigma**2 + data**2), sigma * data / math.hypot(sigma, data)
            return skip / signal, out
        return (signal, -noise) if self.objective == "pred_v" else (0.0, 1.0)

    def scale(self, t: float) -> float:
        """What x_t is multiplied by before the network sees it."""
        signal, noise = map(float, levels_at(self.schedule, t))
        if self.objective == "edm":
            return 1.0 / math.hypot(noise, SIGMA_DATA * signal)
        return 1.0 / (signal + noise) if self.objective in ("flow", "x0_v_loss") else 1.0

    def output(self, t: float) -> tuple[Array, Array, float]:
        """The network's output: factors of x_t, of 1 and of the estimate before."""
        (of_x, of_output), slope = self.factors(t), self.slope(t)
        offset = self._mean * (1.0 - levels_at(self.schedule, t)[0] * slope)
        return (slope - of_x) / of_output, offset / of_output, self.self_cond / of_output

    def _of_input(self, t: float) -> tuple[Array, Array, float]:
        """The same, by what the network sees instead of x_t."""
        slope, offset, share = self.output(t)
        return slope / self.scale(t), offset, share

    def network(self, times: Sequence[float]) -> Callable[[Tensor, Tensor, Tensor], Tensor]:
        """The device's side: (x, time, x_self_cond) to the output.

        It knows these times alone, and returns no number at any other: so one that is a little off
        shows.
        """
        known = sorted(set(times))
        shape = self._mean.shape
        slope, offset, share = (
            Tensor(np.stack([*(np.broadcast_to(p, shape) for p in parts), np.full(shape, np.nan)]))
            for parts in zip(*map(self._of_input, known), strict=True)
        )
        slope, offset, share = (table.astype(ms.float32) for table in (slope, offset, share))
        at = Tensor(np.array(known)[None] - 1.0, ms.float32)
        learned = self.learned
        place = Tensor(np.arange(len(known))[None] - len(known), ms.float32)

        def network(x: Tensor, time: Tensor, x_self_cond: Tensor) -> Tensor:
            found = ops.equal(time.reshape(-1, 1), at).astype(ms.float32)
            # The place in the tables; that of the last row, of no numbers, where there is none.
            t = (ops.sum(found * place, 1) + float(len(known))).astype(ms.int32)
            affine = ops.gather(slope, t, 0) * x + ops.gather(offset, t, 0)
            output = affine + ops.gather(share, t, 0) * x_self_cond
            return ops.concat((output, RAW * x + BIAS), 1) if learned else output

        return network

    def roundings(self, x: Array, t: float, before: Array) -> Array:
        """What the roundings in the network and in the conversion of its output add to x0_hat.

        In the output each term has its coefficient, its product and two sums, where x_t is scaled
        two more; in x0_hat one sum.
        """
        slope, offset, share = self.output(t)
        terms = (slope * x, np.broadcast_to(offset, x.shape), share * before)
        of_x, of_output = self.factors(t)
        count = 4 if self.scale(t) == 1.0 else 6
        conversion = elementwise(3, of_x * x, of_output * sum(terms))
        rounded: Array = conversion + np.abs(of_output) * elementwise(count, *terms)
        return rounded
