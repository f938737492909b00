"""The network as a denoiser: from x_t and t to an estimate of x_0, which is all that samplers see.

What is known besides (a label, another image) is a condition; what is done to an estimate
(clipping) is a function around the denoiser.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import autograd.numpy as np
from autograd.tracer import getval

from .bound import halves, share_of
from .config.diffusion import SIGMA_DATA
from .objective import x0_from_output
from .preconditioning import network_input
from .schedule import Array, Schedule
from .thresholding import dynamic_threshold


class Denoiser(Protocol):
    """``predict_x0(x_t, t, condition) -> x0_hat``."""

    def __call__(self, x_t: Array, t: Array, condition: Any = None, *shown: Any) -> Array:
        """The estimate of x_0, of the shape of x_t, (B, ...); t: numbers (B,) in (0, T].

        ``shown``: the last estimate, for a network that is shown one.
        """
        ...


def denoiser(
    network: Callable[..., Array],
    schedule: Schedule,
    objective: str,
    *,
    self_condition: bool = False,
    clip: bool = False,
    threshold: float | None = None,
    guide: Callable[[Denoiser], Denoiser] | None = None,
    learned_variance: bool = False,
    sigma_data: float = SIGMA_DATA,
) -> Denoiser:
    """A network whose output has the meaning of ``objective``, as a denoiser.

    Args:
        network: ``network(x, time, x_self_cond)`` with time = t - 1 and x as
            ``preconditioning.network_input``, or, where there is a condition,
            ``network(x, time, x_self_cond, condition)``.
        self_condition: show it its last estimate (arXiv 2208.04202, algorithm 2): it is remembered
            here, so make a new denoiser for each walk. Else x_self_cond is None.
        clip: clip every estimate to [-1, 1].
        threshold: squeeze it instead, by ``thresholding.dynamic_threshold``, of which it is the
            share.
        guide: makes of the network's estimate a better one, before it is clipped and remembered: a
            function of (x_t, t, condition, x_self_cond) of another.
        learned_variance: return (x0_hat, share) as the ancestral sampler takes them, with the share
            of log beta that the network says (``bound.share_of``). Guidance leaves it as it is
            under the condition.
        sigma_data: of edm.
    """
    last: Array | None = None
    raw: Array | None = None

    def prediction(x: Array, *told: Any) -> Array:
        nonlocal raw
        output, raw = halves(network(x, *told), x)
        return output

    alone = estimates(prediction, schedule, objective, sigma_data)
    estimate = alone if guide is None else guide(alone)

    def predict_x0(x_t: Array, t: Array, condition: Any = None) -> Any:
        nonlocal last
        shown = (last,) if self_condition else ()
        x0_hat = estimate(x_t, t, condition, *shown)
        if threshold is not None:
            x0_hat = dynamic_threshold(x0_hat, threshold)
        elif clip:
            x0_hat = np.clip(x0_hat, -1.0, 1.0)
        last = getval(x0_hat)  # no gradient goes through what is remembered
        if not learned_variance:
            return x0_hat
        assert raw is not None, "the network returns no variance"
        return x0_hat, share_of(raw[: len(x_t)])  # the first half was told the condition

    return predict_x0


def estimates(
    network: Callable[..., Array],
    schedule: Schedule,
    objective: str,
    sigma_data: float = SIGMA_DATA,
) -> Denoiser:
    """The same without a memory: it is given the last estimate, where there is one."""

    def estimate(x_t: Array, t: Array, condition: Any = None, x_self_cond: Any = None) -> Array:
        known = () if condition is None else (condition,)
        seen = network_input(schedule, objective, x_t, t, sigma_data)
        output, _ = halves(network(seen, t - 1, x_self_cond, *known), x_t)
        return x0_from_output(schedule, objective, x_t, t, output, sigma_data)

    return estimate


def given(predict_x0: Denoiser, condition: Any) -> Denoiser:
    """The denoiser of what is known already: samplers need not know that there is a condition."""

    known = condition

    def knowing(x_t: Array, t: Array, condition: Any = None, *shown: Any) -> Array:
        return predict_x0(x_t, t, known, *shown)

    return knowing
