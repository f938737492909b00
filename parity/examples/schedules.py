"""Schedules, times, and batches at them."""

from __future__ import annotations

from hypothesis import strategies as st

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
    """The rule, T, and whether alpha_bar_T is 0: never where noise has to tell x_0."""
    rule, T = draw(st.sampled_from(SCHEDULES)), draw(lengths)
    return rule, T, objective != "pred_noise" and draw(st.booleans())


@st.composite
def gather_cases(draw: st.DrawFn, objective: str = "") -> Case:
    """Times of a schedule, of one that suits an objective where there is one."""
    schedule = draw(schedules(objective))
    return {"schedule": schedule, "t": draw(times(schedule[1]))}


@st.composite
def process_cases(draw: st.DrawFn, objective: str = "") -> Case:
    """A batch at some times of a schedule."""
    return {
        **draw(gather_cases(objective)),
        "shape": draw(shapes()),
        "scale": draw(scales()),
        "seed": draw(seeds()),
    }


LONG: Case = {"schedule": ("cosine", 4000, False), "t": (2050, 3999, 1)}
IMAGES: Case = {**LONG, "shape": (2, 3, 5), "scale": 1.0, "seed": 1}
GATHERS: list[Case] = [LONG, {"schedule": ("sigmoid", 20, True), "t": (20,)}]
