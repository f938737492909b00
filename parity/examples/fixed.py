"""Fixed examples, tried before those that are drawn: what chance would find late or never.

Pairs of the network's options, and layers as large as those that people train, where other kernels
run than on small ones.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import product
from typing import Any

from hypothesis import example

from ..sides.alone import OPTIONS
from ..sides.products import OPERATORS
from .covering import covering
from .strategies import Case


def first(cases: Iterable[Case]) -> Callable[[Any], Any]:
    """Give a property these cases first, in their order, whatever the number of examples."""

    def mark(test: Any) -> Any:
        for case in reversed(list(cases)):
            test = example(case=case)(test)
        return test

    return mark


NETWORK_OPTIONS: dict[str, tuple[Any, ...]] = {
    "full_attn": (None, True, False, "outermost"),
    "dim_mults": ((1, 2), (1,)),
    "embedding": ("sinusoidal", "learned", "random"),
    "frequencies": (16, 4),
    "theta": (10000.0, 100.0),
    "output": ("image", "variance", "two"),
    "self_condition": ("shown", "not shown", "none"),
    "dropout": (0.0, 0.5),
    "dim": (8, 16),
    "init_dim": (None, 6),
    "channels": (3, 1),
    "attn_heads": (2, "each"),
    "attn_dim_head": (4, "each"),
    "sides": ((2, 3), (1, 1), (4, 2)),
    "batch": (2, 1, 3),
}
"""What a network's forward pass depends on; "each": another number at each level."""

EMBEDDINGS: dict[str, Case] = {
    "sinusoidal": {},
    "learned": {"learned_sinusoidal_cond": True},
    "random": {"random_fourier_features": True},
}
OUTPUTS: dict[str, Case] = {
    "image": {},
    "variance": {"learned_variance": True},
    "two": {"out_dim": 2},
}


def networks() -> list[Case]:
    """Networks with images, in which every two values of any two options meet.

    The first image of each is at t = T = 4000: the network is told 3999.
    """
    return [_network(number, row) for number, row in enumerate(covering(NETWORK_OPTIONS))]


LEVELS = ("O1", "O2", "O3")


def levels(every: bool = False) -> list[Case]:
    """Some of these networks, one at each level of mixed precision, or every one at every level."""
    pairs = product(networks(), LEVELS) if every else zip(networks(), LEVELS, strict=False)
    return [{**case, "level": level} for case, level in pairs]


def _network(seed: int, row: Case) -> Case:
    levels = range(len(row["dim_mults"]))
    full_attn = row["full_attn"]
    net = {
        **{name: row[name] for name in ("dim", "dim_mults", "channels", "dropout", "init_dim")},
        **EMBEDDINGS[row["embedding"]],
        **OUTPUTS[row["output"]],
        "self_condition": row["self_condition"] != "none",
        "learned_sinusoidal_dim": row["frequencies"],
        "sinusoidal_pos_emb_theta": row["theta"],
        "attn_heads": _each(row["attn_heads"], [1 + level for level in levels]),
        "attn_dim_head": _each(row["attn_dim_head"], [5 - level for level in levels]),
        "full_attn": tuple(i == 0 for i in levels) if full_attn == "outermost" else full_attn,
    }
    factor = 2 ** levels[-1]
    return {
        "net": net,
        "size": tuple(side * factor for side in row["sides"]),
        "time": (3999.0, 0.0, 31.0)[: row["batch"]],
        "self_cond": row["self_condition"] == "shown",
        "seed": seed,
    }


def _each(choice: Any, values: list[int]) -> Any:
    return tuple(values) if choice == "each" else choice


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
