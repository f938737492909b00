"""The variational bound: how many nats it takes to describe an image, and learned variances.

-log p(x_0) <= L_T + ... + L_0 (arXiv 2006.11239, eq. 5), where each step back is a Gaussian
p(x_{t-1} | x_t). Its mean is the posterior's with x0_hat in place of x_0. Its variance is fixed, or
learned, one for each value, between the two that are right for extreme data (arXiv 2102.09672,
eq. 15):

    log var = share log beta_t + (1 - share) log beta_tilde_t
"""

from __future__ import annotations

import math
from collections.abc import Callable

import autograd.numpy as np
from autograd.extend import defvjp, primitive
from scipy import special

from .process import check_arguments, check_arrays, gather, q_sample
from .schedule import Array, Schedule, Table

LEVELS = 256
"""Grey levels of 8-bit images, from -1 to 1."""


def halves(output: Array, like: Array) -> tuple[Array, Array | None]:
    """A network's output as what it predicts, shaped as ``like``, and what tells the variances.

    With a learned variance it has twice the channels, (B, 2 C, ...), of which the first C are the
    prediction; without, the second is None.
    """
    channels = like.shape[1]
    if output.shape[1] == channels:
        return output, None
    return output[:, :channels], output[:, channels:]


def share_of(raw: Array) -> Array:
    """The share of log beta in log var: (raw + 1) / 2 of the network's second half, any number.

    The paper leaves it unbounded; its code, too, takes -1 for beta_tilde and 1 for beta.
    """
    share: Array = (raw + 1.0) / 2.0
    return share


def log_variances(schedule: Schedule) -> tuple[Table, Table]:
    """log beta_tilde_t and log beta_t, the two ends: float64 (T + 1,); entry 0 is never read.

    beta_tilde is the posterior's variance. At t = 1, where that is 0, the first entry is the one of
    t = 2, as in the paper's code (of a chain of one step, log beta_1).
    """
    lowest = schedule.posterior_log_var.copy()
    highest = np.log(np.maximum(schedule.beta, 1e-20))
    lowest[1] = lowest[2] if schedule.T > 1 else highest[1]
    return lowest, highest


def log_var(schedule: Schedule, t: Array, share: Array) -> Array:
    """share log beta_t + (1 - share) log beta_tilde_t (arXiv 2102.09672, eq. 15).

    ``share``: floats (B, ...), one for each value. Raises ValueError for shapes, dtypes or times
    that do not fit.
    """
    check_arguments(schedule, t, share=share)
    _check_whole(t)
    lowest, highest = (gather(table, t, share) for table in log_variances(schedule))
    found: Array = share * highest + (1.0 - share) * lowest
    return found


def vlb_prior(schedule: Schedule, x_0: Array) -> Array:
    """L_T = KL(q(x_T | x_0) || N(0, I)) in nats, shape (B,): what the chain's end gives away.

    arXiv 2006.11239, eq. 5. With a = alpha_bar_T it is the sum of (a x_0^2 - a - log(1 - a)) / 2.
    Raises ValueError unless x_0 is an array of floats of shape (B, ...).
    """
    check_arrays(x_0=x_0)
    a = float(schedule.alpha_bar[schedule.T])
    return _sum_each(0.5 * (a * x_0**2 - (a + math.log1p(-a))))


def vlb_kl(
    schedule: Schedule, x_0: Array, t: Array, x0_hat: Array, log_var: Array | None = None
) -> Array:
    """L_{t-1} = KL(q(x_{t-1} | x_t, x_0) || p(x_{t-1} | x_t)) in nats, shape (B,), for t >= 2.

    arXiv 2006.11239, eqs. 5 and 8. With r = log var - log beta_tilde_t it is the sum of

        (r + exp(-r) - 1 + exp(-r) (difference of the means)^2 / beta_tilde_t) / 2

    in which x_t has gone out of the difference of the means.

    Args:
        x_0, x0_hat: of one shape (B, ...).
        log_var: logarithm of the variance of p, shaped to go with x_0 (default: r = 0, the
            posterior's variance).

    Raises ValueError for shapes, dtypes or times that do not fit; at t = 1 see ``vlb_decoder``.
    """
    check_arguments(schedule, t, x_0=x_0, x0_hat=x0_hat)
    _check_whole(t)
    if np.any(t == 1):
        raise ValueError("t 1 has no KL term (its posterior is a point): use vlb_decoder there")
    difference = gather(schedule.posterior_mean_coef_x0, t, x_0) * (x_0 - x0_hat)
    square = difference**2 / gather(schedule.posterior_var, t, x_0)
    if log_var is None:
        return _sum_each(square / 2.0)
    r = log_var - gather(schedule.posterior_log_var, t, x_0)
    return _sum_each((r + np.expm1(-r) + np.exp(-r) * square) / 2.0)


