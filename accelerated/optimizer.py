"""Adam, clipping, warm-up and the moving average, over all parameters as one vector.

One vector because the work per tensor, not the arithmetic, is what an optimiser costs: two hundred
small tensors are two thousand kernels a step, one vector is a dozen. ``reference/optimizer.py`` is
the definition.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import mindspore as ms
import numpy as np
from mindspore import Parameter, ParameterTuple, Tensor, ops
from mindspore.ops.auto_generate import SplitWithSize
from numpy.typing import NDArray

Vector = NDArray[np.float32]


@dataclass(frozen=True)
class StepScalars:
    """The numbers of one update, computed on the host in float64 and rounded once.

    Attributes:
        lr: learning rate times sqrt(1 - beta_2^step) / (1 - beta_1^step), the bias correction.
        eps: Adam's eps times sqrt(1 - beta_2^step). With both, ``p - lr m / (sqrt(v) + eps)`` is
            Algorithm 1 of arXiv 1412.6980 with eps beside sqrt(v_hat), as the paper has it.
        ema: how far the average moves towards the parameters (0: not at all, 1: a copy).
    """

    lr: float
    eps: float
    ema: float

    def tensors(self) -> tuple[Tensor, Tensor, Tensor]:
        """As device scalars."""
        return (
            Tensor(self.lr, ms.float32),
            Tensor(self.eps, ms.float32),
            Tensor(self.ema, ms.float32),
        )


def step_scalars(
    step: int,
    *,
    lr: float,
    warmup_steps: int,
    adam_betas: tuple[float, float],
    adam_eps: float,
    ema_decay: float,
    ema_update_every: int,
    ema_update_after_step: int,
) -> StepScalars:
    """The scalars of update number ``step`` = 1, 2, ..."""
    # The device holds the betas in float32: the correction must be for those it uses.
    beta_1, beta_2 = (float(np.float32(beta)) for beta in adam_betas)
    root = math.sqrt(1.0 - beta_2**step)
    rate = learning_rate(step, lr, warmup_steps) * root / (1.0 - beta_1**step)
    weight = ema_weight(step, ema_decay, ema_update_every, ema_update_after_step)
    return StepScalars(rate, adam_eps * root, 1.0 - weight)


def learning_rate(step: int, lr: float, warmup_steps: int) -> float:
    """``lr min(1, step / warmup_steps)``."""
    return lr * min(1.0, step / warmup_steps) if warmup_steps else lr


def ema_weight(step: int, decay: float, update_every: int, update_after_step: int) -> float:
    """The share of itself that the average keeps after update number ``step``.

    1 between updates, 0 (a copy) until ``update_after_step``, then growing towards ``decay`` as
    ``1 - (1 + step - update_after_step)^(-2/3)``, the warm-up of ``ema-pytorch``.
    """
    if step % update_every != 0:
        return 1.0
    since = step - update_after_step
    return 0.0 if since <= 0 else min(decay, 1.0 - (1.0 + since) ** (-2.0 / 3.0))


def _flatten(x: Tensor) -> Tensor:
    return x.reshape(-1)


def _put(parameter: Tensor, values: Tensor) -> Tensor:
    return ops.assign(parameter, values.reshape(parameter.shape))


_each = ops.HyperMap()


def flatten(tensors: tuple[Tensor, ...]) -> Tensor:
    """All tensors as one vector (in a compiled graph)."""
    return ops.concat(_each(_flatten, tensors))


@ms.jit_class
class Optimizer:
    """Adam's moments and the moving average as vectors, and the update that changes them.

    Args:
        parameters: the network's trainable parameters, in their order.
        adam_betas: decay of the two moments.
        max_grad_norm: gradients longer than this, all parameters taken together, are shortened.
    """

    def __init__(
        self,
        parameters: Sequence[Parameter],
        *,
        adam_betas: tuple[float, float],
        max_grad_norm: float,
    ) -> None:
        self.parameters = ParameterTuple(parameters)
        self.shapes = {p.name: tuple(p.shape) for p in parameters}
        self.sizes = tuple(p.size for p in parameters)
        start = np.concatenate([p.asnumpy().ravel() for p in parameters])
        self.params = _vector("params", start)
        self.m = _vector("adam_m", np.zeros_like(start))
        self.v = _vector("adam_v", np.zeros_like(start))
        self.ema = _vector("ema", start)
        self.beta_1, self.beta_2 = adam_betas
        self.max_grad_norm = max_grad_norm
        self.adam = ops.Adam()
        self.split = SplitWithSize()

    def update(self, grad: Tensor, lr: Tensor, eps: Tensor, ema: Tensor) -> Tensor:
        """Clip the gradient (N,), apply Adam, move the average; the norm before clipping.

        The factor is ``min(1, max_norm / (norm + 1e-6))``, one for all parameters (1211.5063).
        """
        row = grad.reshape(1, -1)
        norm = ops.sqrt(ops.MatMul(transpose_b=True)(row, row)).reshape(())
        grad = grad * ops.minimum(self.max_grad_norm / (norm + 1e-6), 1.0)
        # The powers of beta are in lr and eps already, in float64.
        done = self.adam(
            self.params, self.m, self.v, 0.0, 0.0, lr, self.beta_1, self.beta_2, eps, grad
        )
        params = ops.depend(self.params, done)
        done = _each(_put, self.parameters, self.split(params, self.sizes, 0))
        averaged = ops.assign(self.ema, ops.lerp(self.ema, params, ema))
        return ops.depend(ops.depend(norm, done), averaged)

    def vectors(self) -> dict[str, Vector]:
        """Host copies of parameters, moments and average ("params", "m", "v", "ema"), each (N,)."""
        return {name: p.asnumpy().copy() for name, p in self._named().items()}

    def restore(self, vectors: Mapping[str, Vector]) -> None:
        """Put back the vectors that :meth:`vectors` gave, and the network's parameters."""
        # In place: a compiled graph goes on with the memory that it has run with once.
        for name, parameter in self._named().items():
            ops.assign(parameter, Tensor(vectors[name]))
        for parameter, piece in zip(
            self.parameters, self.by_name(vectors["params"]).values(), strict=True
        ):
            ops.assign(parameter, Tensor(piece))

    def by_name(self, vector: Vector) -> dict[str, NDArray[np.float32]]:
        """Cut a vector into arrays of the parameters' names and shapes."""
        pieces = np.split(vector, np.cumsum(self.sizes)[:-1])
        return {
            name: piece.reshape(shape)
            for (name, shape), piece in zip(self.shapes.items(), pieces, strict=True)
        }

    def as_vector(self, arrays: Mapping[str, NDArray[np.float32]]) -> Vector:
        """The inverse of :meth:`by_name`; arrays of other names are left out."""
        return np.concatenate([arrays[name].ravel() for name in self.shapes])

    def _named(self) -> dict[str, Parameter]:
        return {"params": self.params, "m": self.m, "v": self.v, "ema": self.ema}


def _vector(name: str, values: Vector) -> Parameter:
    return Parameter(Tensor(values.copy()), name=f"optimizer.{name}", requires_grad=False)
