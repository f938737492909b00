"""Moments of latents: of autoencoders that are sure of them, and of others."""

from __future__ import annotations

from hypothesis import strategies as st

from .values import Case, seeds

LATENTS: list[Case] = [
    {"shape": (4, 2, 3), "batch": 3, "spread": 4.0, "log_variance": s, "scale": 0.18215, "seed": 1}
    for s in (-12.0, 1.0)
]


@st.composite
def latent_cases(draw: st.DrawFn) -> Case:
    return {
        "shape": draw(st.sampled_from(((4, 2, 3), (1, 1, 1), (4, 8, 8)))),
        "batch": draw(st.sampled_from((3, 2, 5))),
        "spread": draw(st.sampled_from((4.0, 1.0, 1e-3))),
        "log_variance": draw(st.sampled_from((-12.0, 1.0, -29.0, 6.0))),
        "scale": draw(st.sampled_from((0.18215, 1.0, 3.0))),
        "seed": draw(seeds()),
    }
