"""Every sampler's table, applied in float64 by NumPy, does what its file in the reference does.

The same device step applies all tables, and parity looks at that in float32; here it is the numbers
in them, everywhere: each spacing, each number of steps, with and without signal at T.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from ddpm_mindspore.accelerated.samplers import PLANS, Plan
from ddpm_mindspore.accelerated.samplers.plan import MEMORY
from ddpm_mindspore.reference.config.samplers import SAMPLERS as OPTIONS
from ddpm_mindspore.reference.config.samplers import SPACINGS
from ddpm_mindspore.reference.oracle import Mixture
from ddpm_mindspore.reference.samplers import SAMPLERS
from ddpm_mindspore.reference.schedule import make_schedule
from ddpm_mindspore.reference.spacing import make_timesteps

Array = NDArray[np.float64]
PAIR = Mixture([0.35, 0.65], [[-1.0], [0.8]], [[[0.1]], [[0.05]]])
VARIANTS: list[tuple[str, dict[str, Any]]] = [
    *((name, {}) for name in SAMPLERS),
    ("ancestral", {"variance": "beta"}),
    ("ddim", {"eta": 0.6}),
    ("euler", {"s_churn": 3.0, "s_noise": 1.1}),
    ("heun", {"s_churn": 3.0, "s_tmin": 0.2, "s_tmax": 5.0}),
    ("unipc", {"order": 3}),
    ("unipc", {"order": 2, "variant": "bh1"}),
    ("deis", {"order": 1}),
    ("deis", {"order": 2}),
]


def apply(plan: Plan, predict_x0: Any, x: Array, noise: Array) -> Array:
    """What ``run_plan`` does, in float64."""
    registers = [np.zeros_like(x)] * MEMORY
    for i, t in enumerate(plan.timesteps):
        of_x, of_x0, of_noise, keep_x, keep_x0, *earlier = plan.factors(i)
        x0_hat = predict_x0(x, np.full(len(x), t))
        drawn = noise[plan.draw(i)] if of_noise else 0.0
        kept = keep_x * x + keep_x0 * x0_hat
        read = sum(f * register for f, register in zip(earlier, registers, strict=True))
        x = of_x * x + of_x0 * x0_hat + of_noise * drawn + read
        if any(plan.keeps(i)):
            registers = [kept, *registers[:-1]]
    return x


def test_every_sampler_has_a_plan() -> None:
    assert list(PLANS) == list(OPTIONS) == list(SAMPLERS)


@pytest.mark.parametrize("spacing", SPACINGS)
@pytest.mark.parametrize(("name", "options"), VARIANTS)
def test_a_table_does_what_the_paper_says(name: str, options: dict[str, Any], spacing: str) -> None:
    rng = np.random.default_rng(1)
    for zero, T in ((False, 1), (False, 9), (True, 9), (True, 1), (False, 400)):
        schedule = make_schedule("cosine", T, zero_terminal_snr=zero)
        predict = partial(PAIR.predict_x0, schedule)
        x_T = rng.standard_normal((4, 1))
        for n in range(1, min(T, 9) + 1):
            noise = rng.standard_normal((n, 4, 1))
            times = make_timesteps(schedule, n, spacing)
            seen: list[float] = []

            def watched(x: Array, t: Array, seen: list[float] = seen) -> Array:
                seen.append(float(t[0]))
                return predict(x, t)  # noqa: B023

            x_0 = SAMPLERS[name](schedule, watched, x_T, timesteps=times, noise=noise, **options)
            plan = PLANS[name](schedule, times, **options)
            assert plan.timesteps.tolist() == seen and len(plan) == len(seen)
            assert np.isfinite([plan.factors(i) for i in range(len(plan))]).all()
            scale = max(1.0, np.abs(x_0).max())
            error = np.abs(apply(plan, predict, x_T, noise) - x_0).max()
            assert error < 1e-7 * scale, (zero, T, n)
