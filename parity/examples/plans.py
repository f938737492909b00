"""Plans with memory, as no sampler of today has them: any factors of any registers."""

from __future__ import annotations

from hypothesis import strategies as st

from .values import Case, seeds

MEMORY: list[Case] = [
    {
        **{"schedule": ("cosine", 50, False), "objective": "pred_v"},
        **{"timesteps": (50, 40, 30, 20, 10), "memory": 3, "anchors": (0, 2), "self_cond": 0.25},
        **{"shape": (2, 3), "batch": 2, "seed": 1},
    }
]


@st.composite
def plan_cases(draw: st.DrawFn) -> Case:
    """Steps in any order, up to three earlier estimates, and an anchor or none."""
    T = draw(st.sampled_from((50, 4000)))
    count = draw(st.integers(1, 6))
    return {
        "schedule": (draw(st.sampled_from(("cosine", "linear"))), T, False),
        "objective": draw(st.sampled_from(("pred_v", "pred_x0"))),
        "timesteps": tuple(draw(st.lists(st.integers(1, T), min_size=count, max_size=count))),
        "memory": draw(st.sampled_from((2, 3, 1, 0))),
        "anchors": draw(st.sampled_from(((0,), (), (0, 2)))),
        "self_cond": draw(st.sampled_from((0.25, 0.0))),
        "shape": draw(st.sampled_from(((2, 3, 5), (3, 4), (5,)))),
        "batch": draw(st.sampled_from((2, 1))),
        "seed": draw(seeds()),
    }
