"""Layers, small ones that are drawn, and some as large as those that people train.

On large ones other kernels run than on small ones.
"""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from .values import Case, seeds


@st.composite
def layer_cases(
    draw: st.DrawFn, /, scales: tuple[float, ...] = (1.0,), **options: tuple[Any, ...]
) -> Case:
    """A layer between few channels on a small image; ``options``: what else there is to choose."""
    return {
        "dims": draw(st.sampled_from(((4, 6), (8, 8), (2, 3)))),
        "size": draw(st.sampled_from(((4, 6), (2, 2), (8, 4)))),
        "batch": draw(st.sampled_from((2, 1, 3))),
        "scale": draw(st.sampled_from(scales)),
        "seed": draw(seeds()),
        **{name: draw(st.sampled_from(choices)) for name, choices in options.items()},
    }


@st.composite
def half_cases(draw: st.DrawFn) -> Case:
    """A layer that has products, and a level of mixed precision.

    Some convolutions have as many channels and pixels as Winograd's filtering needs.

    At a scale of 300 the squares that a norm adds up are beyond the range of float16.
    """
    options: dict[str, Case] = {
        "block": {},
        "linear_attention": {"heads": (2, 1), "dim_head": (4, 3)},
        "attention": {"heads": (2, 1), "dim_head": (4, 3)},
        "resnet_block": {"dropout": (0.25, 0.0)},
        "conv2d": {"kernel": (3, 7, 1)},
        "linear": {},
        "downsample": {},
        "upsample": {},
    }
    kind = draw(st.sampled_from(tuple(options)))
    scales = (1.0,) if kind in ("conv2d", "linear") else (300.0, 1.0)
    level = draw(st.sampled_from(("O2", "O1", "O3")))
    case = {"kind": kind, "level": level, **draw(layer_cases(scales=scales, **options[kind]))}
    if kind in ("conv2d", "upsample") and draw(st.booleans()):
        case |= {"dims": (32, 48), "size": (16, 10), "batch": 2}
    return case


@st.composite
def whole_cases(draw: st.DrawFn) -> Case:
    """A residual block between numbers of channels that a compiled one takes, and others."""
    dims, skip = draw(
        st.sampled_from((((32, 32), 0), ((48, 16), 32), ((32, 32), 16), ((20, 6), 8)))
    )
    level, dtype = draw(st.sampled_from((("O1", "bfloat16"), ("O0", "float32"))))
    return {
        **draw(layer_cases()),
        "dims": dims,
        "skip": skip,
        "recomputed": draw(st.booleans()),
        "size": draw(st.sampled_from(((4, 6), (16, 10), (8, 9), (1, 1)))),
        "level": level,
        "dtype": dtype,
    }


def stock(**options: Any) -> list[Case]:
    """A layer of MindSpore's own operators, which are drawn half of the time at most."""
    case = {"dims": (6, 8), "size": (4, 6), "batch": 2, "scale": 1.0, "seed": 1}
    return [{**case, "kernels": "stock", **options}]


def _large(
    kind: str, dims: tuple[int, int], size: tuple[int, int], batch: int, **rest: Any
) -> Case:
    case = {"kind": kind, "dims": dims, "size": size, "batch": batch, "scale": 1.0, "seed": 0}
    return {**case, **rest}


HEADS: Case = {"heads": 4, "dim_head": 32}

LARGE_LAYERS = [
    _large("gelu", (512, 512), (7, 9), 5),
    _large("rms_norm", (512, 512), (8, 8), 2),
    _large("rms_norm", (48, 48), (64, 40), 3),
    _large("rms_norm", (130, 130), (17, 31), 2, kernels="stock"),
    _large("block", (64, 96), (32, 24), 2),
    _large("block", (16, 24), (8, 8), 64),
    _large("block", (24, 40), (16, 16), 3, kernels="stock"),
    _large("resnet_block", (96, 65), (16, 16), 3, dropout=0.25),
    _large("linear_attention", (64, 64), (32, 32), 2, **HEADS),
    _large("linear_attention", (48, 48), (16, 12), 3, **HEADS, kernels="stock"),
    _large("attention", (128, 128), (16, 16), 2, **HEADS),
    _large("attention", (48, 48), (8, 12), 3, **HEADS, kernels="stock"),
]
"""Layers between so many channels, multiples of 8, 16, 48, 64 and of none of them."""
