"""Paint what a mask hides.

By a denoiser that has never heard of masks: RePaint, Lugmayr et al. 2022, arXiv 2201.09865. Or by a
network of latents that was trained to, and is shown mask and picture behind x_t: ``shown``, host
code. That is how the published Chinese weights inpaint, and those of Stable Diffusion.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np

from ..degradations import masked
from ..samplers.common import Denoiser, estimate, steps
from ..schedule import Array, Schedule, levels_at
from .paths import ancestral_step, noising_step, with_jumps


def repaint(
    schedule: Schedule,
    predict_x0: Denoiser,
    x_T: Array,
    known: Array,
    mask: Array,
    *,
    timesteps: Sequence[int],
    noise: Callable[[int], Array],
    jump_length: int = 1,
    jump_repeats: int = 1,
    clip: bool = False,
) -> Array:
    """Walk from x_T to x_0, putting in what is known at every step (2201.09865, algorithm 1).

        known part    x_s = sqrt(alpha_bar_s) known + sqrt(1 - alpha_bar_s) eps
        the rest      x_s ~ q(x_s | x_t, x0_hat), as in ancestral sampling
        together      mask * known part + (1 - mask) * the rest

    One pass lets the rest know too little of what surrounds it; each stretch of the walk is
    repeated (``jump_repeats``), with noise added in between (``paths.with_jumps``). For Gaussians
    the limit of many repeats and small steps is the exact conditional distribution.

    Args:
        x_T: the start, floats (B, ...).
        known: of the shape of x_T; where the mask is 0 it is not read.
        mask: 1 is known and 0 is to be painted; it broadcasts to x_T.
        timesteps: descending within T..1.
        noise: move i of the path draws ``noise(2 i)`` and, for the known part, ``noise(2 i + 1)``.

    Returns x_0, which is ``known`` where the mask is 1.
    Raises ValueError for timesteps, jumps, shapes or a mask that do not fit.
    """
    if known.shape != x_T.shape:
        raise ValueError(f"known has shape {known.shape}: give it that of x_T, {x_T.shape}")
    steps(schedule, timesteps)
    keep = masked(mask, x_T.shape[1:]).singular.astype(x_T.dtype)
    x = x_T
    for i, (t, s) in enumerate(with_jumps(timesteps, jump_length, jump_repeats)):
        if s > t:
            kept, var = noising_step(schedule, t, s)
            x = kept * x + math.sqrt(var) * noise(2 * i)
            continue
        x0_hat = estimate(predict_x0, x, t, clip)
        coef_x0, coef_xt, var = ancestral_step(schedule, t, s)
        x = coef_x0 * x0_hat + coef_xt * x
        signal, sigma = map(float, levels_at(schedule, s))
        shown = signal * known
        if s > 0:
            x = x + math.sqrt(var) * noise(2 * i)
            shown = shown + sigma * noise(2 * i + 1)
        x = np.where(keep == 1.0, shown, x)
    return x


def without_hidden(picture: Array, mask: Array) -> Array:
    """What is known of a picture (C, H, W) in [-1, 1]: 0, mid-grey, where the mask (H, W) is 0."""
    known: Array = picture * mask.astype(picture.dtype)
    return known


def shown(mask: Array, latents: Array) -> Array:
    """What a network that inpaints is shown behind x_t: (1 + C, h, w), of the dtype of latents.

    First where it is to paint, 1 there and 0 elsewhere, a pixel of each square of the mask; then
    the picture.

    Args:
        mask: (H, W), 1 is known and 0 is to be painted; H / h = W / w whole.
        latents: (C, h, w), those of ``without_hidden``, as large as x_0 is.

    Raises ValueError for sizes that do not fit.
    """
    (height, width), (high, wide) = mask.shape, latents.shape[1:]
    factor = height // high
    if (height, width) != (factor * high, factor * wide):
        raise ValueError(
            f"mask has shape {mask.shape}: it must be a whole number of times ({high}, {wide})"
        )
    hidden = 1 - mask[::factor, ::factor]
    return np.concatenate((hidden[None].astype(latents.dtype), latents))
