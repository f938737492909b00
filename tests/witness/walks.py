"""Walks down one table of times: ours, and those of schedulers of ``diffusers``.

Both ask a mixture's denoiser, which is exact, and give every x that they asked it for, and what
they end with. A scheduler is told our table of levels after it has made its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import diffusers
import numpy as np
import torch
from numpy.typing import NDArray

from ddpm_mindspore.reference.oracle import Mixture
from ddpm_mindspore.reference.samplers import SAMPLERS
from ddpm_mindspore.reference.samplers.common import levels
from ddpm_mindspore.reference.schedule import Schedule, make_schedule

Array = NDArray[np.float64]

T = 1000
SCHEDULE = make_schedule("linear", T)
COVS = [[[0.06, 0.02], [0.02, 0.04]], [[0.02, 0.0], [0.0, 0.03]]]
TWO = Mixture([0.35, 0.65], [[-1.0, 0.4], [0.8, -0.2]], COVS)
RNG = np.random.default_rng(0)
X_T, NOISE = RNG.standard_normal((5, 2)), RNG.standard_normal((40, 5, 2))


def ours(
    name: str, times: Sequence[float], schedule: Schedule = SCHEDULE, **options: Any
) -> list[Array]:
    """Every x that the denoiser is asked for, and the result."""
    seen: list[Array] = []

    def predict(x: Array, t: Array) -> Array:
        seen.append(x)
        return TWO.predict_x0(schedule, x, t)

    noise = NOISE[: len(times)] if len(times) <= len(NOISE) else None
    x_0 = SAMPLERS[name](schedule, predict, X_T, timesteps=times, noise=noise, **options)
    return [*seen, x_0]


def theirs(
    scheduler: Any,
    times: Sequence[float],
    schedule: Schedule = SCHEDULE,
    *,
    in_sigma: bool | str = False,
    noisy: bool = False,
    ends: bool = True,
) -> list[Array]:
    """The same of a scheduler that looks its levels up in ``sigmas``.

    in_sigma: its variable is x / signal; "twice": two of its times are one step, but for the last.
    ends: the last step is taken too.
    """
    scheduler.set_timesteps(len(times))
    at = levels(schedule, times)
    path = [at[0], *(level for level in at[1:] for _ in range(2))] if in_sigma == "twice" else at
    scheduler.timesteps = torch.tensor([level.t - 1.0 for level in path])
    sigmas = [level.sigma for level in at]
    inner = np.repeat(sigmas[1:], 2) if in_sigma == "twice" else sigmas[1:]
    scheduler.sigmas = torch.tensor(np.array([sigmas[0], *inner, 0.0]))
    scheduler.set_begin_index(0)
    x = torch.tensor(X_T / at[0].signal if in_sigma else X_T)
    seen: list[Array] = []
    for i, level in enumerate(path):
        seen.append(x.numpy() * (level.signal if in_sigma else 1.0))
        x0_hat = torch.tensor(TWO.predict_x0(schedule, seen[-1], np.full(len(X_T), level.t)))
        if in_sigma:
            scheduler.scale_model_input(x, scheduler.timesteps[i])
        more = {"variance_noise": torch.tensor(NOISE[i])} if noisy else {}
        if ends or i + 1 < len(path):
            x = scheduler.step(x0_hat, scheduler.timesteps[i], x, **more).prev_sample
    return [*seen, x.numpy()] if ends else seen


def made(kind: str, **options: Any) -> Any:
    return getattr(diffusers, f"{kind}Scheduler")(
        num_train_timesteps=T, prediction_type="sample", **options
    )


def looked_up(scheduler: Any, n: int, *, predicts_noise: bool = False, **step: Any) -> Any:
    """The same of a scheduler that looks its levels up in ``alphas_cumprod``, and its times."""
    scheduler.set_timesteps(n)
    scheduler.alphas_cumprod = torch.tensor(SCHEDULE.alpha_bar[1:].copy())
    noisy, x, seen = step.pop("noisy", False), torch.tensor(X_T), []
    for i, index in enumerate(scheduler.timesteps):
        t = int(index) + 1
        seen.append(x.numpy())
        predicted = TWO.predict_x0(SCHEDULE, seen[-1], np.full(len(X_T), t))
        if predicts_noise:
            at = levels(SCHEDULE, [t])[0]
            predicted = (seen[-1] - at.signal * predicted) / at.noise
        more = {"variance_noise": torch.tensor(NOISE[i])} if noisy else {}
        x = scheduler.step(torch.tensor(predicted), index, x, **more, **step).prev_sample
    return [*seen, x.numpy()], [int(index) + 1 for index in scheduler.timesteps]
