"""Plans with memory, as no sampler of today has them: any factors of anything that was kept."""

from __future__ import annotations

from hypothesis import strategies as st

from .values import Case, seeds

MEMORY: list[Case] = [
    {
        **{"schedule": ("cosine", 50, False), "objective": "pred_v"},
        **{"timesteps": (50, 40, 30.5, 20, 10), "memory": 3, "silent": (1,), "self_cond": 0.25},
        **{"shape": (2, 3), "batch": 2, "seed": 1},
    }
]


@st.composite
def plan_cases(draw: st.DrawFn) -> Case:
    """Evaluations at any times in any order, which read up to three things that were kept."""
    T = draw(st.sampled_from((50, 4000)))
    count = draw(st.integers(1, 6))
    times = st.integers(1, T) | st.floats(1, T, width=32)
    return {
        "schedule": (draw(st.sampled_from(("cosine", "linear"))), T, False),
        "objective": draw(st.sampled_from(("pred_v", "pred_x0"))),
        "timesteps": tuple(draw(st.lists(times, min_size=count, max_size=count))),
        "memory": draw(st.sampled_from((2, 3, 1, 0))),
        "silent": draw(st.sampled_from(((), (0,)))),
        "self_cond": draw(st.sampled_from((0.25, 0.0))),
        "shape": draw(st.sampled_from(((2, 3, 5), (3, 4), (5,)))),
        "batch": draw(st.sampled_from((2, 1))),
        "seed": draw(seeds()),
    }
