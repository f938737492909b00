"""What the network is asked for and how its answer is scored, on tensors.

``reference/objective.py`` is the definition. Every target and every estimate is a linear
combination, whose factors come as ``levels`` (``reference/levels.py``): what the network predicts
is a matter of numbers. Shapes: levels (B, K); all else (B, C, *spatial).
"""

from __future__ import annotations

from collections.abc import Callable

from mindspore import Tensor, ops

from ..reference.config.diffusion import LOSSES
from ..reference.levels import OUT, SKIP, TARGET_NOISE, TARGET_X0, WEIGHT
from ..reference.plain import check_choice
from .process import column


def target(x_0: Tensor, levels: Tensor, noise: Tensor) -> Tensor:
    """What the network should return at ``x_t = q_sample(x_0, levels, noise)``."""
    return column(levels, TARGET_X0, x_0) * x_0 + column(levels, TARGET_NOISE, x_0) * noise


def x0_from_output(x_t: Tensor, levels: Tensor, output: Tensor) -> Tensor:
    """The estimate of x_0 that the network's output amounts to."""
    return column(levels, SKIP, x_t) * x_t + column(levels, OUT, x_t) * output


def simple_loss(loss_type: str) -> Callable[[Tensor, Tensor, Tensor], Tensor]:
    """(output, target, levels) to the loss: "l2", "l1" or "huber" (of width 1)."""
    check_choice("loss_type", loss_type, LOSSES)

    def loss(output: Tensor, target: Tensor, levels: Tensor) -> Tensor:
        """Mean over each image, times its weight, mean over the batch (2006.11239, eq. 14).

        The means are one product of matrices: a reduction over all axes takes longer on a CPU.
        """
        d = (output - target).reshape(output.shape[0], -1)
        if loss_type == "l2":
            error = d * d
        elif loss_type == "l1":
            error = ops.abs(d)
        else:
            size = ops.abs(d)
            inside = ops.minimum(size, 1.0)
            error = inside * (size - 0.5 * inside)
        batch, count = error.shape
        per_image = ops.matmul(error, ops.ones((count, 1), error.dtype))
        weight = levels[:, WEIGHT].reshape(1, batch)
        return ops.matmul(weight, per_image).reshape(()) / (batch * count)

    return loss
