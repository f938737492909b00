"""What single operators are tried on; ``strategies`` is for all that is built of them."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from ..sides.alone import OPTIONS
from ..sides.device import KERNELS
from ..sides.products import OPERATORS
from .strategies import Case, seeds


@st.composite
def sum_cases(draw: st.DrawFn, /, kind: str, **options: tuple[Any, ...]) -> Case:
    """An operator that multiplies and adds, and integers times a power of two.

    2^-140 is a subnormal number, 2^-200 becomes zero; with 2^90 no product overflows.
    """
    return {
        "kind": kind,
        "dims": draw(st.sampled_from(((24, 21), (1, 1), (7, 16), (33, 48), (64, 10), (3, 130)))),
        "size": draw(st.sampled_from(((9, 14), (1, 1), (5, 3), (17, 16)))),
        "batch": draw(st.sampled_from((3, 1, 2, 7))),
        "power": draw(st.sampled_from((0, 90, -140, -200))),
        "draws": draw(st.sampled_from((2, 3))),
        "seed": draw(seeds()),
        **{name: draw(st.sampled_from(choices)) for name, choices in options.items()},
    }


@st.composite
def split_cases(draw: st.DrawFn) -> Case:
    """Sizes of the pieces of a vector, one or many, short or beyond 65,536."""
    size = st.sampled_from((70_000, 1, 3, 64, 1000)) | st.integers(1, 300)
    return {
        "sizes": tuple(draw(st.lists(size, min_size=1, max_size=6))),
        "seed": draw(seeds()),
        "kernels": draw(st.sampled_from(KERNELS)),
    }


@st.composite
def copy_cases(draw: st.DrawFn) -> Case:
    """An operator that multiplies by the identity matrix."""
    return {
        "operator": draw(st.sampled_from(sorted(OPERATORS))),
        "count": draw(st.sampled_from((64, 1, 999))),
        "dim": draw(st.sampled_from((48, 1, 7, 130))),
        "seed": draw(seeds()),
        "kernels": draw(st.sampled_from(("stock", "auto"))),
    }


@st.composite
def order_cases(draw: st.DrawFn) -> Case:
    """Calls of some layers in some order, few inputs each, so that some come again."""
    call = st.tuples(
        st.sampled_from(sorted(OPTIONS)), st.sampled_from((2, 1, 3)), st.sampled_from((2, 3))
    )
    return {
        "calls": tuple(draw(st.lists(call, min_size=3, max_size=8))),
        "kernels": draw(st.sampled_from(KERNELS)),
    }
