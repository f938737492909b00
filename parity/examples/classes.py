"""Networks that are told the class of each image, or shown a smaller one."""

from __future__ import annotations

from hypothesis import strategies as st

from .images import CLASSES
from .values import Case


@st.composite
def classes(draw: st.DrawFn, data: Case, trainer: Case) -> Case:
    """Of a network that is told the class of each image, where they have one."""
    if data["kind"] != "folder" or not draw(st.booleans()):
        return {}
    count = len(trainer["only_class"]) or len(CLASSES)
    return {"num_classes": count, "cond_drop_prob": draw(st.sampled_from((0.5, 0.1, 0.0)))}


@st.composite
def small_pictures(draw: st.DrawFn, size: tuple[int, int], net: Case, trainer: Case) -> Case:
    """Of a network that is shown each image half as large; its factor goes to ``trainer``."""
    if size[0] % 2 or size[1] % 2 or not draw(st.booleans()):
        return {}
    trainer["super_resolve"] = 2
    drop = draw(st.sampled_from((0.5, 0.1, 0.0)))
    return {"cond_channels": net["channels"], "cond_drop_prob": drop}
