"""How a diffusion is drawn from, in calls and commands."""

from __future__ import annotations

from hypothesis import strategies as st

from ...reference.config.diffusion import OBJECTIVES
from .schedules import schedules
from .values import Case

SAMPLING = ("sampler", "sampling_timesteps", "spacing", "eta", "dynamic_threshold")
"""Options of drawing that calls and commands of the examples have."""


@st.composite
def samplings(draw: st.DrawFn) -> Case:
    """``DiffusionConfig``: short schedules, all steps of them or fewer, with noise that matters."""
    objective = draw(st.sampled_from(OBJECTIVES))
    rule, T, zero_snr = draw(schedules(objective, st.sampled_from((4, 7, 1000))))
    options: Case = {
        "timesteps": T,
        "objective": objective,
        "beta_schedule": rule,
        "zero_terminal_snr": zero_snr,
        "clip_denoised": draw(st.booleans()),
        **draw(samplers()),
    }
    if objective == "edm":
        options["sigma_data"] = draw(st.sampled_from((0.8, 0.5)))
    if T == 1000 or draw(st.booleans()):
        options["sampling_timesteps"] = draw(st.sampled_from((3, 2, 1)))
    return options


def samplers() -> st.SearchStrategy[Case]:
    """A sampler by its name, by an option that it alone has, or by nothing."""
    eta = st.fixed_dictionaries({"eta": st.sampled_from((0.6, 1.0, 0.0))})
    named: tuple[Case, ...] = (
        {"sampler": "ancestral"},
        {},
        {"sampler": "unipc", "order": 3, "spacing": "karras"},
        {"sampler": "dpm++2m-sde", "spacing": "linspace"},
    )
    return eta | st.sampled_from(named)
