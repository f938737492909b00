"""Walks of samplers on both sides, and how far apart rounding may leave them.

The expected states come from the sampler's own file in the reference, seen by its denoiser; the
bounds are carried along by the rows of the device's plan: the error that x had, times the
derivative of the row, plus the roundings made in it (to first order; the second is ten million
times smaller).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from mindspore import Tensor

from ...accelerated import denoiser as accelerated_denoiser
from ...accelerated.samplers import plan as accelerated
from ...reference.samplers import SAMPLERS
from ..judgement.tolerance import elementwise
from . import device
from .closed_form import BIAS, RAW, Denoiser
from .device import Array


@dataclass
class Walk:
    """One evaluation after another: t, x there, its (clipped) estimate; and x after the last."""

    times: list[float] = field(default_factory=list)
    states: list[Array] = field(default_factory=list)
    estimates: list[Array] = field(default_factory=list)


def on_reference(
    denoiser: Denoiser,
    sampler: str,
    options: Mapping[str, Any],
    timesteps: Sequence[float],
    clip: bool,
    x_T: Array,
    noise: Sequence[Array],
) -> Walk:
    """What the sampler of the reference evaluates on its way, in float64."""
    walk = Walk()

    def predict_x0(x_t: Array, t: Array) -> Any:
        before = walk.estimates[-1] if walk.estimates else np.zeros_like(x_t)
        x0_hat = denoiser.predict_x0(x_t, t, before)
        walk.times.append(float(t[0]))
        walk.states.append(x_t)
        walk.estimates.append(np.clip(x0_hat, -1.0, 1.0) if clip else x0_hat)
        return (x0_hat, denoiser.share(x_t, float(t[0]))) if denoiser.learned else x0_hat

    x_0 = SAMPLERS[sampler](
        denoiser.schedule,
        predict_x0,
        x_T.astype(np.float64),
        timesteps=timesteps,
        noise=np.array(noise, np.float64),
        clip=clip,
        **options,
    )
    walk.states.append(x_0)
    return walk


def on_device(
    denoiser: Denoiser,
    plan: accelerated.Plan,
    times: Sequence[float],
    clip: bool,
    x_T: Array,
    noise: Sequence[Array],
    mode: str,
) -> list[tuple[Array, Array]]:
    """The next x and x0_hat of each row, by a network that knows ``times`` alone."""
    predict_x0 = accelerated_denoiser.denoiser(denoiser.network(times), denoiser.learned)
    step = accelerated.sampling_step(
        accelerated_denoiser.clipped(predict_x0) if clip else predict_x0
    )
    step = device.compiled(step) if mode == "compiled" else step
    seen: list[tuple[Array, Array]] = []

    def watched(*args: Tensor) -> tuple[Tensor, ...]:
        result: tuple[Tensor, ...] = step(*args)
        seen.append((device.arrays(result[0]), device.arrays(result[1])))
        return result

    x_0 = accelerated.run_plan(watched, plan, x_T, lambda j: noise[j], denoiser.levels)
    return [*seen[:-1], (x_0, seen[-1][1])]


def bounds(
    denoiser: Denoiser, plan: accelerated.Plan, clip: bool, walk: Walk, noise: Sequence[Array]
) -> list[tuple[Array, Array]]:
    """How far x0_hat and the next x may be from the truth, for each row.

    With errors e_x and e_c in x and in the estimate before, and x0_hat = k x + w c + ... :

        e_x0 = |k| e_x + w e_c + roundings of x0_hat
        e_s  = |a + b k| e_x + |b| (w e_c + roundings of x0_hat)
             + the errors of what is remembered, each times its factor + roundings of the sum

    and what is kept, u x + v x0_hat, has an error like that of a row. Clipping takes away any part
    of k, so that with it |a + b k| becomes max(|a|, |a + b k|). With a learned variance the noise,
    times spread^(share / 2), has an error too.
    """
    none = np.zeros_like(walk.states[0])
    e_x, e_c, before, found = none, none, none, []
    registers = [(none, none)] * accelerated.MEMORY
    for i, t in enumerate(walk.times):
        x, x0_hat, k = walk.states[i], walk.estimates[i], denoiser.slope(t)
        a, b, c, u, v, *earlier = plan.factors(i)[: 5 + accelerated.MEMORY]
        new = denoiser.self_cond * e_c + denoiser.roundings(x, t, before)

        def carried(
            of_x: float, of_x0: float, k: Array = k, new: Array = new, e: Array = e_x
        ) -> Array:
            growth = np.abs(of_x + of_x0 * k)
            growth = np.maximum(abs(of_x), growth) if clip else growth
            error: Array = growth * e + abs(of_x0) * new
            return error

        drawn, wide = noise[plan.draw(i)] if c else none, none
        if plan.learned and c:
            drawn, wide = widened(denoiser, t, float(plan.spread[i]), x, e_x, drawn)
        read = [f * value for f, (value, _) in zip(earlier, registers, strict=True)]
        # Each term: its coefficient, its product, and the sums.
        local = elementwise(4 + len(read), a * x, b * x0_hat, c * drawn, *read)
        old = sum((abs(f) * e for f, (_, e) in zip(earlier, registers, strict=True)), none)
        kept = u * x + v * x0_hat, carried(u, v) + elementwise(3, u * x, v * x0_hat)
        e_x, e_c = carried(a, b) + old + local + abs(c) * wide, np.abs(k) * e_x + new
        if u or v:
            registers = [kept, *registers[:-1]]
        found.append((e_c, e_x))
        before = x0_hat
    return found


def widened(
    denoiser: Denoiser, t: float, spread: float, x: Array, error: Array, noise: Array
) -> tuple[Array, Array]:
    """Noise times spread^(share(x) / 2), and its error where x has this one.

    Of the exponent: a product and a sum, each halved and with 1/2 more, and two where x is scaled;
    of the power: the rounding of spread, which counts exponent times, its own, and that of a
    product.
    """
    exponent = 0.5 * denoiser.share(x, t)
    of_x = 0.25 * RAW * denoiser.scale(t)
    terms = of_x * x, np.full_like(x, 0.25 * (BIAS + 1.0))
    of_exponent = np.abs(of_x) * error + elementwise(6, *terms)
    drawn = noise * spread**exponent
    relative = abs(math.log(spread)) * of_exponent + elementwise(3, 1.0 + np.abs(exponent))
    return drawn, np.abs(drawn) * relative