def vlb_decoder(
    schedule: Schedule,
    x_0: Array,
    x0_hat: Array,
    levels: int = LEVELS,
    log_var: Array | None = None,
) -> Array:
    """L_0 = -log p(x_0 | x_1) in nats, shape (B,): the price of the last step to whole levels.

    arXiv 2006.11239, eq. 13: each value of x_0 is one of ``levels`` from -1 to 1, and its
    probability is what N(x0_hat, var) puts on the bin around it; the two outermost bins are open
    to infinity, so that the probabilities sum to 1.

    Args:
        x_0: shape (B, ...), on the grid: 2 * level / (levels - 1) - 1.
        x0_hat: the estimate at t = 1 (there it is the mean of p(x_0 | x_1)); of the same shape.
        levels: at least 2.
        log_var: logarithm of the variance, shaped to go with x_0 (default: of beta_1).

    Raises ValueError for values off the grid and for shapes or dtypes that do not fit.
    """
    check_arrays(x_0=x_0, x0_hat=x0_hat)
    if levels < 2:
        raise ValueError(f"levels {levels} is less than 2: use 256 for 8-bit images")
    level = (x_0 + 1.0) * (levels - 1) / 2.0
    if np.any(np.abs(level - np.clip(np.round(level), 0, levels - 1)) > 1e-2):
        raise ValueError(f"x_0 is not on the grid of {levels} levels from -1 to 1: round it first")
    return _decoder(schedule, x_0, x0_hat, levels, log_var)


def vlb_term(
    schedule: Schedule, x_0: Array, t: Array, x0_hat: Array, log_var: Array | None = None
) -> Array:
    """L_{t-1} in nats at each item's own t, shape (B,): ``vlb_decoder`` at t = 1, else ``vlb_kl``.

    Values of x_0 that are none of 256 levels count with the bin around themselves. ``log_var``:
    shaped as x_0. The derivative by it is the one that is used; x0_hat counts as given.
    """
    check_arguments(schedule, t, x_0=x_0, x0_hat=x0_hat)
    last = t == 1

    def part(x: Array | None, which: Array) -> Array | None:
        return None if x is None else x[which]

    decoder = _decoder(schedule, x_0[last], x0_hat[last], LEVELS, part(log_var, last))
    kl = vlb_kl(schedule, x_0[~last], t[~last], x0_hat[~last], part(log_var, ~last))
    place = np.argsort(np.argsort(~last, kind="stable"))
    terms: Array = np.concatenate((decoder, kl))[place]
    return terms


def variational_bound(
    schedule: Schedule,
    predict: Callable[[Array, Array], tuple[Array, Array | None]],
    x_0: Array,
    noise: Array,
) -> Array:
    """L_T + ... + L_0 in nats, shape (B,), by one draw of x_t for each t.

    Args:
        predict: (x_t, t) to x0_hat and the logarithm of its step's variance, or None.
        x_0: (B, ...), on the grid of 256 levels.
        noise: (T, B, ...), noise[t - 1] of x_t.
    """
    total = vlb_prior(schedule, x_0)
    for t in range(1, schedule.T + 1):
        times = np.full(len(x_0), t)
        x0_hat, variance = predict(q_sample(schedule, x_0, times, noise[t - 1]), times)
        total = total + vlb_term(schedule, x_0, times, x0_hat, variance)
    return total


def bits_per_dim(nats: Array, dims: int) -> Array:
    """Nats for a whole image to bits for each of its ``dims`` values: nats / (dims log 2)."""
    if dims < 1:
        raise ValueError(f"dims {dims} is not a number of values: use channels * height * width")
    return nats / (dims * math.log(2.0))


@primitive  # type: ignore[untyped-decorator]
def log_ndtr(x: Array) -> Array:
    """The logarithm of the standard normal distribution function, exact far out in both tails."""
    value: Array = special.log_ndtr(x)
    return value


def _slope(x: Array) -> Array:
    """Its derivative, the density over the distribution function: sqrt(2/pi) / erfcx(-x/sqrt 2)."""
    slope: Array = math.sqrt(2.0 / math.pi) / special.erfcx(-x / math.sqrt(2.0))
    return slope


defvjp(log_ndtr, lambda value, x: lambda g: g * _slope(x))


def _decoder(
    schedule: Schedule, x_0: Array, x0_hat: Array, levels: int, log_var: Array | None
) -> Array:
    """``vlb_decoder`` with the bin around each value, wherever it lies.

    Each bin is mirrored to the left of the mean, where the logarithm of the distribution function
    keeps its digits, and log(P(b) - P(a)) = log P(b) + log(1 - exp(log P(a) - log P(b))), of which
    an open bin has no second part.
    """
    sigma = math.sqrt(schedule.beta[1]) if log_var is None else np.exp(0.5 * log_var)
    half, difference = 1.0 / (levels - 1), x_0 - x0_hat
    lowest, highest = x_0 < half - 1.0, x_0 > 1.0 - half
    away = np.where(lowest, -difference, np.where(highest, difference, np.abs(difference)))
    closed = (~(lowest | highest)).astype(x_0.dtype)
    high = log_ndtr((half - away) / sigma)
    ratio = log_ndtr((-half - away) / sigma) - high
    return -_sum_each(high + np.log((1.0 - closed) - closed * np.expm1(ratio)))


def _check_whole(t: Array) -> None:
    if t.dtype.kind == "f":
        raise ValueError(f"t {t!r} is real, and the steps of the bound are whole: 1..T")


def _sum_each(values: Array) -> Array:
    sums: Array = np.sum(values, axis=tuple(range(1, values.ndim)))
    return sums
