"""Adam and AdamW, clipping, learning rates and moving averages, over all parameters as one vector.

One vector because the work per tensor, not the arithmetic, is what an optimiser costs: two hundred
small tensors are two thousand kernels a step, one vector is a dozen. A compiled operator is one,
which leaves gradients and parameters where they are.
``reference/optimizer.py`` is the definition.
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

from ..reference.ema import power_weight
from ..reference.optimizer import decays, ema_weight, learning_rate
from . import kernels
from .config import TrainerConfig
from .ema import power_name
from .networks import operators

Vector = NDArray[np.float32]

MANY = 400
"""Sizes that a split may be told of: they are gone through at compile time, each in a call within
that of the one before, and MindSpore allows 1,000."""


@dataclass(frozen=True)
class StepScalars:
    """The numbers of one update, computed on the host in float64 and rounded once.

    Attributes:
        rate: the learning rate, for the log: the device has it in what follows.
        lr: learning rate times sqrt(1 - beta_2^step) / (1 - beta_1^step), the bias correction.
        eps: Adam's eps times sqrt(1 - beta_2^step). With both, ``p - lr m / (sqrt(v) + eps)`` is
            Algorithm 1 of arXiv 1412.6980 with eps beside sqrt(v_hat), as the paper has it.
        ema: how far the average moves towards the parameters (0: not at all, 1: all the way).
        decay: what is taken off the parameters that decay, as a share: rate times weight_decay.
        powers: how far each of the power-function averages moves.
    """

    rate: float
    lr: float
    eps: float
    ema: float
    decay: float
    powers: tuple[float, ...]

    def tensors(self) -> tuple[Tensor, ...]:
        """As device scalars, in the order in which :meth:`Optimizer.update` takes them."""
        values = (self.lr, self.eps, self.ema, self.decay, *self.powers)
        return tuple(Tensor(value, ms.float32) for value in values)


def step_scalars(step: int, options: TrainerConfig, skipped: int = 0) -> StepScalars:
    """The scalars of update number ``step`` = 1, 2, ..., before which ``skipped`` were left out.

    The moments know nothing of those, so the correction of their bias does not count them.
    """
    applied = step - skipped
    # The device holds the betas in float32: the correction must be for those it uses.
    beta_1, beta_2 = (float(np.float32(beta)) for beta in options.adam_betas)
    root = math.sqrt(1.0 - beta_2**applied)
    rate = learning_rate(
        step,
        options.train_lr,
        options.warmup_steps,
        options.lr_schedule,
        options.train_num_steps,
        options.min_lr,
    )
    weight = ema_weight(
        step, options.ema_decay, options.ema_update_every, options.ema_update_after_step
    )
    return StepScalars(
        rate=rate,
        lr=rate * root / (1.0 - beta_1**applied),
        eps=options.adam_eps * root,
        ema=1.0 - weight,
        decay=rate * options.weight_decay,
        powers=tuple(1.0 - power_weight(step, sigma_rel) for sigma_rel in options.ema_sigma_rels),
    )


def _flatten(x: Tensor) -> Tensor:
    return x.reshape(-1)


def _put(parameter: Tensor, values: Tensor) -> Tensor:
    return ops.assign(parameter, values.reshape(parameter.shape))


def _put_part(vector: Tensor, parameter: Tensor, start: int) -> Tensor:
    return _put(parameter, _slice(vector, (start,), (parameter.size,)))


_each, _slice = ops.HyperMap(), ops.Slice()


def flatten(tensors: tuple[Tensor, ...]) -> Tensor:
    """All tensors as one vector (in a compiled graph)."""
    return ops.concat(_each(_flatten, tensors)) if len(tensors) > 1 else _flatten(tensors[0])


@ms.jit_class
class Optimizer:
    """Adam's moments and the moving average as vectors, and the update that changes them.

    Args:
        parameters: the network's trainable parameters, in their order.
        options: of which ``adam_betas`` are the decay of the two moments; gradients longer than
            ``max_grad_norm``, all parameters taken together, are shortened; with ``weight_decay``
            the weights of layers (not their biases, not gains) decay; and ``ema_sigma_rels`` are
            the relative widths of the power-function averages that are kept (``ema.py``).
    """

    def __init__(self, parameters: Sequence[Parameter], options: TrainerConfig) -> None:
        self.parameters = ParameterTuple(parameters)
        self.shapes = {p.name: tuple(p.shape) for p in parameters}
        self.sizes = tuple(p.size for p in parameters)
        nothing = np.zeros(sum(self.sizes), np.float32)
        self.m, self.v = _vector("adam_m", nothing), _vector("adam_v", nothing)
        start = self.own()
        self.ema = _vector("ema", start)
        names = [power_name(sigma_rel) for sigma_rel in options.ema_sigma_rels]
        self.powers = ParameterTuple([_vector(name, start) for name in names])
        self.power_names = tuple(names)
        self.fused = operators.compiled(
            kernels.CompiledAdam,
            options.adam_betas,
            options.max_grad_norm,
            [options.weight_decay > 0 and decays(name) for name in self.shapes],
            1 + len(names),
        )
        if self.fused is not None:
            return
        self.params = _vector("params", start)
        self.decays = _decaying(self.shapes) if options.weight_decay > 0 else None
        self.beta_1, self.beta_2 = (Tensor(beta, ms.float32) for beta in options.adam_betas)
        self.max_grad_norm = options.max_grad_norm
        self.adam = ops.Adam()
        self.mul_no_nan = ops.MulNoNan()
        self.split = SplitWithSize()
        self.starts = tuple(np.cumsum((0, *self.sizes[:-1])).tolist())

    def update(
        self,
        grads: tuple[Tensor, ...],
        loss: Tensor,
        lr: Tensor,
        eps: Tensor,
        ema: Tensor,
        decay: Tensor,
        *powers: Tensor,
    ) -> Tensor:
        """Clip the gradient, apply Adam, move the averages; the norm before clipping.

        The gradient is (N,), alone, or in as many pieces as there are parameters. The factor is
        ``min(1, max_norm / (norm + 1e-6))``, one for all parameters (1211.5063).
        Nothing changes where the norm or the loss is not finite.
        """
        if self.fused is not None:
            vectors = (self.m, self.v, self.ema, *self.powers)
            rates, shares = (lr, eps, decay), (ema, *powers)
            return self.fused(grads, loss, rates, shares, self.parameters, vectors)
        grad = flatten(grads)
        row = grad.reshape(1, -1)
        norm = ops.sqrt(ops.MatMul(transpose_b=True)(row, row)).reshape(())
        finite = ops.isfinite(norm + loss)
        shorten = ops.minimum(self.max_grad_norm / (norm + 1e-6), 1.0)
        # Times 0 where something is not finite, which is 0 for a NaN too. With betas of 1, a rate
        # of 0 and no gradient, Adam leaves every bit as it is.
        grad = self.mul_no_nan(grad, ops.where(finite, shorten, 0.0))
        beta_1, beta_2 = ops.where(finite, self.beta_1, 1.0), ops.where(finite, self.beta_2, 1.0)
        lr, ema = ops.where(finite, lr, 0.0), ops.where(finite, ema, 0.0)
        if self.decays is not None:
            decay = ops.where(finite, decay, 0.0)
            ops.assign(self.params, self.params * (1.0 - decay * self.decays))
        # The powers of beta are in lr and eps already, in float64.
        done = self.adam(self.params, self.m, self.v, 0.0, 0.0, lr, beta_1, beta_2, eps, grad)
        params = ops.depend(self.params, done)
        if len(self.sizes) <= MANY:
            done = _each(_put, self.parameters, self.split(params, self.sizes, 0))
        else:
            done = _each(ops.partial(_put_part, params), self.parameters, self.starts)
        # lerp takes five times as long.
        averaged = ops.assign_add(self.ema, (params - self.ema) * ema)
        for i in range(len(self.powers)):
            power = ops.where(finite, powers[i], 0.0)
            ops.assign_add(self.powers[i], (params - self.powers[i]) * power)
        return ops.depend(ops.depend(norm, done), averaged)

    def own(self) -> Vector:
        """A host copy of the network's parameters, (N,)."""
        whole, start = np.empty(sum(self.sizes), np.float32), 0
        for parameter, size in zip(self.parameters, self.sizes, strict=True):
            whole[start : start + size] = parameter.asnumpy().ravel()
            start += size
        return whole

    @property
    def names(self) -> tuple[str, ...]:
        """What :meth:`vectors` has, which copies it."""
        return ("params", *self._named())

    def vectors(self) -> dict[str, Vector]:
        """Host copies of parameters, moments and averages, each (N,).

        "params", "m", "v", "ema", and "ema_0_05" for the power-function average of width 0.05.
        """
        kept = {name: p.asnumpy().copy() for name, p in self._named().items()}
        return {"params": self.own(), **kept}

    def restore(self, vectors: Mapping[str, Vector]) -> None:
        """Put back the vectors that :meth:`vectors` gave, and the network's parameters."""
        # In place: a compiled graph goes on with the memory that it has run with once.
        for name, parameter in self._named().items():
            ops.assign(parameter, Tensor(vectors[name]))
        if self.fused is None:
            ops.assign(self.params, Tensor(vectors["params"]))
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
        powers = zip(self.power_names, self.powers, strict=True)
        return {"m": self.m, "v": self.v, "ema": self.ema, **dict(powers)}


def _decaying(shapes: Mapping[str, tuple[int, ...]]) -> Parameter:
    """1 for what belongs to a layer's weight, 0 for all else, as one vector."""
    parts = [np.full(math.prod(shape), decays(name), np.float32) for name, shape in shapes.items()]
    return _vector("decays", np.concatenate(parts))


def _vector(name: str, values: Vector) -> Parameter:
    return Parameter(Tensor(values), name=f"optimizer.{name}", requires_grad=False)
