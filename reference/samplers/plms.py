"""PLMS: Adams and Bashforth's combination of the last estimates of the noise, moved by DDIM's step.

Liu et al. 2022, arXiv 2202.09778: pseudo linear multistep, eqs. 12 and 13.
"""

from __future__ import annotations

from collections.abc import Sequence

from ..schedule import Array, Schedule
from .common import Denoiser, Level, check_inputs, eps_of, estimate, first_order, walk_down
from .polynomial import mean_weights

HISTORY = 4


def sample(
    schedule: Schedule,
    predict_x0: Denoiser,
    x_T: Array,
    *,
    timesteps: Sequence[float],
    noise: Array | None = None,
    clip: bool = False,
) -> Array:
    """Walk from x_T to x_0 with up to four estimates of the noise.

    Each step from t to s moves x_t, by the transfer of eq. 11, with a combination of eps_hat and
    those before it,

        x_s = signal_s (x_t - noise_t e) / signal_t + noise_s e,
        e = (55 e_t - 59 e_{t+1} + 37 e_{t+2} - 9 e_{t+3}) / 24

    which is the mean over the step of the cubic through them, and is computed as that: so the
    weights are the paper's where times are evenly spaced, and right where they are not. The second
    and third steps have fewer estimates, and weights of lower order. As is usual (where the paper
    has three Runge-Kutta steps of four evaluations each) the first is an improved Euler step: two
    evaluations, e = (e_t + e') / 2, of which e' is not kept. It is DDIM's where there is no second
    one, and where no signal is left at T.

    The order is 2, as the paper proves: the mean of e is one over t, and not over noise / signal.

    Args: as of ``ancestral.sample``; ``noise`` is not read.

    Returns x_0, of the shape of x_T. Raises ValueError for arguments that do not fit.
    """
    walk = walk_down(schedule, timesteps)
    check_inputs(x_T, noise, len(walk))
    x, history = x_T, list[tuple[Level, Array]]()
    for t, s in walk:
        x0_hat = estimate(predict_x0, x, t.t, clip)
        history = [(t, eps_of(x, x0_hat, t)), *history][:HISTORY]
        if len(history) > 1:
            weights = mean_weights([at.t for at, _ in history], t.t, s.t)
            e = 0.0 * x
            for weight, (_, eps) in zip(weights, history, strict=True):
                e = e + weight * eps
            x = _transfer(x, e, t, s)
            continue
        ahead = first_order(x, x0_hat, t, s)
        if s.t > 0 and t.signal > 0.0:
            there = eps_of(ahead, estimate(predict_x0, ahead, s.t, clip), s)
            ahead = _transfer(x, (history[0][1] + there) / 2.0, t, s)
        x = ahead
    return x


def _transfer(x: Array, eps: Array, t: Level, s: Level) -> Array:
    moved: Array = s.signal * (x - t.noise * eps) / t.signal + s.noise * eps
    return moved
