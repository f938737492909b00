"""How much noise at each step: beta, alpha, alpha_bar and what follows from them, for t = 0..T.

Time is the paper's (Ho et al. 2020, arXiv 2006.11239): step t = 1..T adds noise of variance beta_t,
and t = 0 is the data. Every table has T + 1 entries and ``alpha_bar[0] = 1``, so that no formula
needs a special case for the last step of sampling. All of it is float64, computed once.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import expit

from .config.diffusion import SCHEDULES as SCHEDULES
from .plain import check_choice

Array: TypeAlias = NDArray[Any]
Table: TypeAlias = NDArray[np.float64]

MAX_BETA = 0.999
"""No step may destroy everything; Nichol & Dhariwal's value (arXiv 2102.09672, section 3.2)."""


@dataclass(frozen=True, eq=False)
class Schedule:
    """Read-only float64 tables of shape (T + 1,), index t = 0..T.

    Attributes:
        name: the rule that the betas follow.
        T: number of noising steps.
        beta: beta_t, the variance that step t adds; beta[0] = 0.
        alpha: alpha_t = 1 - beta_t.
        alpha_bar: alpha_1 * ... * alpha_t; alpha_bar[0] = 1.
        sqrt_alpha_bar: what is left of x_0 in x_t (2006.11239, eq. 4).
        sqrt_one_minus_alpha_bar: the standard deviation of the noise in x_t.
        snr: alpha_bar / (1 - alpha_bar), the signal-to-noise ratio; snr[0] = inf.
        posterior_mean_coef_x0, posterior_mean_coef_xt, posterior_var: q(x_{t-1} | x_t, x_0)
            (2006.11239, eqs. 6 and 7). Entry 0 is never read.
        posterior_log_var: log(max(posterior_var, 1e-20)), finite at t = 1 where the variance is 0.
    """

    name: str
    T: int
    beta: Table
    alpha: Table
    alpha_bar: Table
    sqrt_alpha_bar: Table
    sqrt_one_minus_alpha_bar: Table
    snr: Table
    posterior_mean_coef_x0: Table
    posterior_mean_coef_xt: Table
    posterior_var: Table
    posterior_log_var: Table

    @property
    def zero_terminal_snr(self) -> bool:
        """Whether x_T is pure noise: alpha_bar[T] is exactly 0."""
        return bool(self.alpha_bar[self.T] == 0.0)


def linear_beta(T: int) -> Table:
    """beta_1..beta_T rising linearly: 1e-4 to 0.02 at T = 1000 (2006.11239, section 4).

    For another T both ends are multiplied by 1000 / T, so that x_T is about equally noisy. For
    T <= 20 that rule asks for beta >= 1, which is no variance of a step that keeps anything of its
    input: such entries become 0.999. T = 1 has the rule's first value, 0.1.

    Returns a float64 array of shape (T,). Raises ValueError unless T is an integer >= 1.
    """
    T = _check_T(T)
    scale = 1000 / T
    return np.minimum(np.linspace(scale * 1e-4, scale * 0.02, T), MAX_BETA)


def cosine_beta(T: int) -> Table:
    """beta_1..beta_T with alpha_bar_t = f(t) / f(0), f(t) = cos^2((t/T + s) / (1 + s) * pi/2).

    arXiv 2102.09672, eq. 17, with s = 0.008, and beta at most 0.999 (alpha_bar_T would be 0).

    Returns a float64 array of shape (T,). Raises ValueError unless T is an integer >= 1.
    """
    s = 0.008
    u = np.linspace(0.0, 1.0, _check_T(T) + 1)
    return _beta_from_alpha_bar(np.cos((u + s) / (1 + s) * np.pi / 2) ** 2)


def sigmoid_beta(T: int) -> Table:
    """beta_1..beta_T with alpha_bar_t falling like a sigmoid between -3 and 3.

    arXiv 2212.11972, algorithm 1 (start -3, end 3, tau 1): alpha_bar_t =
    (sigmoid(3) - sigmoid(6 t/T - 3)) / (sigmoid(3) - sigmoid(-3)), and beta at most 0.999.

    Returns a float64 array of shape (T,). Raises ValueError unless T is an integer >= 1.
    """
    u = np.linspace(0.0, 1.0, _check_T(T) + 1)
    return _beta_from_alpha_bar(expit(3.0) - expit(6.0 * u - 3.0))


