"""Steps and walks of a sampler."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from ...reference.objective import OBJECTIVES
from ...reference.schedule import spaced_timesteps
from .schedules import LENGTHS, LONG, schedules
from .values import Case, seeds


@st.composite
def step_cases(draw: st.DrawFn) -> Case:
    """One step of a sampler, from t down to s >= 1."""
    case = draw(_sampler_cases(st.sampled_from((2, 4, 20, 1000, 4000)) | st.integers(3, 60)))
    _, T, _ = case["schedule"]
    t = draw(st.sampled_from((2, T)) | st.integers(2, T))
    return {**case, "timesteps": (t, draw(st.sampled_from((1, t - 1)) | st.integers(1, t - 1)))}


@st.composite
def trajectory_cases(draw: st.DrawFn) -> Case:
    """A whole walk: every step of a short schedule, or at most seven of a long one."""
    case = draw(_sampler_cases())
    _, T, _ = case["schedule"]
    n = draw(st.integers(1, min(T, 7)))
    few = st.sets(st.integers(1, T), min_size=1, max_size=7).map(lambda s: sorted(s, reverse=True))
    return {**case, "timesteps": draw(st.just(spaced_timesteps(T, n)) | few.map(tuple))}


@st.composite
def _sampler_cases(draw: st.DrawFn, lengths: st.SearchStrategy[int] = LENGTHS) -> Case:
    objective = draw(st.sampled_from(OBJECTIVES))
    return {
        "sampler": draw(st.sampled_from(("ancestral", "ddim"))),
        "schedule": draw(schedules(objective, lengths)),
        "objective": objective,
        "eta": draw(st.sampled_from((0.0, 0.3, 1.0))),
        "clip": draw(st.booleans()),
        "self_cond": draw(st.sampled_from((0.0, 0.25))),
        "shape": draw(st.sampled_from(((1, 2, 2), (2, 3, 5)))),
        "batch": draw(st.integers(1, 3)),
        "spread": draw(st.sampled_from((0.3, 0.0, 2.0))),
        "seed": draw(seeds()),
    }


def _walk(sampler: str, objective: str, timesteps: tuple[int, ...], **options: Any) -> Case:
    return {
        **{"sampler": sampler, "objective": objective, "timesteps": timesteps, "eta": 0.5},
        **{"schedule": ("cosine", 50, False), "clip": True, "self_cond": 0.25},
        **{"shape": (2, 3, 5), "batch": 2, "spread": 2.0, "seed": 1},
        **options,
    }


TRAJECTORIES: list[Case] = [
    _walk("ddim", "pred_v", (50, 30, 20, 10)),
    _walk("ancestral", "pred_noise", (50, 30, 20, 10), clip=False),
    _walk("ddim", "pred_x0", (4000, 2050, 1000), schedule=LONG["schedule"], eta=0.0),
]

STEPS: list[Case] = [
    _walk("ddim", "pred_v", (30, 20)),
    _walk("ancestral", "pred_x0", (2050, 2049), schedule=LONG["schedule"], clip=False),
]
