"""Samplers as plans: float64 tables made on the host, applied by one compiled device step.

Row i of a plan says ``x <- a x + b x0_hat + c noise``. ``reference/samplers`` states each sampler
as its paper does; here a new sampler is a new table, and no new compiled graph.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import mindspore as ms
import numpy as np
from mindspore import Tensor, ops
from numpy.typing import NDArray

from ...reference.schedule import Schedule
from ..objective import Objective

Table = NDArray[np.float64]


@dataclass(frozen=True)
class Plan:
    """Which steps to take, and what each does.

    Attributes:
        timesteps: (n,) int32, the t that the network sees at each step, descending.
        coefficients: (n, 3) float64, the factors (a, b, c) of x, x0_hat and noise.
    """

    timesteps: NDArray[np.int32]
    coefficients: Table

    def __len__(self) -> int:
        return len(self.timesteps)


def ancestral_plan(schedule: Schedule, timesteps: Sequence[int]) -> Plan:
    """Draw x_s from q(x_s | x_t, x0_hat) at every step (arXiv 2006.11239, algorithm 2)."""
    alpha_bar_t, alpha_bar_s = _alpha_bars(schedule, timesteps)
    alpha = alpha_bar_t / alpha_bar_s
    a = np.sqrt(alpha) * (1.0 - alpha_bar_s) / (1.0 - alpha_bar_t)
    b = np.sqrt(alpha_bar_s) * (1.0 - alpha) / (1.0 - alpha_bar_t)
    c = np.sqrt((1.0 - alpha_bar_s) * (1.0 - alpha) / (1.0 - alpha_bar_t))
    return _plan(timesteps, a, b, c)


def ddim_plan(schedule: Schedule, timesteps: Sequence[int], eta: float) -> Plan:
    """Denoising diffusion implicit models (arXiv 2010.02502, eqs. 12 and 16).

    ``x_s = sqrt(alpha_bar_s) x0_hat + sqrt(1 - alpha_bar_s - sigma^2) eps_hat + sigma noise``, with
    eps_hat = (x_t - sqrt(alpha_bar_t) x0_hat) / sqrt(1 - alpha_bar_t) put in: eps_hat thus always
    belongs to the x0_hat that is used, clipped or not.
    """
    alpha_bar_t, alpha_bar_s = _alpha_bars(schedule, timesteps)
    var = (1.0 - alpha_bar_s) / (1.0 - alpha_bar_t) * (1.0 - alpha_bar_t / alpha_bar_s)
    sigma = eta * np.sqrt(var)
    direction = np.sqrt(np.maximum(1.0 - alpha_bar_s - sigma**2, 0.0))
    a = direction / np.sqrt(1.0 - alpha_bar_t)
    return _plan(timesteps, a, np.sqrt(alpha_bar_s) - a * np.sqrt(alpha_bar_t), sigma)


def _alpha_bars(schedule: Schedule, timesteps: Sequence[int]) -> tuple[Table, Table]:
    steps = np.asarray(timesteps)
    return schedule.alpha_bar[steps], schedule.alpha_bar[np.append(steps[1:], 0)]


def _plan(timesteps: Sequence[int], a: Table, b: Table, c: Table) -> Plan:
    return Plan(np.asarray(timesteps, np.int32), np.stack([a, b, c], axis=1))


def sampling_step(
    model: Callable[..., Tensor], objective: Objective, clip: bool
) -> Callable[..., tuple[Tensor, Tensor]]:
    """The device step: ``(x, t, x0_hat_previous, noise, a, b, c) -> (x, x0_hat)``.

    Shapes: x, x0_hat_previous, noise (B, C, H, W); t (B,) int32; a, b, c scalars.
    """

    def step(
        x: Tensor, t: Tensor, x_self_cond: Tensor, noise: Tensor, a: Tensor, b: Tensor, c: Tensor
    ) -> tuple[Tensor, Tensor]:
        output = model(x, (t - 1).astype(ms.float32), x_self_cond)
        x0_hat = objective.x0_from_output(x, t, output)
        if clip:
            x0_hat = ops.clamp(x0_hat, -1.0, 1.0)
        return a * x + b * x0_hat + c * noise, x0_hat

    return step


def run_plan(
    step: Callable[..., tuple[Tensor, Tensor]],
    plan: Plan,
    x_T: NDArray[np.float32],
    noise: Callable[[int], NDArray[np.float32]],
    on_step: Callable[[], None] = lambda: None,
    states: list[NDArray[np.float32]] | None = None,
) -> NDArray[np.float32]:
    """Apply a plan to x_T (B, C, H, W); ``noise(i)`` draws the i-th step's, only where c_i > 0.

    ``states``: each step adds the x that it led to.
    """
    x = Tensor(x_T)
    zeros = ops.zeros_like(x)
    x0_hat = zeros
    for i, t in enumerate(plan.timesteps):
        a, b, c = (Tensor(value, ms.float32) for value in plan.coefficients[i])
        drawn = Tensor(noise(i)) if plan.coefficients[i, 2] > 0.0 else zeros
        times = Tensor(np.full(len(x_T), t, np.int32))
        x, x0_hat = step(x, times, x0_hat, drawn, a, b, c)
        if states is not None:
            states.append(x.asnumpy())
        on_step()
    return np.asarray(x.asnumpy())
