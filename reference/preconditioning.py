"""Objectives that are stated on another path than x_t = signal x_0 + noise eps.

Each of them is the same process in another scale, so that all samplers serve all of them:

    flow matching   x_t / (signal + noise) = (1 - s) x_0 + s eps,  s = noise / (signal + noise)
    EDM             x_t / signal           = x_0 + sigma eps,      sigma = noise / signal

The network sees x_t in the scale of its objective. The time that it is told is the same for all,
t - 1, for which its embedding was made: s and sigma are functions of it, as is EDM's
c_noise = log(sigma) / 4.
"""

from __future__ import annotations

import autograd.numpy as np

from .config.diffusion import SIGMA_DATA
from .schedule import Array, Schedule, Table, levels_at

LEAST_S = 0.05
"""The velocity divides by s, which is taken to be at least this (as 2511.13720 clips it)."""


def network_input(
    schedule: Schedule, objective: str, x_t: Array, t: Array, sigma_data: float = SIGMA_DATA
) -> Array:
    """x_t as the network sees it, of the shape of ``x_t``, (B, ...).

    flow and x0_v_loss: the point (1 - s) x_0 + s eps of the straight path. edm: c_in x (2206.00364,
    table 1), x = x_0 + sigma eps, which has variance 1 where the data has sigma_data^2. Else x_t.
    """
    signal, noise = levels_at(schedule, t)
    if objective in ("flow", "x0_v_loss"):
        return x_t / like(signal + noise, x_t)
    if objective == "edm":
        c_in = 1.0 / np.sqrt((noise / signal) ** 2 + sigma_data**2)
        return like(c_in / signal, x_t) * x_t
    return x_t


def s_at(schedule: Schedule, t: Array) -> Table:
    """How far on the straight path from data to noise: s = noise / (signal + noise), in [0, 1]."""
    signal, noise = levels_at(schedule, t)
    return noise / (signal + noise)


def sigma_at(schedule: Schedule, t: Array) -> Table:
    """How much noise is on the data: sigma = noise / signal."""
    signal, noise = levels_at(schedule, t)
    return noise / signal


def x0_from_flow(schedule: Schedule, x_t: Array, t: Array, u: Array) -> Array:
    """Go back along the straight path: x_0 = x_s - s u, with u = eps - x_0.

    arXiv 2209.03003, eq. 1, where time runs the other way; 2210.02747, eq. 23 with sigma_min = 0.
    """
    x_s = network_input(schedule, "flow", x_t, t)
    return x_s - like(s_at(schedule, t), x_t) * u


def edm_target(schedule: Schedule, x_0: Array, t: Array, eps: Array, sigma_data: float) -> Array:
    """(x_0 - c_skip x) / c_out, with x = x_0 + sigma eps (2206.00364, eq. 8)."""
    c_skip, c_out = skip_and_out(sigma_at(schedule, t), sigma_data)
    x = x_0 + like(sigma_at(schedule, t), x_0) * eps
    return (x_0 - like(c_skip, x_0) * x) / like(c_out, x_0)


def x0_from_edm(
    schedule: Schedule, x_t: Array, t: Array, output: Array, sigma_data: float
) -> Array:
    """c_skip x + c_out output, with x = x_t / signal (2206.00364, eq. 7)."""
    c_skip, c_out = skip_and_out(sigma_at(schedule, t), sigma_data)
    signal, _ = levels_at(schedule, t)
    return like(c_skip / signal, x_t) * x_t + like(c_out, x_t) * output


def skip_and_out(sigma: Table, sigma_data: float) -> tuple[Table, Table]:
    """c_skip and c_out (2206.00364, table 1): input and target both have variance 1."""
    total = sigma**2 + sigma_data**2
    return sigma_data**2 / total, sigma * sigma_data / np.sqrt(total)


def like(factor: Table, x: Array) -> Array:
    """A factor of each item, in the dtype of ``x`` and shaped (B, 1, ..., 1) to multiply it."""
    shaped: Array = factor.astype(x.dtype).reshape((-1,) + (1,) * (x.ndim - 1))
    return shaped
