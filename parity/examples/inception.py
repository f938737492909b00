"""Inceptions of few channels and small images, and resizings."""

from __future__ import annotations

from hypothesis import strategies as st

from .values import Case, seeds

SIZES = ((75, 107), (107, 75), (139, 75))
"""Sides that are odd wherever they are halved, as 299 is, and of which some end wider than 1."""


@st.composite
def inceptions(draw: st.DrawFn, /, **options: tuple[object, ...]) -> Case:
    """A network, and images of one size; ``options``: what else there is to choose."""
    return {
        "size": draw(st.sampled_from(SIZES)),
        "batch": draw(st.sampled_from((2, 1))),
        "seed": draw(seeds()),
        **{name: draw(st.sampled_from(choices)) for name, choices in options.items()},
    }


@st.composite
def resizings(draw: st.DrawFn, /) -> Case:
    """Pixels that there are, and as many as are wanted: more, fewer, or the same."""
    sides = st.tuples(st.integers(1, 40), st.integers(1, 40))
    return {"have": draw(sides), "want": draw(sides), "seed": draw(seeds())}
