"""The forward process, its posterior, and the three ways to say the same thing: x_0, eps and v.

Every function takes arrays of shape (B, ...) and an array ``t`` of shape (B,): whole numbers 1..T,
or real ones above 0, at which ``schedule.levels_at`` says what signal and noise are. Coefficients
are float64; each is cast to the dtype of the data, so that float32 data is computed in float32
(which is how NumPy's own rounding error is measured).
"""

from __future__ import annotations

import autograd.numpy as np

from .schedule import Array, Schedule, Table, levels_at


def q_sample(schedule: Schedule, x_0: Array, t: Array, noise: Array) -> Array:
    """Jump from the data to step t: x_t = sqrt(alpha_bar_t) x_0 + sqrt(1 - alpha_bar_t) noise.

    arXiv 2006.11239, eq. 4. ``x_0`` and ``noise`` have one shape (B, ...), and so has the result.
    Raises ValueError for shapes, dtypes or times that do not fit.
    """
    check_arguments(schedule, t, x_0=x_0, noise=noise)
    signal, sigma = levels_like(schedule, t, x_0)
    return signal * x_0 + sigma * noise


def q_posterior(schedule: Schedule, x_0: Array, x_t: Array, t: Array) -> tuple[Array, Array, Array]:
    """q(x_{t-1} | x_t, x_0) = N(mean, var), arXiv 2006.11239, eqs. 6 and 7.

    Returns ``(mean, var, log_var)``: the mean has the shape of x_0, (B, ...); the variance and its
    logarithm are one number for each image and have shape (B, 1, ..., 1). At t = 1 the mean is x_0,
    the variance 0 and log_var the finite log(1e-20).
    Raises ValueError for shapes, dtypes or times that do not fit.
    """
    check_arguments(schedule, t, x_0=x_0, x_t=x_t)
    if t.dtype.kind == "f":
        raise ValueError(f"t {t!r} is real, and the posterior's tables have whole steps only")
    mean = (
        gather(schedule.posterior_mean_coef_x0, t, x_0) * x_0
        + gather(schedule.posterior_mean_coef_xt, t, x_0) * x_t
    )
    var = gather(schedule.posterior_var, t, x_0)
    return mean, var, gather(schedule.posterior_log_var, t, x_0)


def x0_from_eps(schedule: Schedule, x_t: Array, t: Array, eps: Array) -> Array:
    """Solve eq. 4 for x_0: (x_t - sqrt(1 - alpha_bar_t) eps) / sqrt(alpha_bar_t).

    arXiv 2006.11239, eq. 15. Raises ValueError for shapes, dtypes or times that do not fit, and
    where alpha_bar_t = 0: there x_t = eps, whatever x_0 was.
    """
    check_arguments(schedule, t, x_t=x_t, eps=eps)
    signal, sigma = levels_like(schedule, t, x_t)
    if np.any(signal == 0.0):
        raise ValueError(
            f"t {schedule.T} has alpha_bar = 0 (zero_terminal_snr), where eps does not tell x_0: "
            "pred_noise cannot be used there, use pred_v"
        )
    return (x_t - sigma * eps) / signal


def eps_from_x0(schedule: Schedule, x_t: Array, t: Array, x_0: Array) -> Array:
    """Solve eq. 4 for the noise: (x_t - sqrt(alpha_bar_t) x_0) / sqrt(1 - alpha_bar_t).

    arXiv 2006.11239, eq. 4. Raises ValueError for shapes, dtypes or times that do not fit.
    """
    check_arguments(schedule, t, x_t=x_t, x_0=x_0)
    signal, sigma = levels_like(schedule, t, x_t)
    return (x_t - signal * x_0) / sigma


def v_from_x0(schedule: Schedule, x_0: Array, t: Array, eps: Array) -> Array:
    """The velocity v = sqrt(alpha_bar_t) eps - sqrt(1 - alpha_bar_t) x_0.

    Salimans & Ho, arXiv 2202.00512, appendix D. (x_t, v) is (x_0, eps) turned by an angle, so v
    stays as large as the data at every t. Raises ValueError as ``q_sample`` does.
    """
    check_arguments(schedule, t, x_0=x_0, eps=eps)
    signal, sigma = levels_like(schedule, t, x_0)
    return signal * eps - sigma * x_0


def x0_from_v(schedule: Schedule, x_t: Array, t: Array, v: Array) -> Array:
    """Turn back: x_0 = sqrt(alpha_bar_t) x_t - sqrt(1 - alpha_bar_t) v.

    arXiv 2202.00512, appendix D. Works at alpha_bar_t = 0 too. Raises ValueError as ``q_sample``.
    """
    check_arguments(schedule, t, x_t=x_t, v=v)
    signal, sigma = levels_like(schedule, t, x_t)
    return signal * x_t - sigma * v


def levels_like(schedule: Schedule, t: Array, like: Array) -> tuple[Array, Array]:
    """Signal and noise at t, in the dtype of ``like`` and shaped (B, 1, ..., 1) to multiply it."""
    signal, noise = (
        level.astype(like.dtype).reshape((-1,) + (1,) * (like.ndim - 1))
        for level in levels_at(schedule, t)
    )
    return signal, noise


def gather(table: Table, t: Array, like: Array) -> Array:
    """table[t], in the dtype of ``like`` and shaped (B, 1, ..., 1) to multiply it."""
    column: Array = table[t].astype(like.dtype).reshape((-1,) + (1,) * (like.ndim - 1))
    return column


def check_arguments(schedule: Schedule, t: Array, **arrays: Array) -> None:
    """Raise ValueError unless ``t`` is (B,) times, and the arrays are (B, ...) floats.

    Times are integers in 1..T, or floats above 0 and at most T.
    """
    check_arrays(**arrays)
    if not hasattr(t, "dtype") or t.dtype.kind not in "iuf" or t.ndim != 1:
        raise ValueError(f"t {t!r} is not an array of numbers of shape (B,): use np.full(B, t)")
    least = 1 if t.dtype.kind in "iu" else np.nextafter(0.0, 1.0)
    if t.size and not (t.min() >= least and t.max() <= schedule.T):
        raise ValueError(f"t {t.min()}..{t.max()} is outside 1..{schedule.T} (t = 0 is the data)")
    name, array = next(iter(arrays.items()))
    if array.shape[0] != len(t):
        raise ValueError(
            f"t has {len(t)} entries, {name} has shape {array.shape}: "
            "t needs one entry for each image"
        )


def check_arrays(**arrays: Array) -> None:
    """Raise ValueError unless all are arrays of floats of one shape (B, ...)."""
    first, *_ = arrays
    for name, array in arrays.items():
        if not hasattr(array, "dtype") or array.dtype.kind != "f" or array.ndim < 1:
            raise ValueError(f"{name} is not an array of floats of shape (B, ...): make it one")
        if array.shape != arrays[first].shape:
            raise ValueError(
                f"{name} has shape {array.shape}, {first} has {arrays[first].shape}: "
                "they must be equal"
            )
