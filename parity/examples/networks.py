"""Networks of every option, and images for them."""

from __future__ import annotations

from itertools import product
from typing import Any

from hypothesis import strategies as st

from .covering import covering
from .values import Case, seeds


@st.composite
def networks(
    draw: st.DrawFn, levels: tuple[int, ...] = (2, 1, 3), first: tuple[str, ...] = ()
) -> Case:
    """Options of a small ``Unet``, any of all that there are.

    Hypothesis begins with the simplest example, which where few are drawn is most of what is seen:
    it has the first of ``levels`` and the options ``first``.
    """
    depth = draw(st.sampled_from(levels))
    options: Case = {
        "dim": draw(st.sampled_from((8, 4))),
        "dim_mults": draw(st.tuples(*[st.sampled_from((1, 2, 3))] * depth)),
        "channels": draw(st.sampled_from((1, 3))),
        "attn_heads": draw(st.sampled_from((2, 1))),
        "attn_dim_head": draw(st.sampled_from((4, 3))),
    }
    rest: dict[str, st.SearchStrategy[Any]] = {
        "init_dim": st.sampled_from((6, 9)),
        "self_condition": st.just(True),
        "learned_variance": st.just(True),
        "out_dim": st.just(2),
        "learned_sinusoidal_cond": st.just(True),
        "random_fourier_features": st.just(True),
        "learned_sinusoidal_dim": st.sampled_from((4, 10)),
        "sinusoidal_pos_emb_theta": st.sampled_from((100.0, 1e5)),
        "dropout": st.sampled_from((0.1, 0.5)),
        "attn_heads": st.tuples(*[st.integers(1, 3)] * depth),
        "attn_dim_head": st.tuples(*[st.integers(2, 5)] * depth),
        "full_attn": st.booleans() | st.tuples(*[st.booleans()] * depth),
        "num_classes": st.sampled_from((2, 1, 5)),
        "cond_channels": st.sampled_from((2, 1, 3)),
    }
    chosen = draw(st.just(set(first)) | st.sets(st.sampled_from(sorted(rest)), max_size=5))
    if "num_classes" in chosen:  # one is told a class, or shown a picture
        chosen = chosen - {"cond_channels"}
    return {**options, **{name: draw(rest[name]) for name in sorted(chosen)}}


def sizes(net: Case) -> st.SearchStrategy[tuple[int, int]]:
    """(H, W), seldom square: as small as the network allows, and larger."""
    factor = 2 ** (len(net["dim_mults"]) - 1)
    sides = st.sampled_from(((2, 3), (1, 1), (3, 1), (2, 2)))
    return sides.map(lambda s: (s[0] * factor, s[1] * factor))


@st.composite
def network_cases(draw: st.DrawFn, levels: tuple[int, ...] = (2, 1, 3), batch: int = 1) -> Case:
    """A network, and the time input of each of at least ``batch`` images: t - 1 for t = 1..4000."""
    first = ("self_condition", "dropout", "learned_sinusoidal_cond", "num_classes")
    net = draw(networks(levels, first))
    time = st.sampled_from((999.0, 0.0)) | st.integers(0, 3999).map(float)
    return {
        "net": net,
        "size": draw(sizes(net)),
        "time": tuple(draw(st.lists(time, min_size=batch, max_size=3))),
        "self_cond": net.get("self_condition", False) and not draw(st.booleans()),
        "seed": draw(seeds()),
    }


@st.composite
def two_size_cases(draw: st.DrawFn) -> Case:
    """A network, and the sizes at which it is asked: the last is the first again."""
    case = draw(network_cases(levels=(2, 1)))
    first = case.pop("size")
    other = draw(sizes(case["net"]).filter(lambda size: size != first))
    return {**case, "sizes": (first, other, first)}


NETWORK_OPTIONS: dict[str, tuple[Any, ...]] = {
    "full_attn": (None, True, False, "outermost"),
    "dim_mults": ((1, 2), (1,)),
    "embedding": ("sinusoidal", "learned", "random"),
    "frequencies": (16, 4),
    "theta": (10000.0, 100.0),
    "output": ("image", "variance", "two"),
    "self_condition": ("shown", "not shown", "none"),
    "dropout": (0.0, 0.5),
    "told": ({}, {"num_classes": 2, "cond_drop_prob": 0.5}, {"cond_channels": 2}),
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


def pairs_of_options() -> list[Case]:
    """Networks with images, in which every two values of any two options meet.

    The first image of each is at t = T = 4000: the network is told 3999.
    """
    return [_network(number, row) for number, row in enumerate(covering(NETWORK_OPTIONS))]


LEVELS = ("O1", "O2", "O3")


def at_levels(every: bool = False) -> list[Case]:
    """Some of these networks, one at each level of mixed precision, or every one at every level."""
    nets = pairs_of_options()
    pairs = product(nets, LEVELS) if every else zip(nets, LEVELS, strict=False)
    return [{**case, "level": level} for case, level in pairs]


def _network(seed: int, row: Case) -> Case:
    levels = range(len(row["dim_mults"]))
    full_attn = row["full_attn"]
    net = {
        **{name: row[name] for name in ("dim", "dim_mults", "channels", "dropout", "init_dim")},
        **row["told"],
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


@st.composite
def sequence_networks(draw: st.DrawFn, depths: tuple[int, ...] = (2, 1)) -> Case:
    """Options of a small ``Unet1D``, and how long its sequences are."""
    depth = draw(st.sampled_from(depths))
    net: Case = {
        "kind": "unet1d",
        "dim": draw(st.sampled_from((4, 8))),
        "dim_mults": draw(st.tuples(*[st.sampled_from((1, 2))] * depth)),
        "channels": draw(st.sampled_from((2, 1))),
        "init_dim": draw(st.sampled_from((6, None))),
        **_heads(draw, "attn"),
        **_heads(draw, "linear_attn"),
        **draw(_common()),
    }
    length = draw(st.sampled_from((3, 1, 4))) << (depth - 1)
    return {"net": net, "size": (length,)}


@st.composite
def vector_networks(draw: st.DrawFn) -> Case:
    """Options of a small ``Mlp``."""
    net: Case = {
        "kind": "mlp",
        "dim": draw(st.sampled_from((8, 4))),
        "depth": draw(st.sampled_from((2, 1, 3))),
        "channels": draw(st.sampled_from((3, 1, 5))),
        **draw(_common()),
    }
    return {"net": net, "size": ()}


def _heads(draw: st.DrawFn, name: str) -> Case:
    heads, dim_head = draw(st.sampled_from(((2, 3), (1, 4))))
    return {f"{name}_heads": heads, f"{name}_dim_head": dim_head}


@st.composite
def _common(draw: st.DrawFn) -> Case:
    embedding = draw(st.sampled_from(("sinusoidal", "learned", "random")))
    return {
        **EMBEDDINGS[embedding],
        "learned_sinusoidal_dim": 4,
        "self_condition": draw(st.sampled_from((True, False))),
        "dropout": draw(st.sampled_from((0.25, 0.0))),
        "num_classes": draw(st.sampled_from((2, None))),
    }


@st.composite
def asked(draw: st.DrawFn, networks: st.SearchStrategy[Case]) -> Case:
    """A network over sequences or vectors, and what it is asked."""
    case = draw(networks)
    time = st.sampled_from((999.0, 0.0)) | st.integers(0, 3999).map(float)
    return {
        **case,
        "time": tuple(draw(st.lists(time, min_size=2, max_size=3))),
        "self_cond": case["net"]["self_condition"] and not draw(st.booleans()),
        "seed": draw(seeds()),
    }
