"""Single operators: what multiplies and adds, what copies, in which order they are called."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from ..sides.alone import OPTIONS
from ..sides.device import KERNELS
from ..sides.products import OPERATORS
from .values import Case, seeds


@st.composite
def sum_cases(draw: st.DrawFn, /, kind: str, **options: tuple[Any, ...]) -> Case:
    """An operator that multiplies and adds, and integers times a power of two.

    2^-140 is a subnormal number, 2^-200 becomes zero; with 2^90 no product overflows.
    """
    return {
        "kind": kind,
        "dims": draw(st.sampled_from(((24, 21), (1, 1), (7, 16), (32, 48), (64, 10), (3, 130)))),
        "size": draw(st.sampled_from(((9, 14), (1, 1), (5, 3), (16, 18)))),
        "batch": draw(st.sampled_from((3, 1, 2, 7))),
        "power": draw(st.sampled_from((0, 90, -140, -200))),
        "draws": draw(st.sampled_from((2, 3))),
        "seed": draw(seeds()),
        **{name: draw(st.sampled_from(choices)) for name, choices in options.items()},
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


TRANSPOSES = ((False, False), (True, False), (False, True), (True, True))


def _sum(kind: str, dims: tuple[int, int], size: tuple[int, int], batch: int, **rest: Any) -> Case:
    return {"kind": kind, "dims": dims, "size": size, "batch": batch, "seed": 0, **rest}


LARGE_SUMS = [
    _sum("conv2d", (64, 64), (64, 64), 2, kernel=3),
    _sum("conv2d", (512, 384), (8, 8), 2, kernel=3),
    _sum("conv2d", (3, 48), (32, 32), 16, kernel=7),
    _sum("conv2d", (129, 65), (31, 17), 3, kernel=3),
    _sum("conv2d", (16, 24), (8, 12), 64, kernel=5),
    _sum("conv2d", (512, 96), (16, 16), 2, kernel=1),
    # 2 * 9 * 24^2 * 97 operations, more than a million, and 2 * 9 * 24^2 * 96, which are less.
    _sum("conv2d", (24, 24), (1, 97), 1, kernel=3),
    _sum("conv2d", (24, 24), (8, 12), 1, kernel=3),
    _sum("conv2d", (2, 3), (1, 65_600), 1, kernel=1),
    _sum("conv2d", (2, 3), (1, 2), 65_601, kernel=3),
    _sum("conv2d", (1, 65_602), (2, 2), 1, kernel=1),
    _sum("conv2d", (24, 40), (16, 16), 3, kernel=3, kernels="stock"),
    _sum("conv2d", (72, 130), (17, 31), 2, kernel=1, kernels="stock"),
    _sum("conv2d", (3, 8), (32, 32), 5, kernel=7, kernels="stock"),
    _sum("downsample", (64, 128), (32, 32), 2),
    _sum("downsample", (24, 17), (9, 5), 33),
    _sum("downsample", (24, 17), (9, 5), 3, power=-140),
    _sum("conv2d", (24, 17), (9, 5), 3, power=-200, kernel=3),
    _sum("downsample", (16, 48), (16, 16), 2, kernels="stock"),
    _sum("upsample", (96, 64), (16, 16), 2),
    _sum("upsample", (7, 24), (5, 9), 33),
    _sum("upsample", (16, 24), (8, 8), 3, kernels="stock"),
    _sum("linear", (512, 1024), (1, 1), 64),
    _sum("linear", (3, 5), (1, 1), 70_001),
    _sum("linear", (4, 70_001), (1, 1), 3),
    _sum("linear", (70_001, 2), (1, 1), 2),
    _sum("product", (32, 260), (4, 256), 2, transpose=(True, False)),
    _sum("product", (1028, 32), (4, 32), 2, transpose=(False, True)),
    _sum("product", (128, 384), (1, 1024), 2, transpose=(True, True)),
    _sum("product", (3, 66_000), (1, 2), 2, transpose=(False, False)),
    _sum("product", (66_000, 3), (2, 2), 1, transpose=(False, True)),
]
"""Sums at the sizes of training: channels that are multiples of 8, 16, 48, 64 and of none of them;
many images; axes beyond 65,536, where a 16-bit index wraps."""

COPIES = [
    {"operator": operator, "count": 300, "dim": 65, "seed": 0, "kernels": "auto"}
    for operator in OPERATORS
]

EVERY_CALL = tuple((kind, batch, seed) for batch, seed in ((5, 0), (2, 1)) for kind in OPTIONS)
"""Calls of every kind of layer, and then again with other images."""
