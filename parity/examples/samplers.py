"""Steps and walks of a sampler."""

from __future__ import annotations

import math
from typing import Any

from hypothesis import strategies as st

from ...reference.config.samplers import SAMPLERS, SPACINGS
from ...reference.objective import OBJECTIVES
from ...reference.schedule import make_schedule
from ...reference.spacing import make_timesteps
from .schedules import LENGTHS, LONG, schedules
from .values import Case, seeds

_CHURN = st.fixed_dictionaries(
    {
        "s_churn": st.sampled_from((1.0, 0.0, 10.0)),
        "s_tmin": st.sampled_from((0.0, 0.3)),
        "s_tmax": st.sampled_from((math.inf, 10.0)),
        "s_noise": st.sampled_from((1.0, 1.1)),
    }
)
_OPTIONS: dict[str, st.SearchStrategy[dict[str, Any]]] = {
    "ancestral": st.fixed_dictionaries(
        {"variance": st.sampled_from(("posterior", "beta", "learned"))}
    ),
    "ddim": st.fixed_dictionaries({"eta": st.sampled_from((0.0, 0.3, 1.0))}),
    "euler": _CHURN,
    "heun": _CHURN,
    "unipc": st.fixed_dictionaries(
        {"order": st.sampled_from((3, 2)), "variant": st.sampled_from(("bh2", "bh1"))}
    ),
    "deis": st.fixed_dictionaries({"order": st.sampled_from((3, 2, 1))}),
}


@st.composite
def step_cases(draw: st.DrawFn) -> Case:
    """One step of a sampler, from t down to s >= 1."""
    lengths = st.sampled_from((2, 4, 20, 1000, 4000)) | st.integers(3, 60)
    case = draw(_sampler_cases(("ancestral", "ddim"), lengths))
    _, T, _ = case["schedule"]
    t = draw(st.sampled_from((2, T)) | st.integers(2, T))
    return {**case, "timesteps": (t, draw(st.sampled_from((1, t - 1)) | st.integers(1, t - 1)))}


@st.composite
def trajectory_cases(draw: st.DrawFn) -> Case:
    """A whole walk: every step of a short schedule, or at most seven of a long one."""
    case = draw(_sampler_cases(tuple(SAMPLERS)))
    name, T, zero_snr = case["schedule"]
    n = draw(st.integers(1, min(T, 7)))
    spaced = st.sampled_from(SPACINGS).map(
        lambda spacing: make_timesteps(
            make_schedule(name, T, zero_terminal_snr=zero_snr), n, spacing
        )
    )
    few = st.sets(st.integers(1, T), min_size=1, max_size=7).map(lambda s: sorted(s, reverse=True))
    return {**case, "timesteps": draw(spaced | few.map(tuple))}


@st.composite
def _sampler_cases(
    draw: st.DrawFn, samplers: tuple[str, ...], lengths: st.SearchStrategy[int] = LENGTHS
) -> Case:
    objective, sampler = draw(st.sampled_from(OBJECTIVES)), draw(st.sampled_from(samplers))
    return {
        "sampler": sampler,
        "options": draw(_OPTIONS.get(sampler, st.just({}))),
        "schedule": draw(schedules(objective, lengths)),
        "objective": objective,
        "clip": draw(st.booleans()),
        "self_cond": draw(st.sampled_from((0.0, 0.25))),
        "shape": draw(st.sampled_from(((1, 2, 2), (2, 3, 5)))),
        "batch": draw(st.integers(1, 3)),
        "spread": draw(st.sampled_from((0.3, 0.0, 2.0))),
        "seed": draw(seeds()),
    }


def _walk(sampler: str, objective: str, timesteps: tuple[float, ...], **changed: Any) -> Case:
    return {
        **{"sampler": sampler, "options": {}, "objective": objective, "timesteps": timesteps},
        **{"schedule": ("cosine", 50, False), "clip": True, "self_cond": 0.25},
        **{"shape": (2, 3, 5), "batch": 2, "spread": 2.0, "seed": 1},
        **changed,
    }


def _each(sampler: str, **options: Any) -> Case:
    """Walks long enough for all of a sampler's history, without a compiled graph of their own."""
    timesteps = (45, 30.25, 20, 12.5, 6, 2)
    return _walk(
        sampler, "pred_v", timesteps, options=options, clip=False, spread=0.3, modes=("eager",)
    )


_CHURNED = {"s_churn": 1.0, "s_tmin": 0.3, "s_tmax": 1.0, "s_noise": 1.1}

TRAJECTORIES: list[Case] = [
    _walk("ddim", "pred_v", (50, 30, 20, 10), options={"eta": 0.5}),
    _walk("ancestral", "pred_noise", (50, 30, 20, 10), clip=False),
    _walk("ddim", "pred_x0", (4000, 2050, 1000), schedule=LONG["schedule"]),
    _walk("unipc", "pred_v", (50, 40, 30.5, 20, 10), options={"order": 3}),
    _each("ancestral", variance="beta"),
    _walk("ancestral", "pred_v", (50, 30, 12.5, 1), options={"variance": "learned"}),
    _each("euler", **_CHURNED),
    _each("heun", **_CHURNED),
    _each("plms"),
    _each("dpm++2s"),
    _each("dpm++2m"),
    _each("dpm++3m"),
    _each("dpm++2m-sde"),
    _each("unipc", variant="bh1"),
    _each("unipc", order=3),
    _each("deis"),
    _each("deis", order=2),
]

STEPS: list[Case] = [
    _walk("ddim", "pred_v", (30, 20), options={"eta": 0.5}),
    _walk("ancestral", "pred_x0", (2050, 2049), schedule=LONG["schedule"], clip=False),
]

THRESHOLDS: list[Case] = [{"share": 0.83, "scale": 0.6, "shape": (2, 3, 5), "batch": 3, "seed": 1}]


@st.composite
def threshold_cases(draw: st.DrawFn) -> Case:
    """Estimates within the range, around its ends, and far beyond them."""
    return {
        "share": draw(st.sampled_from((0.995, 1.0, 0.5)) | st.floats(0.01, 1.0)),
        "scale": draw(st.sampled_from((1.0, 0.2, 100.0))),
        "shape": draw(st.sampled_from(((1, 4, 4), (3, 5), (1,)))),
        "batch": draw(st.integers(1, 3)),
        "seed": draw(seeds()),
    }
