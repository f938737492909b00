"""Samplers, one paper and one file each: from noise x_T to data, by a denoiser given as a function.

All of them are called alike, by their name in ``SAMPLERS``:

    x_0 = SAMPLERS["unipc"](schedule, predict_x0, x_T, timesteps=times, order=3)

with ``predict_x0(x_t, t) -> x0_hat``, where t is an array of shape (B,) and x0_hat has the shape of
x_t; with times that ``spacing`` makes; and, where they add some, with their noise as an argument.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from ..config.samplers import SAMPLERS as OPTIONS
from ..config.samplers import check_sampler
from ..schedule import Array, Schedule
from . import (
    ancestral,
    ddim,
    deis,
    dpmpp_2m,
    dpmpp_2m_sde,
    dpmpp_2s,
    dpmpp_3m,
    euler,
    heun,
    plms,
    unipc,
)
from .common import Denoiser

__all__ = [
    "SAMPLERS",
    "Sampler",
    "ancestral",
    "ddim",
    "deis",
    "dpmpp_2m",
    "dpmpp_2m_sde",
    "dpmpp_2s",
    "dpmpp_3m",
    "euler",
    "heun",
    "plms",
    "unipc",
]


@dataclass(frozen=True)
class Sampler:
    """A sampler as one calls it.

    Attributes:
        name: as everywhere.
        walk: ``sample`` of its file.
        options: what it can be told besides.
    """

    name: str
    walk: Callable[..., Array]
    options: tuple[str, ...]

    def __call__(
        self,
        schedule: Schedule,
        predict_x0: Denoiser,
        x_T: Array,
        *,
        timesteps: Sequence[float],
        noise: Array | None = None,
        clip: bool = False,
        **options: Any,
    ) -> Array:
        """x_0, of the shape of x_T, floats (B, ...).

        Args:
            predict_x0: the denoiser.
            timesteps: strictly descending within T..1; after the last one comes t = 0.
            noise: (n, B, ...), noise[i] of the i-th step; None for samplers that add none.
            clip: clip every estimate to [-1, 1].
            options: the sampler's own.

        Raises ValueError for an option that the sampler has not (the message names those that have
        it), and for arguments that do not fit.
        """
        check_sampler(self.name, options)
        given = {"timesteps": timesteps, "noise": noise, "clip": clip}
        return self.walk(schedule, predict_x0, x_T, **given, **options)


_WALKS: dict[str, Callable[..., Array]] = {
    "ancestral": ancestral.sample,
    "ddim": ddim.sample,
    "euler": euler.sample,
    "heun": heun.sample,
    "plms": plms.sample,
    "dpm++2s": dpmpp_2s.sample,
    "dpm++2m": dpmpp_2m.sample,
    "dpm++3m": dpmpp_3m.sample,
    "dpm++2m-sde": dpmpp_2m_sde.sample,
    "unipc": unipc.sample,
    "deis": deis.sample,
}

SAMPLERS = {name: Sampler(name, _WALKS[name], options) for name, options in OPTIONS.items()}
"""Every sampler by its name."""