def scaled_linear_beta(T: int) -> Table:
    """beta_1..beta_T whose roots rise linearly: 0.00085 to 0.012 at T = 1000, for latents.

    Rombach et al. 2022 (arXiv 2112.10752), of whose published models these numbers are. For
    another T both ends are multiplied by 1000 / T, and beta is at most 0.999 (``linear_beta``).

    Returns a float64 array of shape (T,). Raises ValueError unless T is an integer >= 1.
    """
    T = _check_T(T)
    roots = np.linspace(np.sqrt(1000 / T * 0.00085), np.sqrt(1000 / T * 0.012), T)
    beta: Table = np.minimum(roots * roots, MAX_BETA)
    return beta


_RULES: dict[str, Callable[[int], Table]] = dict(
    zip(SCHEDULES, (linear_beta, cosine_beta, sigmoid_beta, scaled_linear_beta), strict=True)
)


def make_schedule(name: str, T: int, *, zero_terminal_snr: bool = False) -> Schedule:
    """The tables of one schedule.

    Args:
        name: "linear", "cosine", "sigmoid" or "scaled_linear".
        T: number of steps, an integer >= 1.
        zero_terminal_snr: rescale so that alpha_bar[T] is exactly 0 (arXiv 2305.08891,
            algorithm 1): x_T is then pure noise, as sampling assumes. The network cannot predict
            eps there, because x_T = eps says nothing about x_0: use pred_v or pred_x0.

    Raises ValueError for an unknown name or a T that is no integer >= 1.
    """
    check_choice("beta_schedule", name, SCHEDULES)
    beta = np.concatenate([[0.0], _RULES[name](T)])
    alpha = 1.0 - beta
    alpha_bar = np.cumprod(alpha)
    if zero_terminal_snr:
        alpha_bar = _rescale_to_zero_terminal_snr(alpha_bar)
        alpha = np.concatenate([[1.0], alpha_bar[1:] / alpha_bar[:-1]])
        beta = 1.0 - alpha
    with np.errstate(divide="ignore"):
        snr = alpha_bar / (1.0 - alpha_bar)
    posterior = posterior_coefficients(alpha_bar[1:], alpha_bar[:-1])
    coef_x0, coef_xt, var = (np.concatenate([[0.0], entries]) for entries in posterior)
    tables = {
        "beta": beta,
        "alpha": alpha,
        "alpha_bar": alpha_bar,
        "sqrt_alpha_bar": np.sqrt(alpha_bar),
        "sqrt_one_minus_alpha_bar": np.sqrt(1.0 - alpha_bar),
        "snr": snr,
        "posterior_mean_coef_x0": coef_x0,
        "posterior_mean_coef_xt": coef_xt,
        "posterior_var": var,
        "posterior_log_var": np.log(np.maximum(var, 1e-20)),
    }
    for table in tables.values():
        table.flags.writeable = False
    return Schedule(name=name, T=int(T), **tables)


def posterior_coefficients(alpha_bar_t: Table, alpha_bar_s: Table) -> tuple[Table, Table, Table]:
    """Of q(x_s | x_t, x_0), s < t: the factors of x_0 and x_t in its mean, and its variance.

    With alpha_{t|s} = alpha_bar_t / alpha_bar_s (for s = t - 1 this is alpha_t, and the formulas
    are 2006.11239, eq. 7):

        mean = sqrt(alpha_bar_s) (1 - alpha_{t|s}) / (1 - alpha_bar_t) x_0
             + sqrt(alpha_{t|s}) (1 - alpha_bar_s) / (1 - alpha_bar_t) x_t
        var  = (1 - alpha_{t|s}) (1 - alpha_bar_s) / (1 - alpha_bar_t)

    At s = 0 they are exactly 1, 0 and 0: x_0 itself.
    """
    alpha_ts = alpha_bar_t / alpha_bar_s
    coef_x0 = np.sqrt(alpha_bar_s) * (1.0 - alpha_ts) / (1.0 - alpha_bar_t)
    coef_xt = np.sqrt(alpha_ts) * (1.0 - alpha_bar_s) / (1.0 - alpha_bar_t)
    var = (1.0 - alpha_ts) * (1.0 - alpha_bar_s) / (1.0 - alpha_bar_t)
    return coef_x0, coef_xt, var


