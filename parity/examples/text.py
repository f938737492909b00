"""The networks that paint from text, tiny, and their parts."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from .values import Case, seeds


@st.composite
def part_cases(
    draw: st.DrawFn, /, scales: tuple[float, ...] = (1.0,), **options: tuple[Any, ...]
) -> Case:
    """A part with few channels; ``options``: what else there is to choose."""
    return {
        "dim": draw(st.sampled_from((4, 8, 12))),
        "size": draw(st.sampled_from(((4, 6), (2, 2), (3, 5)))),
        "batch": draw(st.sampled_from((2, 1, 3))),
        "scale": draw(st.sampled_from(scales)),
        "seed": draw(seeds()),
        **{name: draw(st.sampled_from(choices)) for name, choices in options.items()},
    }


UNET: Case = {
    "dim": 4,
    "dim_mults": (1,),
    "blocks": 1,
    "attention": False,
    "heads": 2,
    "context_dim": 3,
    "groups": 2,
}
"""With one transformer, that in the middle."""

UNETS: list[Case] = [
    {"dim_mults": (1, 2)},
    {"dim_mults": (1, 2), "gelu": "tanh", "attention": True, "blocks": 2},
    {"dim_mults": (1, 2), "attention": (False, True), "extra_channels": 5, "dropout": 0.25},
    {"dim_mults": (1, 2, 2), "attention": None, "heads": 1, "groups": 4, "dim": 8},
]
"""What others have besides."""

AUTOENCODER: Case = {"dim": 4, "dim_mults": (1, 2), "groups": 2, "latent_channels": 2}
WORDS: Case = {"vocabulary": 7, "length": 5, "text_layers": 1, "text_heads": 3}
"""What the network has besides, that is told a text."""

TEXT: Case = {"vocabulary": 7, "length": 6, "width": 8, "layers": 1, "heads": 2}
