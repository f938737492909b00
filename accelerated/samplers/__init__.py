"""Samplers as plans: each is a table, and one compiled step applies them all."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ...reference.config import SamplingConfig
from ...reference.schedule import Schedule
from .ancestral import ancestral_plan
from .ddim import ddim_plan
from .plan import Plan, run_plan, sampling_step

__all__ = ["PLANS", "Plan", "ancestral_plan", "ddim_plan", "run_plan", "sampling_step"]

PLANS: dict[str, Callable[[Schedule, Sequence[int], SamplingConfig], Plan]] = {
    "ancestral": lambda schedule, timesteps, _: ancestral_plan(schedule, timesteps),
    "ddim": lambda schedule, timesteps, config: ddim_plan(schedule, timesteps, config.eta),
}
"""How each sampler of ``SamplingConfig`` goes down the timesteps."""
