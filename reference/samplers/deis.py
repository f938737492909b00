"""DEIS: the flow's exponential integrator with a polynomial in t through the last noises.

Zhang & Chen 2022, arXiv 2204.13902: tAB-DEIS, eqs. 14 and 15.
"""

from __future__ import annotations

from collections.abc import Sequence

from ..schedule import Array, Schedule
from .common import Denoiser, Level, check_inputs, eps_of, estimate, first_order, walk_down
from .polynomial import sigma_weights

ORDERS = (1, 2, 3)


def sample(
    schedule: Schedule,
    predict_x0: Denoiser,
    x_T: Array,
    *,
    timesteps: Sequence[float],
    noise: Array | None = None,
    clip: bool = False,
    order: int = 3,
) -> Array:
    """Walk from x_T to x_0, with one evaluation a step.

    In sigma = noise / signal the flow is d (x / signal) = eps d sigma, and each step from t to s is

        x_s = signal_s (x_t / signal_t + sum over j of C_j eps_hat_j)
        C_j = integral from t to s of the j-th Lagrange polynomial in t, over d sigma

    with the last ``order`` estimates of the noise, of which the first steps have fewer; order 1 is
    DDIM. The paper names the polynomial's degree: order 3 is its tAB2. Nothing is infinite at
    t = 0: the last step is like the others. One from where no signal is left is of first order.

    Args: as of ``ancestral.sample``; ``noise`` is not read.
        order: how many estimates are used, 1 to 3.

    Returns x_0, of the shape of x_T. Raises ValueError for arguments that do not fit.
    """
    check_order(order)
    walk = walk_down(schedule, timesteps)
    check_inputs(x_T, noise, len(walk))
    x, history = x_T, list[tuple[Level, Array]]()
    for t, s in walk:
        x0_hat = estimate(predict_x0, x, t.t, clip)
        history = [(t, eps_of(x, x0_hat, t)), *history][:order]
        if t.signal == 0.0:
            x = first_order(x, x0_hat, t, s)
            continue
        factors = sigma_weights(schedule, [at.t for at, _ in history], t.t, s.t)
        moved = x / t.signal
        for factor, (_, eps) in zip(factors, history, strict=True):
            moved = moved + factor * eps
        x = s.signal * moved
    return x


def check_order(order: int) -> None:
    """Raise ValueError unless there is a DEIS of this order here."""
    if order not in ORDERS:
        raise ValueError(f"order {order} of sampler 'deis' is unknown: choose 1, 2 or 3")
