"""Schedules, times, and batches at them."""

from __future__ import annotations

from hypothesis import strategies as st

from ...reference.objective import OBJECTIVES
from ...reference.schedule import SCHEDULES
from .values import Case, scales, seeds, shapes

LENGTHS = st.sampled_from((1, 2, 4, 20, 1000, 4000)) | st.integers(3, 60)
"""T, among them the shortest and a longer one than anybody trains with."""


def times(T: int) -> st.SearchStrategy[tuple[int, ...]]:
    """t of each image of a batch: any of 1..T, the two ends often."""
    entry = st.sampled_from((1, T)) | st.integers(1, T)
    return st.lists(entry, min_size=1, max_size=3).map(tuple)


@st.composite
def schedules(
    draw: st.DrawFn, objective: str = "", lengths: st.SearchStrategy[int] = LENGTHS
) -> tuple[str, int, bool]:
    """The rule, T, and whether alpha_bar_T is 0: never where a signal has to be left."""
    rule, T = draw(st.sampled_from(SCHEDULES)), draw(lengths)
    return rule, T, objective not in ("pred_noise", "edm") and draw(st.booleans())


@st.composite
def level_cases(draw: st.DrawFn) -> Case:
    """An objective, and whole or real times of a schedule that suits it."""
    objective = draw(st.sampled_from(OBJECTIVES))
    rule, T, zero_snr = draw(schedules(objective))
    real = st.floats(0.01, T, exclude_max=zero_snr)
    t = draw(times(T) | st.lists(real, min_size=1, max_size=3).map(tuple))
    case: Case = {"schedule": (rule, T, zero_snr), "t": t, "objective": objective}
    return {**case, "sigma_data": draw(st.sampled_from((0.5, 1.3)))}


@st.composite
def process_cases(draw: st.DrawFn, objective: str = "") -> Case:
    """A batch at some times of a schedule."""
    schedule = draw(schedules(objective))
    return {
        "schedule": schedule,
        "t": draw(times(schedule[1])),
        "shape": draw(shapes()),
        "scale": draw(scales()),
        "seed": draw(seeds()),
    }


LONG: Case = {"schedule": ("cosine", 4000, False), "t": (2050, 3999, 1)}
IMAGES: Case = {**LONG, "shape": (2, 3, 5), "scale": 1.0, "seed": 1}
LEVELS: list[Case] = [
    {**LONG, "objective": "pred_noise"},
    {"schedule": ("sigmoid", 20, True), "t": (20,), "objective": "pred_v"},
    {"schedule": ("linear", 1000, False), "t": (0.3, 17.25, 999.5), "objective": "pred_noise"},
    {**LONG, "objective": "pred_x0"},
    {**LONG, "objective": "flow"},
    {**LONG, "objective": "x0_v_loss"},
    {**LONG, "objective": "edm", "sigma_data": 0.8},
]
