"""What the network is asked for and how its answer is scored, on tensors.

``reference/objective.py`` is the definition.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import mindspore as ms
import numpy as np
from mindspore import Tensor, ops
from numpy.typing import NDArray

from ..reference.config.diffusion import LOSSES, OBJECTIVES
from ..reference.plain import check_choice
from .process import Process


@ms.jit_class
class Objective:
    """Target, estimate of x_0 and loss for one objective, on the device.

    Args:
        process: the tables.
        objective: "pred_noise", "pred_x0" or "pred_v".
        loss_type: "l2", "l1" or "huber" (of width 1).
        weight: (T + 1,) from ``reference.objective.loss_weight``.
    """

    def __init__(
        self, process: Process, objective: str, loss_type: str, weight: NDArray[np.float64]
    ) -> None:
        check_choice("objective", objective, OBJECTIVES)
        check_choice("loss_type", loss_type, LOSSES)
        self.process = process
        self.objective = objective
        self.loss_type = loss_type
        self.weight = Tensor(weight.astype(np.float32))

    def target(self, x_0: Tensor, t: Tensor, noise: Tensor) -> Tensor:
        """What the network should return at ``x_t = q_sample(x_0, t, noise)``."""
        if self.objective == "pred_noise":
            return noise
        if self.objective == "pred_x0":
            return x_0
        return self.process.v_from_x0(x_0, t, noise)

    def x0_from_output(self, x_t: Tensor, t: Tensor, output: Tensor) -> Tensor:
        """The estimate of x_0 that the network's output amounts to."""
        if self.objective == "pred_noise":
            return self.process.x0_from_eps(x_t, t, output)
        if self.objective == "pred_x0":
            return output
        return self.process.x0_from_v(x_t, t, output)

    def simple_loss(self, output: Tensor, target: Tensor, t: Tensor) -> Tensor:
        """Mean over each image, times its weight, mean over the batch (2006.11239, eq. 14).

        The means are one product of matrices: a reduction over all axes takes longer on a CPU.
        """
        d = (output - target).reshape(output.shape[0], -1)
        if self.loss_type == "l2":
            error = d * d
        elif self.loss_type == "l1":
            error = ops.abs(d)
        else:
            size = ops.abs(d)
            inside = ops.minimum(size, 1.0)
            error = inside * (size - 0.5 * inside)
        batch, count = error.shape
        per_image = ops.matmul(error, ops.ones((count, 1), error.dtype))
        weight = ops.gather(self.weight, t, 0).reshape(1, batch)
        return ops.matmul(weight, per_image).reshape(()) / (batch * count)


def training_loss(
    model: Callable[..., Tensor], objective: Objective, self_condition: bool
) -> Callable[..., Tensor]:
    """The function that is differentiated: noise x_0, ask the network, score its answer.

    The returned function takes x_0 (B, C, H, W) in [-1, 1], t (B,) in 1..T, noise like x_0,
    ``conditioned`` (B, 1, 1, 1), 1.0 for the images that are shown an estimate of their x_0
    (arXiv 2208.04202, section 3.2; read only with self-conditioning), and the dropout masks.
    """

    def loss(
        x_0: Tensor, t: Tensor, noise: Tensor, conditioned: Tensor, dropout_masks: Any
    ) -> Tensor:
        x_t = objective.process.q_sample(x_0, t, noise)
        time = (t - 1).astype(ms.float32)
        x_self_cond = None
        if self_condition:
            estimate = objective.x0_from_output(x_t, t, model(x_t, time))
            x_self_cond = ops.stop_gradient(estimate) * conditioned
        output = model(x_t, time, x_self_cond, dropout_masks)
        return objective.simple_loss(output, objective.target(x_0, t, noise), t)

    return loss
