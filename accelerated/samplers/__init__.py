"""Samplers as plans: each is a table, and one compiled step applies them all."""

from __future__ import annotations

from collections.abc import Callable

from ...reference.config import SamplingConfig
from ...reference.schedule import Schedule
from ...reference.spacing import make_timesteps
from .ancestral import ancestral_plan
from .ddim import ddim_plan
from .deis import deis_plan
from .dpmpp_2m import dpmpp_2m_plan
from .dpmpp_2m_sde import dpmpp_2m_sde_plan
from .dpmpp_2s import dpmpp_2s_plan
from .dpmpp_3m import dpmpp_3m_plan
from .euler import euler_plan
from .heun import heun_plan
from .plan import Plan, run_plan, sampling_step
from .plms import plms_plan
from .unipc import unipc_plan

__all__ = [
    "PLANS",
    "Plan",
    "ancestral_plan",
    "ddim_plan",
    "plan_for",
    "run_plan",
    "sampling_step",
]

PLANS: dict[str, Callable[..., Plan]] = {
    "ancestral": ancestral_plan,
    "ddim": ddim_plan,
    "euler": euler_plan,
    "heun": heun_plan,
    "plms": plms_plan,
    "dpm++2s": dpmpp_2s_plan,
    "dpm++2m": dpmpp_2m_plan,
    "dpm++3m": dpmpp_3m_plan,
    "dpm++2m-sde": dpmpp_2m_sde_plan,
    "unipc": unipc_plan,
    "deis": deis_plan,
}
"""How each sampler goes down the times: from schedule, times and its own options."""


def plan_for(schedule: Schedule, sampling: SamplingConfig) -> Plan:
    """The table of a configuration. Raises ValueError for more steps than the schedule has."""
    timesteps = make_timesteps(schedule, sampling.steps(schedule.T), sampling.rule)
    return PLANS[sampling.name](schedule, timesteps, **sampling.options)
