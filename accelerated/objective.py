"""What the network is asked for and how its answer is scored, on tensors.

``reference/objective.py`` is the definition.
"""

from __future__ import annotations

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
