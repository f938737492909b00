"""Estimates of images, and variances, for the variational bound."""

from __future__ import annotations

from hypothesis import strategies as st

from .schedules import schedules, times
from .values import Case, seeds


@st.composite
def bound_cases(draw: st.DrawFn) -> Case:
    """Images of 256 grey levels, with estimates that are near, or far off, at some times."""
    rule, T, zero_snr = draw(schedules("pred_v", st.sampled_from((1000, 4000, 20, 2, 1))))
    return {
        "schedule": (rule, T, zero_snr),
        "t": draw(st.just((1, T)) | times(T)),
        "shape": draw(st.sampled_from(((2, 2, 3), (1, 4)))),
        "error": draw(st.sampled_from((0.01, 0.3, 3.0))),
        "spread": draw(st.sampled_from((1.0, 0.0, 3.0))),
        "vlb_weight": draw(st.sampled_from((0.001, 1.0))),
        "seed": draw(seeds()),
    }


BOUNDS: list[Case] = [
    {
        **{"schedule": ("linear", 1000, False), "t": (1, 2, 600), "shape": (2, 2, 3)},
        **{"error": error, "spread": 1.0, "vlb_weight": 0.001, "seed": 1},
    }
    for error in (0.01, 0.5)
]
