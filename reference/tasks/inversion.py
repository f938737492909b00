"""DDIM inversion: the noise from which a deterministic walk leads to a given picture.

Song et al. 2021, arXiv 2010.02502, section 4.3: eq. 13 read backwards. Each step is an implicit
equation, which is solved here by a fixed-point iteration with Anderson's acceleration (Pan et al.
2023, arXiv 2309.04907). Host code: all that is asked of a device is the denoiser.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from ..samplers.common import Denoiser, estimate, steps
from ..schedule import Array, Schedule, levels_at

MEMORY = 5
"""Earlier iterates that Anderson's acceleration looks back on."""


class Step(NamedTuple):
    """A DDIM step x_s = a x_t + b x0_hat(x_t).

    Attributes:
        a, b: its factors.
        gain: x_t moves by 1 / gain for what x_s is off by.
    """

    a: float
    b: float
    gain: float


def invert(
    schedule: Schedule,
    predict_x0: Denoiser,
    x_0: Array,
    *,
    timesteps: Sequence[int],
    iterations: int = 50,
    tolerance: float = 1e-6,
    on_step: Callable[[], None] = lambda: None,
) -> Array:
    """x_T such that DDIM (eta = 0) walks from it down ``timesteps`` to x_0.

    Each step x_s = a x_t + b x0_hat(x_t, t) is solved for x_t, upwards, by iterating

        x_t <- x_t + (x_s - a x_t - b x0_hat(x_t, t)) / gain

    from x_t = x_s (``step`` has the gain), accelerated (``anderson``). The usual inversion takes
    x0_hat at x_s for that at x_t, which is one iteration with gain a, and does not lead back.

    The last step down, to x_0 = x0_hat, throws away what the denoiser calls noise: it is undone as
    far as there is an x_t at all whose estimate is x_0. Walk there and look (``ddim.sample``,
    ``root_mean_square``).

    Args:
        x_0: floats (B, ...).
        timesteps: descending within T..1, those of the walk.
        iterations: for each step, at most.
        tolerance: a step ends where no value of x_s is off by more.
        on_step: called after every step.

    Returns x_T, of the shape of x_0. Raises ValueError for timesteps or numbers that do not fit.
    """
    if iterations < 1:
        raise ValueError(f"iterations {iterations} must be at least 1")
    x = x_0
    for t, s in reversed(steps(schedule, timesteps)):
        x = _undo(schedule, predict_x0, x, t, s, iterations, tolerance)
        on_step()
    return x


def _undo(
    schedule: Schedule,
    predict_x0: Denoiser,
    x_s: Array,
    t: float,
    s: float,
    iterations: int,
    tolerance: float,
) -> Array:
    """The best x_t of the iteration, for each item."""
    a, b, gain = step(schedule, t, s)
    x = best = x_s
    least = np.full(len(x), np.inf)
    seen: list[tuple[Array, Array]] = []
    for _ in range(iterations + 1):
        off = x_s - a * x - b * estimate(predict_x0, x, t, clip=False)
        size = np.max(np.abs(off.reshape(len(x), -1)), axis=1)
        better = (size < least).reshape((-1,) + (1,) * (x.ndim - 1))
        best, least = np.where(better, x, best), np.minimum(size, least)
        if least.max() <= tolerance:
            break
        seen = [*seen[-MEMORY:], (x, off / gain)]
        x = anderson(seen).astype(x_s.dtype)
    return best


def anderson(seen: Sequence[tuple[Array, Array]]) -> Array:
    """The next iterate of x <- x + f(x), from the last pairs (x, f(x)), the newest last.

    Walker & Ni 2011, algorithm AA: x + f - (dX + dF) g with the g that makes |f - dF g| least, dX
    and dF being the differences of the pairs; each item (axis 0) has its own. With one pair it is
    the plain iteration.
    """
    xs, fs = (np.stack([p[i].reshape(len(p[i]), -1) for p in seen], -1) for i in (0, 1))
    x, f = xs[..., -1].astype(np.float64), fs[..., -1].astype(np.float64)
    d_x, d_f = np.diff(xs.astype(np.float64)), np.diff(fs.astype(np.float64))
    gram = np.einsum("bdi,bdj->bij", d_f, d_f)
    along = np.einsum("bdi,bd->bi", d_f, f)
    weights = np.einsum("bij,bj->bi", np.linalg.pinv(gram, rcond=1e-12, hermitian=True), along)
    moved: Array = x + f - np.einsum("bdi,bi->bd", d_x + d_f, weights)
    return moved.reshape(seen[-1][0].shape)


def step(schedule: Schedule, t: float, s: float) -> Step:
    """The factors of the DDIM step from t to s, and the gain to undo it.

    Its derivative by x_t is a + b J, where the denoiser's J is between 0 (nothing there but noise)
    and about 1 / sqrt(alpha_bar_t) (nothing there but data): between a and the ratio of the
    signals. Halfway between them is the gain with which both ends converge equally fast.
    """
    (signal_t, signal_s), (noise_t, noise_s) = (
        level.tolist() for level in levels_at(schedule, (t, s))
    )
    a = noise_s / noise_t
    gain = 0.5 * (a + signal_s / signal_t) if signal_t > 0.0 else a
    return Step(a, signal_s - a * signal_t, gain)


def root_mean_square(x: Array) -> Array:
    """(B,) of each item: of the difference to x_0, the error of its reconstruction."""
    found: Array = np.sqrt(np.mean(x.reshape(len(x), -1) ** 2, axis=1))
    return found
