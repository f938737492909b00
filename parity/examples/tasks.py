"""Tasks on short walks: what is known, how it was degraded, and where the walk goes."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from ...reference.objective import OBJECTIVES
from ..sides import device
from .values import Case, seeds

EAGER = ("eager",)

WALK: dict[str, Any] = {
    **{"schedule": ("cosine", 50, False), "objective": "pred_v", "self_condition": True},
    **{"timesteps": (50, 30, 10), "shape": (3, 4, 6), "batch": 2, "seed": 3},
}

PAINTED: list[Case] = [{**WALK, "jumps": (1, 2), "modes": device.MODES}]
RESTORED: list[Case] = [
    {**WALK, "degradation": "blur:0.7", "sigma_y": 0.3, "jumps": (2, 2), "modes": device.MODES},
    {**WALK, "degradation": "downsample:2", "sigma_y": 0.0, "jumps": (1, 1), "modes": EAGER},
]
FOLLOWED: list[Case] = [{**WALK, "degradation": "grey", "scale": 0.7, "modes": device.MODES}]

JUMPS = st.sampled_from(((1, 1), (1, 2), (2, 2), (1, 3)))


@st.composite
def _walks(draw: st.DrawFn, channels: tuple[int, ...]) -> Case:
    T = draw(st.sampled_from((50, 1000)))
    few = st.sets(st.integers(1, T), min_size=1, max_size=4).map(lambda s: sorted(s, reverse=True))
    sides = draw(st.sampled_from(((4, 6), (2, 2))))
    return {
        "schedule": (draw(st.sampled_from(("cosine", "linear", "sigmoid"))), T, False),
        "objective": draw(st.sampled_from(OBJECTIVES)),
        "self_condition": draw(st.booleans()),
        "timesteps": tuple(draw(few)),
        "shape": (draw(st.sampled_from(channels)), *sides),
        "batch": draw(st.sampled_from((2, 1))),
        "seed": draw(seeds()),
        "modes": EAGER,
    }


@st.composite
def painted_cases(draw: st.DrawFn) -> Case:
    """A walk that paints what a drawn mask hides."""
    return {**draw(_walks((1, 3))), "jumps": draw(JUMPS)}


@st.composite
def restored_cases(draw: st.DrawFn) -> Case:
    """A walk that undoes a degradation, with noise on what was measured or not."""
    sigma_y = draw(st.sampled_from((0.0, 0.1, 1.0)))
    kind = draw(_degradations())
    return {**draw(_walks((3,))), **kind, "sigma_y": sigma_y, "jumps": draw(JUMPS)}


@st.composite
def followed_cases(draw: st.DrawFn) -> Case:
    """A walk along the gradient of the misfit."""
    scale = draw(st.sampled_from((1.0, 0.1)))
    return {**draw(_walks((3,))), **draw(_degradations()), "scale": scale}


@st.composite
def direction_cases(draw: st.DrawFn) -> Case:
    """Arrays of any size, in the directions of a degradation."""
    sides = draw(st.sampled_from(((4, 6), (32, 16), (8,))))
    return {
        **draw(_degradations()),
        "shape": (3, *sides),
        "batch": draw(st.sampled_from((2, 1, 5))),
        "seed": draw(seeds()),
        "modes": EAGER,
    }


@st.composite
def _degradations(draw: st.DrawFn) -> Case:
    kinds = ("blur:0.7", "downsample:2", "grey", "noise")
    return {"degradation": draw(st.sampled_from(kinds))}


DIRECTIONS: list[Case] = [
    {
        **{"degradation": "blur:0.7", "shape": (3, 4, 6), "batch": 2, "seed": 0},
        "modes": device.MODES,
    }
]
