"""Guidance: estimates of x_0 that are made to say more of what is asked for.

Each is a function around a denoiser, so that every sampler and every objective can use it, and is
computed on x0_hat. Where the paper combines other predictions with weights that sum to 1, that is
the same: at a fixed x_t = signal x_0 + noise eps, eps, v and the score

    eps_hat = (x_t - signal x0_hat) / noise,    score = (signal x0_hat - x_t) / noise^2

are affine in x0_hat, and an affine map takes such a combination to the combination of its values.

The guided score w grad log p_t(x | y) + (1 - w) grad log p_t(x) is, at every t, that of a density.
These densities are not the noised versions of the one at t = 0, p(x | y)^w p(x)^(1 - w): for w
other than 1 no sampler that follows the guided score draws from that one.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .denoiser import Denoiser
from .schedule import Array, Schedule, levels_at

ANYWHERE = (0.0, np.inf)
"""An interval of noise levels that is no limit."""


def towards(x0_hat: Array, x0_other: Array, scale: float) -> Array:
    """other + scale (x0_hat - other): from another estimate through x0_hat and beyond.

    Classifier-free guidance (arXiv 2207.12598, eq. 6) where the other knows no condition, with
    ``scale`` = 1 + w of the paper: 1 is no guidance, 0 no condition. Autoguidance (arXiv
    2406.02070, eq. 3) where the other comes from a weaker network, with ``scale`` = w.
    """
    estimate: Array = x0_other + scale * (x0_hat - x0_other)
    return estimate


def rescaled(guided: Array, x0_hat: Array, share: float) -> Array:
    """Give the guided estimate the spread of the one before, or a ``share`` of it.

    share (sd(x0_hat) / sd(guided)) guided + (1 - share) guided, each standard deviation over all
    values of an item (arXiv 2305.08891, eqs. 15 and 16, there on the network's output).
    """
    axes = tuple(range(1, guided.ndim))
    before, after = (np.std(x, axis=axes, keepdims=True) for x in (x0_hat, guided))
    factor = np.where(after > 0.0, before, 1.0) / np.where(after > 0.0, after, 1.0)
    spread: Array = share * factor * guided + (1.0 - share) * guided
    return spread


def shortened(change: Array, norm: float) -> Array:
    """min(1, norm / ||change||) change, for each item (arXiv 2410.02416, eq. 8)."""
    axes = tuple(range(1, change.ndim))
    size = np.sqrt(np.sum(change**2, axis=axes, keepdims=True))
    short: Array = change * np.minimum(1.0, norm / np.where(size > 0.0, size, 1.0))
    return short


def less_parallel(change: Array, x0_hat: Array, share: float) -> Array:
    """The part of the change that is orthogonal to x0_hat, and a ``share`` of what is parallel.

    The parallel part, which saturates colours, is <change, x0_hat> / ||x0_hat||^2 x0_hat for each
    item (arXiv 2410.02416, eqs. 5 and 6).
    """
    axes = tuple(range(1, change.ndim))
    square = np.sum(x0_hat**2, axis=axes, keepdims=True)
    along = np.sum(change * x0_hat, axis=axes, keepdims=True) / np.where(square > 0, square, 1.0)
    left: Array = change - (1.0 - share) * along * x0_hat
    return left


def guided(
    predict_x0: Denoiser,
    schedule: Schedule,
    null: Any = None,
    *,
    scale: float,
    weak: Denoiser | None = None,
    interval: tuple[float, float] = ANYWHERE,
    rescale: float = 0.0,
    parallel: float = 1.0,
    norm: float = np.inf,
    momentum: float = 0.0,
) -> Denoiser:
    """A denoiser that is guided: by itself without the condition, or by a weaker one.

    Let d be x0_hat minus the other estimate. Then

        m <- d + momentum m,    x0_hat + (scale - 1) less_parallel(shortened(m, norm), parallel),

    and that is rescaled. As the options are, it is x0_hat + (scale - 1) d = ``towards``; with
    others it is adaptive projected guidance (arXiv 2410.02416, algorithm 1), whose momentum is
    negative. m is remembered here, so make a new one for each walk.

    Args:
        predict_x0: asked once for both estimates, of a batch twice as large.
        null: the condition that stands for none, of one item.
        scale: 1 is no guidance.
        weak: who gives the other estimate, with the same condition (arXiv 2406.02070).
        interval: guide where its low < noise / signal <= high (arXiv 2404.07724); elsewhere the
            denoiser alone is asked. All t of a call are on one side.
        rescale, parallel, norm, momentum: see above.
    """
    running: Any = 0.0

    def estimates(x_t: Array, t: Array, condition: Any, shown: tuple[Any, ...]) -> Any:
        if weak is not None:
            return predict_x0(x_t, t, condition, *shown), weak(x_t, t, condition, *shown)
        nothing = np.broadcast_to(np.asarray(null), np.shape(condition))
        both = predict_x0(
            np.concatenate((x_t, x_t)),
            np.concatenate((t, t)),
            np.concatenate((condition, nothing)),
            *(np.concatenate((x, x)) for x in shown),
        )
        return both[: len(x_t)], both[len(x_t) :]

    def predict(x_t: Array, t: Array, condition: Any = None, *shown: Any) -> Array:
        nonlocal running
        if not inside(schedule, t, interval):
            return predict_x0(x_t, t, condition, *shown)
        shown = tuple(x for x in shown if x is not None)
        x0_hat, other = estimates(x_t, np.asarray(t), condition, shown)
        running = x0_hat - other + momentum * running
        change = less_parallel(shortened(running, norm), x0_hat, parallel)
        return rescaled(x0_hat + (scale - 1.0) * change, x0_hat, rescale)

    return predict


def inside(schedule: Schedule, t: Array, interval: tuple[float, float]) -> bool:
    """Whether noise / signal at t, one for all, is above the interval's low and not above its high.

    Raises ValueError for t on both sides.
    """
    signal, noise = levels_at(schedule, np.asarray(t))
    low, high = interval
    found = (noise > low * signal) & ((noise <= high * signal) | np.isinf(high))
    if found.any() != found.all():
        raise ValueError(f"t {np.unique(t)} are in guidance_interval {interval} and outside of it")
    return bool(found.all())


def classifier_guided(
    predict_x0: Denoiser,
    schedule: Schedule,
    gradient: Callable[[Array, Array], Array],
    scale: float,
) -> Denoiser:
    """A denoiser whose score has ``scale`` grad log p(y | x_t) added (arXiv 2105.05233, alg. 2).

    x0_hat + scale (noise^2 / signal) gradient(x_t, t), since score = (signal x0_hat - x_t) /
    noise^2. ``gradient``: by x_t and of its shape, of the logarithm of a classifier's probability
    for what is wanted. A classifier that is right about noised data makes of the denoiser of all
    data that of the wanted; no t may be without signal.
    """

    def predict(x_t: Array, t: Array, condition: Any = None, *shown: Any) -> Array:
        signal, noise = levels_at(schedule, np.asarray(t))
        factor = np.reshape(scale * noise**2 / signal, (-1, *(1,) * (x_t.ndim - 1)))
        x0_hat = predict_x0(x_t, t, condition, *shown)
        moved: Array = x0_hat + factor.astype(x_t.dtype) * gradient(x_t, t)
        return moved

    return predict
