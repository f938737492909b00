"""One optimiser step as compiled graphs: loss, gradient, clipping, Adam, moving average."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import mindspore as ms
import numpy as np
from mindspore import Parameter, Tensor, ops
from numpy.typing import NDArray

from .distributed import ALONE, Exchange
from .optimizer import Optimizer, StepScalars, flatten


class MicroBatch(NamedTuple):
    """What one gradient is computed from, on the host.

    Attributes:
        x_0: (B, C, H, W) float32 in [-1, 1].
        t: (B,) int32 in 1..T.
        noise: like x_0, standard normal.
        conditioned: (B,) bool, which images are shown an estimate of their x_0 first.
        dropout_masks: one 0/1 array for each residual block, or None.
    """

    x_0: NDArray[np.float32]
    t: NDArray[np.int32]
    noise: NDArray[np.float32]
    conditioned: NDArray[np.bool_]
    dropout_masks: Sequence[NDArray[np.bool_]] | None = None

    def tensors(self) -> tuple[Tensor, Tensor, Tensor, Tensor, tuple[Tensor, ...] | None]:
        """As device tensors."""
        masks = self.dropout_masks
        if masks is not None:
            # Without "mutable" a tuple is a constant of the graph, which is compiled anew for each.
            masks = ms.mutable(tuple(Tensor(m.astype(np.float32)) for m in masks))
        return (
            Tensor(self.x_0),
            Tensor(self.t),
            Tensor(self.noise),
            Tensor(self.conditioned.astype(np.float32).reshape(-1, 1, 1, 1)),
            masks,
        )


class TrainStep:
    """Update parameters, moments and average from one or several micro-batches.

    Args:
        loss: the function to differentiate, as ``objective.training_loss`` makes it.
        optimizer: whose parameters it depends on.
        micro_batches: how many gradients are averaged for one update. One: a single graph does
            everything. Several: one graph adds up gradients, another applies their mean.
        exchange: with whom the gradient is averaged (default: with no one).
    """

    def __init__(
        self,
        loss: Callable[..., Tensor],
        optimizer: Optimizer,
        micro_batches: int = 1,
        exchange: Exchange | None = None,
    ) -> None:
        exchange = Exchange(ALONE) if exchange is None else exchange
        self.micro_batches = micro_batches
        grad_fn = ms.value_and_grad(loss, None, optimizer.parameters)
        total = Parameter(ops.zeros_like(optimizer.params), name="gradient", requires_grad=False)
        mean_loss = Parameter(Tensor(0.0, ms.float32), name="loss", requires_grad=False)
        share = 1.0 / micro_batches

        def whole(x_0, t, noise, conditioned, masks, *scalars):  # type: ignore[no-untyped-def]
            value, grads = grad_fn(x_0, t, noise, conditioned, masks)
            grad, value = exchange.mean(flatten(grads), value)
            return value, optimizer.update(grad, value, *scalars)

        def accumulate(x_0, t, noise, conditioned, masks):  # type: ignore[no-untyped-def]
            value, grads = grad_fn(x_0, t, noise, conditioned, masks)
            done = ops.assign_add(total, flatten(grads) * share)
            return ops.depend(ops.assign_add(mean_loss, value * share), done)

        def apply(*scalars):  # type: ignore[no-untyped-def]
            # Statements with an effect on parameters run in the order in which they are written.
            grad, value = exchange.mean(total, mean_loss + 0.0)
            norm = optimizer.update(grad, value, *scalars)
            ops.assign(total, ops.zeros_like(total))
            ops.assign(mean_loss, ops.zeros_like(mean_loss))
            return value, norm

        self._whole = ms.jit(whole)
        self._accumulate = ms.jit(accumulate)
        self._apply = ms.jit(apply)

    def __call__(
        self, batches: Sequence[MicroBatch], scalars: StepScalars
    ) -> tuple[Tensor, Tensor]:
        """Do one update; the mean loss and the norm of the mean gradient, not waited for."""
        if self.micro_batches == 1:
            (batch,) = batches
            loss, norm = self._whole(*batch.tensors(), *scalars.tensors())
            return loss, norm
        for batch in batches:
            self._accumulate(*batch.tensors())
        loss, norm = self._apply(*scalars.tensors())
        return loss, norm
