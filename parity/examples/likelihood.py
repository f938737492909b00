"""Directions along which a denoiser is differentiated."""

from __future__ import annotations

from hypothesis import strategies as st

from ...reference.objective import OBJECTIVES
from ..sides import device
from .values import Case, seeds

PROBED: list[Case] = [
    {
        **{"schedule": ("cosine", 50, False), "objective": "pred_v", "self_condition": True},
        **{"t": 30.0, "shape": (3, 4, 6), "batch": 2, "seed": 3, "modes": device.MODES},
    }
]


@st.composite
def probed_cases(draw: st.DrawFn) -> Case:
    """Whole and real times, of every objective."""
    T = draw(st.sampled_from((50, 1000)))
    return {
        "schedule": (draw(st.sampled_from(("cosine", "linear", "sigmoid"))), T, False),
        "objective": draw(st.sampled_from(OBJECTIVES)),
        "self_condition": draw(st.booleans()),
        "t": draw(st.one_of(st.integers(1, T).map(float), st.floats(1.0, T))),
        "shape": (draw(st.sampled_from((1, 3))), *draw(st.sampled_from(((4, 6), (2, 2))))),
        "batch": draw(st.sampled_from((2, 1))),
        "seed": draw(seeds()),
        "modes": ("eager",),
    }
