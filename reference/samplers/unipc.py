"""UniPC: each step is predicted from the estimates before, and corrected by the one it leads to.

Zhao et al. 2023, arXiv 2302.04867, algorithms 5 to 8 (data prediction).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from ..config.samplers import VARIANTS
from ..plain import check_choice
from ..schedule import Array, Schedule
from .common import Denoiser, Level, check_inputs, estimate, first_order, walk_down

ORDERS = (2, 3)


def sample(
    schedule: Schedule,
    predict_x0: Denoiser,
    x_T: Array,
    *,
    timesteps: Sequence[float],
    noise: Array | None = None,
    clip: bool = False,
    order: int = 2,
    variant: str = "bh2",
) -> Array:
    """Walk from x_T to x_0 with one evaluation a step: UniP-order, and UniC-order on it.

    With lambda = log(signal / noise), h = lambda_s - lambda_t, and the estimates m_0 at t and m_1,
    m_2 .. before it, at lambda_t + r_k h, the predictor is

        x_s = noise_s / noise_t x_t - signal_s (exp(-h) - 1) m_0
            - signal_s B(h) sum over k of a_k (m_k - m_0) / r_k

    The corrector is the same with the estimate at the predicted x_s as one more, r = 1, and its
    x_s is what the next step starts from; nothing is evaluated there again. ``weights`` has a. As
    many estimates are used as there are; on the way to t = 0 (h is infinite), and from where no
    signal is left, the step is of first order, and not corrected.

    Args: as of ``ancestral.sample``; ``noise`` is not read.
        order: how many estimates the predictor uses, 2 or 3.
        variant: "bh1", B(h) = -h, or "bh2", B(h) = exp(-h) - 1. They differ where ``weights`` does
            not solve its equations.

    Returns x_0, of the shape of x_T. Raises ValueError for arguments that do not fit.
    """
    check_order(order)
    check_choice("variant", variant, VARIANTS)
    walk = walk_down(schedule, timesteps)
    check_inputs(x_T, noise, len(walk))
    x, history = x_T, list[tuple[Level, Array]]()
    start: Array | None = None  # of the step that led here, where it can be corrected
    for t, s in walk:
        x0_hat = estimate(predict_x0, x, t.t, clip)
        if start is not None:
            nodes = [(t, x0_hat), *history[1:]]
            x = _step(start, *history[0], nodes, t, variant)
        history = [(t, x0_hat), *history][:order]
        if s.t == 0 or t.signal == 0.0:
            x, history, start = first_order(x, x0_hat, t, s), [], None
        else:
            start, x = x, _step(x, t, x0_hat, history[1:], s, variant)
    return x


def _step(
    x: Array,
    t: Level,
    m_0: Array,
    others: Sequence[tuple[Level, Array]],
    s: Level,
    variant: str,
) -> Array:
    """From x at t, where m_0 was estimated, to s, by other estimates too."""
    h = s.log_snr - t.log_snr
    moved = s.noise / t.noise * x - s.signal * math.expm1(-h) * m_0
    for weight, (_, m) in zip(
        weights(t, s, [at for at, _ in others], variant), others, strict=True
    ):
        moved = moved - s.signal * weight * (m - m_0)
    return moved


def weights(t: Level, s: Level, others: Sequence[Level], variant: str) -> tuple[float, ...]:
    """B(h) a_k / r_k for each of the other estimates; of host numbers alone.

    a solves R a = b (2302.04867, eq. 8): the k-th row of R has r^(k-1), and with h' = -h and
    phi_{k+1} = (phi_k - 1/k!) / h', phi_1 = (exp(h') - 1) / h', b_k is k! h' phi_{k+1} / B(h). One
    estimate alone is given a = 1/2, which is of the same order (section 3.3), as the paper's own
    experiments do.
    """
    h = -(s.log_snr - t.log_snr)
    B = h if variant == "bh1" else math.expm1(h)
    r = np.array([(at.log_snr - t.log_snr) / -h for at in others])
    if not others:
        return ()
    if len(others) == 1:
        return (0.5 * B / float(r[0]),)
    phi, b = math.expm1(h) / h, []
    for k in range(1, len(others) + 1):
        phi = (phi - 1.0 / math.factorial(k)) / h
        b.append(math.factorial(k) * h * phi / B)
    a = np.linalg.solve(np.stack([r**k for k in range(len(others))]), b)
    return tuple(map(float, B * a / r))


def check_order(order: int) -> None:
    """Raise ValueError unless there is a UniPC of this order here."""
    if order not in ORDERS:
        raise ValueError(f"order {order} of sampler 'unipc' is unknown: choose 2 or 3")
