"""The forward process, and the conversions between x_0, eps and v, on tensors.

``reference/process.py`` is the definition. The tables are float64 constants from the schedule;
what is combined from them is combined in float64 too, and rounded once to float32.
"""

from __future__ import annotations

from typing import Any

import mindspore as ms
import numpy as np
from mindspore import Tensor, ops
from numpy.typing import NDArray

from ..reference.schedule import Schedule


def to_model_range(images: NDArray[Any]) -> NDArray[np.float32]:
    """Images as users see them, uint8 or floats in [0, 1], as the process sees them: [-1, 1]."""
    scale = 2.0 / 255.0 if images.dtype == np.uint8 else 2.0
    return images.astype(np.float32) * np.float32(scale) - np.float32(1.0)


def to_unit_range(x_0: NDArray[np.float32], clip: bool = True) -> NDArray[np.float32]:
    """The way back, to [0, 1]; values beyond it are clipped, or not."""
    images = (x_0 + np.float32(1.0)) * np.float32(0.5)
    return np.clip(images, 0.0, 1.0) if clip else images


def to_uint8(images: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Floats in [0, 1] as 0..255, rounded to the nearest."""
    rounded: NDArray[np.uint8] = np.rint(images * np.float32(255.0)).astype(np.uint8)
    return rounded


@ms.jit_class
class Process:
    """The schedule's tables on the device, and the functions that read them at t = 1..T.

    Shapes: x_0, x_t, eps, v, noise (B, C, *spatial) float32; t (B,) int32.
    """

    def __init__(self, schedule: Schedule) -> None:
        signal, noise = schedule.sqrt_alpha_bar, schedule.sqrt_one_minus_alpha_bar
        # Where nothing of x_0 is left, at a zero terminal SNR, eps cannot tell x_0; pred_noise is
        # refused for such a schedule, so these entries are never read.
        safe = np.where(signal > 0.0, signal, 1.0)
        self.signal = _table(signal)
        self.noise = _table(noise)
        self.recip_signal = _table(1.0 / safe)
        self.noise_over_signal = _table(noise / safe)

    def q_sample(self, x_0: Tensor, t: Tensor, noise: Tensor) -> Tensor:
        """``sqrt(alpha_bar_t) x_0 + sqrt(1 - alpha_bar_t) noise`` (2006.11239, eq. 4)."""
        return gather(self.signal, t, x_0) * x_0 + gather(self.noise, t, x_0) * noise

    def x0_from_eps(self, x_t: Tensor, t: Tensor, eps: Tensor) -> Tensor:
        """``(x_t - sqrt(1 - alpha_bar_t) eps) / sqrt(alpha_bar_t)`` (2006.11239, eq. 15)."""
        return (
            gather(self.recip_signal, t, x_t) * x_t - gather(self.noise_over_signal, t, x_t) * eps
        )

    def v_from_x0(self, x_0: Tensor, t: Tensor, eps: Tensor) -> Tensor:
        """``sqrt(alpha_bar_t) eps - sqrt(1 - alpha_bar_t) x_0`` (2202.00512, appendix D)."""
        return gather(self.signal, t, x_0) * eps - gather(self.noise, t, x_0) * x_0

    def x0_from_v(self, x_t: Tensor, t: Tensor, v: Tensor) -> Tensor:
        """``sqrt(alpha_bar_t) x_t - sqrt(1 - alpha_bar_t) v`` (2202.00512, appendix D)."""
        return gather(self.signal, t, x_t) * x_t - gather(self.noise, t, x_t) * v


def gather(table: Tensor, t: Tensor, like: Tensor) -> Tensor:
    """table[t] of shape (B, 1, ..., 1), to multiply what has the shape of ``like``."""
    return ops.gather(table, t, 0).reshape((-1,) + (1,) * (like.ndim - 1))


def _table(values: NDArray[np.float64]) -> Tensor:
    return Tensor(values.astype(np.float32))
