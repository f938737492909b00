"""EfficientNets of few channels: every kind of block, and even sides wherever they are halved."""

from __future__ import annotations

from hypothesis import strategies as st

from .values import Case, seeds

STAGES: list[tuple[tuple[int, int, int, int, int], ...]] = [
    ((1, 3, 1, 1, 4), (2, 5, 2, 3, 6)),
    ((2, 3, 1, 2, 4),),
    ((1, 5, 1, 1, 3), (1, 3, 2, 2, 4), (2, 5, 1, 2, 4)),
]
"""Repeats, kernel, stride, expansion, channels."""


@st.composite
def efficientnets(draw: st.DrawFn, /, **options: tuple[object, ...]) -> Case:
    """A network, and images of one size; ``options``: what else there is to choose."""
    return {
        "stages": draw(st.sampled_from(STAGES)),
        "size": draw(st.sampled_from(((16, 16), (8, 12), (20, 4)))),
        "batch": draw(st.sampled_from((2, 1, 3))),
        "scale": draw(st.sampled_from((1.0, 5.0))),
        "seed": draw(seeds()),
        **{name: draw(st.sampled_from(choices)) for name, choices in options.items()},
    }