def levels_at(schedule: Schedule, t: ArrayLike) -> tuple[Table, Table]:
    """Signal and noise at any time from 0 to T: x_t = signal x_0 + noise eps.

    At whole t they are sqrt(alpha_bar_t) and sqrt(1 - alpha_bar_t) (2006.11239, eq. 4), as the
    tables have them. (signal, noise) is a point on the unit circle; between two whole times its
    angle, arctan(noise / signal), grows linearly with t, which is defined at both ends, where
    log-ratios are not.

    Args:
        t: whole or real numbers of any shape.

    Returns two float64 arrays of the shape of ``t``. Raises ValueError for a t outside 0..T.
    """
    times = np.asarray(t)
    if times.size and not (times.min() >= 0 and times.max() <= schedule.T):
        raise ValueError(f"t {times.min()}..{times.max()} is outside 0..{schedule.T}")
    whole = np.rint(times).astype(np.int64)
    signal, noise = schedule.sqrt_alpha_bar[whole], schedule.sqrt_one_minus_alpha_bar[whole]
    between = times != whole
    if np.any(between):
        below = np.minimum(np.floor(times).astype(np.int64), schedule.T - 1)
        angles, share = _angles(schedule), times - below
        angle = (1.0 - share) * angles[below] + share * angles[below + 1]
        signal = np.where(between, np.cos(angle), signal)
        noise = np.where(between, np.sin(angle), noise)
    return signal, noise


def log_snr_at(schedule: Schedule, t: ArrayLike) -> Table:
    """lambda = log(signal / noise), half the logarithm of the signal-to-noise ratio, at any time.

    Solvers step in it (arXiv 2206.00927, section 3.1). inf at t = 0; -inf where no signal is left.
    Shapes and errors are those of ``levels_at``.
    """
    signal, noise = levels_at(schedule, t)
    with np.errstate(divide="ignore"):
        ratio: Table = np.log(signal) - np.log(noise)
    return ratio


def time_of(schedule: Schedule, log_snr: ArrayLike) -> Table:
    """The time at which lambda = log(signal / noise) has this value: the inverse of ``log_snr_at``.

    Real numbers in [0, T], float64, of the shape of ``log_snr``; beyond the schedule's own values
    its nearest end.
    """
    with np.errstate(over="ignore"):
        angle = np.arctan(np.exp(-np.asarray(log_snr, np.float64)))
    time: Table = np.asarray(np.interp(angle, _angles(schedule), np.arange(schedule.T + 1.0)))
    return time


@lru_cache(maxsize=64)
def _angles(schedule: Schedule) -> Table:
    """arctan(noise / signal) at t = 0..T, rising from 0 to at most pi / 2."""
    angles: Table = np.arctan2(schedule.sqrt_one_minus_alpha_bar, schedule.sqrt_alpha_bar)
    return angles


def spaced_timesteps(T: int, n: int) -> tuple[int, ...]:
    """n timesteps for sampling, spread evenly over 1..T, descending from T: floor(i T / n).

    The step after the last one is t = 0. With n = T this is T, T - 1, ..., 1.

    Raises ValueError unless 1 <= n <= T.
    """
    T = _check_T(T)
    if not _is_integer(n) or not 1 <= n <= T:
        raise ValueError(f"n {n!r} is not a number of timesteps: choose an integer from 1 to {T}")
    return tuple(i * T // int(n) for i in range(int(n), 0, -1))


def _is_integer(value: object) -> bool:
    return isinstance(value, (int, np.integer)) and not isinstance(value, bool)


def _check_T(T: int) -> int:
    if not _is_integer(T) or T < 1:
        raise ValueError(f"T {T!r} is not a number of steps: choose an integer of at least 1")
    return int(T)


def _beta_from_alpha_bar(alpha_bar: Table) -> Table:
    """beta_t = 1 - alpha_bar_t / alpha_bar_{t-1}, at most 0.999; the scale of alpha_bar is free."""
    return np.minimum(1.0 - alpha_bar[1:] / alpha_bar[:-1], MAX_BETA)


def _rescale_to_zero_terminal_snr(alpha_bar: Table) -> Table:
    """2305.08891, algorithm 1: shift sqrt(alpha_bar) to end at 0, scale it to keep its t = 1.

    With T = 1 the two wishes contradict each other, and the end wins: alpha_bar = (1, 0).
    """
    root = np.sqrt(alpha_bar)
    first, last = root[1], root[-1]
    scale = first / (first - last) if len(root) > 2 else 1.0
    return np.concatenate([[1.0], ((root[1:] - last) * scale) ** 2])
