"""Average velocities: one step where a flow takes many (MeanFlow, arXiv 2505.13447).

The path is straight: z_t = (1 - t) x_0 + t eps, with t from 0, the data, to 1, the noise. On it

    v(z, t)    = E[eps - x_0 | z_t = z]                   how fast one moves now
    u(z, r, t) = 1 / (t - r) integral_r^t v(z_s, s) ds    the average along the flow through z at t

so that z_r = z_t - (t - r) u (eqs. 3 and 12). For a Gaussian N(mean, sd^2) both are formulas; all
arrays broadcast, and times are numbers.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import autograd.numpy as np
from autograd.differential_operators import make_jvp
from numpy.typing import ArrayLike

from .schedule import Array

Average: TypeAlias = Callable[[Array, float, float], Array]


def jump(z_t: Array, u: Array, r: float, t: float) -> Array:
    """z_r = z_t - (t - r) u(z_t, r, t): all of the way from t to r (eq. 12).

    Raises ValueError unless 0 <= r < t <= 1, as every function here that is given both.
    """
    _check(r, t)
    z_r: Array = z_t - (t - r) * u
    return z_r


def target(v: Array, du_dt: Array, r: float, t: float) -> Array:
    """v - (t - r) du/dt, which is u where u is the average velocity (eq. 6): what u learns from."""
    _check(r, t)
    wanted: Array = v - (t - r) * du_dt
    return wanted


def along(u: Average, z_t: Array, v: Array, r: float, t: float) -> Array:
    """du/dt = v du/dz + du/dt at fixed z (eq. 8): the change of u(z_t, r, t) for who moves with v.

    One derivative in one direction, for which ``u`` is called once, with autograd's arrays.
    """
    _check(r, t)
    _, changed = make_jvp(lambda s: u(z_t + s * v, r, t + s))(0.0)(1.0)
    du_dt: Array = np.asarray(changed)
    return du_dt


def spread(sd: ArrayLike, t: float) -> Array:
    """The standard deviation of z_t: sqrt((1 - t)^2 sd^2 + t^2)."""
    sigma: Array = np.sqrt((1.0 - t) ** 2 * np.asarray(sd) ** 2 + t**2)
    return sigma


def velocity(mean: ArrayLike, sd: ArrayLike, z_t: Array, t: float) -> Array:
    """v(z_t, t) of N(mean, sd^2): -mean + (t - (1 - t) sd^2) (z_t - (1 - t) mean) / spread^2."""
    pull = (t - (1.0 - t) * np.asarray(sd) ** 2) / spread(sd, t) ** 2
    v: Array = pull * (z_t - (1.0 - t) * np.asarray(mean)) - mean
    return v


def average_velocity(mean: ArrayLike, sd: ArrayLike, z_t: Array, r: float, t: float) -> Array:
    """u(z_t, r, t) of N(mean, sd^2): on the flow each keeps its number of standard deviations."""
    _check(r, t)
    deviations = (z_t - (1.0 - t) * np.asarray(mean)) / spread(sd, t)
    z_r = (1.0 - r) * np.asarray(mean) + spread(sd, r) * deviations
    u: Array = (z_t - z_r) / (t - r)
    return u


def _check(r: float, t: float) -> None:
    if not 0.0 <= r < t <= 1.0:
        raise ValueError(f"r {r} and t {t} must be 0 <= r < t <= 1: from t back to r")
