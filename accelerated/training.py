"""One optimiser step as compiled graphs: loss, gradient, clipping, Adam, moving average.

``reference/training.py`` is the definition.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import mindspore as ms
from mindspore import Parameter, Tensor, ops

from . import kernels
from .batch import MicroBatch
from .bound import bound_loss, halves
from .denoiser import ask
from .kernels.waiting import Waiter, waiter
from .networks import operators
from .objective import simple_loss, target, x0_from_output
from .optimizer import Optimizer, StepScalars, flatten
from .process import q_sample
from .system.compile_cache import compiled
from .system.distributed import ALONE, GradientReducer


def training_loss(
    model: Callable[..., Tensor], loss_type: str, self_condition: bool
) -> Callable[..., Tensor]:
    """The function that is differentiated: noise x_0, ask the network, score its answer.

    With a learned variance the loss is hybrid (arXiv 2102.09672, eq. 16).

    The returned function takes a batch's tensors (``MicroBatch.tensors``): x_0 (B, C, *spatial) in
    [-1, 1], levels (B, K), noise like x_0, ``self_cond_mask`` (B, 1, ...), 1.0 for the items that
    are shown an estimate of their x_0 (arXiv 2208.04202, section 3.2; read only with
    self-conditioning), the dropout masks, and the condition.
    """

    score = simple_loss(loss_type)

    def loss(
        x_0: Tensor,
        levels: Tensor,
        noise: Tensor,
        self_cond_mask: Tensor,
        dropout_masks: Any,
        condition: Tensor | None = None,
    ) -> Tensor:
        x_t = q_sample(x_0, levels, noise)
        x_self_cond = None
        if self_condition:
            first, _ = halves(ask(model, x_t, levels, condition=condition), x_t)
            estimate = x0_from_output(x_t, levels, first)
            x_self_cond = ops.stop_gradient(estimate) * self_cond_mask
        output, raw = halves(ask(model, x_t, levels, x_self_cond, dropout_masks, condition), x_t)
        simple = score(output, target(x_0, levels, noise), levels)
        if raw is None:
            return simple
        return simple + bound_loss(x_0, x0_from_output(x_t, levels, output), raw, levels)

    return loss


class TrainStep:
    """Update parameters, moments and average from one or several micro-batches.

    Args:
        loss: the function to differentiate, as :func:`training_loss` makes it.
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
        self._announce = announce = operators.compiled(kernels.Announce)
        share = 1.0 / micro_batches
        # The sum of gradients, where there is one: it is as large as the network.
        size = sum(optimizer.sizes) if micro_batches > 1 else 1
        total = Parameter(ops.zeros((size,), ms.float32), name="gradient", requires_grad=False)
        mean_loss = Parameter(Tensor(0.0, ms.float32), name="loss", requires_grad=False)

        def whole(x_0, levels, noise, self_cond_mask, masks, condition, scale, *scalars):  # type: ignore[no-untyped-def]
            value, grads = gradient(x_0, levels, noise, self_cond_mask, masks, condition, scale)
            if reducer.shared:
                grad, value = reducer.mean(flatten(grads), value)
                grads = (grad,)
            norm = optimizer.update(grads, value, *scalars)
            return (value, norm) if announce is None else announce(value, norm)

        def accumulate(x_0, levels, noise, self_cond_mask, masks, condition, scale):  # type: ignore[no-untyped-def]
            value, grads = gradient(x_0, levels, noise, self_cond_mask, masks, condition, scale)
            done = ops.assign_add(total, flatten(grads) * share)
            return ops.depend(ops.assign_add(mean_loss, value * share), done)

        def apply(*scalars):  # type: ignore[no-untyped-def]
            # Statements with an effect on parameters run in the order in which they are written.
            grad, value = reducer.mean(total, mean_loss + 0.0)
            norm = optimizer.update((grad,), value, *scalars)
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
) -> Callable[..., tuple[Tensor, tuple[Tensor, ...]]]:
    """The tensors of a batch and a scale to the loss and its gradient, in pieces or as a vector."""
    if not scaled:
        plain_grad = ms.value_and_grad(loss, None, parameters)

        def plain(x_0, levels, noise, self_cond_mask, masks, condition, scale):  # type: ignore[no-untyped-def]
            return plain_grad(x_0, levels, noise, self_cond_mask, masks, condition)

        return plain

    def larger(x_0, levels, noise, self_cond_mask, masks, condition, scale):  # type: ignore[no-untyped-def]
        value = loss(x_0, levels, noise, self_cond_mask, masks, condition)
        return value * scale, value

    scaled_grad = ms.value_and_grad(larger, None, parameters, has_aux=True)

    def unscaled(x_0, levels, noise, self_cond_mask, masks, condition, scale):  # type: ignore[no-untyped-def]
        (_, value), grads = scaled_grad(x_0, levels, noise, self_cond_mask, masks, condition, scale)
        return value, (flatten(grads) / scale,)

    return unscaled
