"""One optimiser step as compiled graphs: loss, gradient, clipping, Adam, moving average."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import mindspore as ms
import numpy as np
from mindspore import Parameter, Tensor, ops
from numpy.typing import NDArray

from . import kernels
from .kernels.waiting import Waiter, waiter
from .optimizer import Optimizer, StepScalars, flatten
from .system.compile_cache import compiled
from .system.distributed import ALONE, GradientReducer


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
        reducer: with whom the gradient is averaged (default: with no one).
        scaled: whether there is a loss scale, for gradients in float16.
    """

    def __init__(
        self,
        loss: Callable[..., Tensor],
        optimizer: Optimizer,
        micro_batches: int = 1,
        reducer: GradientReducer | None = None,
        scaled: bool = False,
    ) -> None:
        reducer = GradientReducer(ALONE) if reducer is None else reducer
        self.micro_batches = micro_batches
        gradient = gradient_function(loss, optimizer.parameters, scaled)
        self._announce = announce = kernels.Announce() if kernels.in_use() else None
        share = 1.0 / micro_batches
        # The sum of gradients, where there is one: it is as large as the network.
        size = optimizer.params.size if micro_batches > 1 else 1
        total = Parameter(ops.zeros((size,), ms.float32), name="gradient", requires_grad=False)
        mean_loss = Parameter(Tensor(0.0, ms.float32), name="loss", requires_grad=False)

        def whole(x_0, t, noise, conditioned, masks, scale, *scalars):  # type: ignore[no-untyped-def]
            value, grad = gradient(x_0, t, noise, conditioned, masks, scale)
            grad, value = reducer.mean(grad, value)
            norm = optimizer.update(grad, value, *scalars)
            return (value, norm) if announce is None else announce(value, norm)

        def accumulate(x_0, t, noise, conditioned, masks, scale):  # type: ignore[no-untyped-def]
            value, grad = gradient(x_0, t, noise, conditioned, masks, scale)
            done = ops.assign_add(total, grad * share)
            return ops.depend(ops.assign_add(mean_loss, value * share), done)

        def apply(*scalars):  # type: ignore[no-untyped-def]
            # Statements with an effect on parameters run in the order in which they are written.
            grad, value = reducer.mean(total, mean_loss + 0.0)
            norm = optimizer.update(grad, value, *scalars)
            ops.assign(total, ops.zeros_like(total))
            ops.assign(mean_loss, ops.zeros_like(mean_loss))
            return (value, norm) if announce is None else announce(value, norm)

        self._whole = compiled(whole)
        self._accumulate = compiled(accumulate)
        self._apply = compiled(apply)

    def waiter(self) -> Waiter:
        """What to wait with for the losses of the calls after this one, one after another."""
        return waiter(announced=self._announce is not None)

    def __call__(
        self, batches: Sequence[MicroBatch], scalars: StepScalars, scale: float = 1.0
    ) -> tuple[Tensor, Tensor]:
        """Do one update; the mean loss and the norm of the mean gradient, not waited for.

        Where one of them is not finite, there is no update. ``scale``: of the loss, if it is
        scaled; neither result has it in it.
        """
        factor = Tensor(scale, ms.float32)
        if self.micro_batches == 1:
            (batch,) = batches
            loss, norm = self._whole(*batch.tensors(), factor, *scalars.tensors())
            return loss, norm
        for batch in batches:
            self._accumulate(*batch.tensors(), factor)
        loss, norm = self._apply(*scalars.tensors())
        return loss, norm


def gradient_function(
    loss: Callable[..., Tensor], parameters: Any, scaled: bool
) -> Callable[..., tuple[Tensor, Tensor]]:
    """(x_0, t, noise, conditioned, masks, scale) to the loss and its gradient as one vector."""
    if not scaled:
        plain_grad = ms.value_and_grad(loss, None, parameters)

        def plain(x_0, t, noise, conditioned, masks, scale):  # type: ignore[no-untyped-def]
            value, grads = plain_grad(x_0, t, noise, conditioned, masks)
            return value, flatten(grads)

        return plain

    def larger(x_0, t, noise, conditioned, masks, scale):  # type: ignore[no-untyped-def]
        value = loss(x_0, t, noise, conditioned, masks)
        return value * scale, value

    scaled_grad = ms.value_and_grad(larger, None, parameters, has_aux=True)

    def unscaled(x_0, t, noise, conditioned, masks, scale):  # type: ignore[no-untyped-def]
        (_, value), grads = scaled_grad(x_0, t, noise, conditioned, masks, scale)
        return value, flatten(grads) / scale

    return unscaled
