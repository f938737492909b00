"""All that is measured of drawn items, as one document that JSON can hold."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..schedule import Array
from .classes import NEIGHBOURS, balance
from .colour import NAMES, channels, flags
from .comparison import check_finite, compare, halves
from .copies import copies
from .resampling import Figure

SHOWN = 16
"""Pairs of a drawn item and its nearest training item that are told of."""


class Sets(NamedTuple):
    """What is compared.

    Attributes:
        drawn: (N, C, ...), what a model draws.
        real: (M, C, ...), what it was trained on.
        held_out: (m, C, ...), of the same kind, and never seen by it.
        labels: (M,) classes of the real ones.
        asked: (N,) classes that were asked for.
    """

    drawn: Array
    real: Array
    held_out: Array | None = None
    labels: NDArray[Any] | None = None
    asked: NDArray[Any] | None = None


def document(
    sets: Sets,
    features: Callable[[Array], Array],
    *,
    seed: int = 0,
    replicates: int = 50,
    on_stage: Callable[[], None] = lambda: None,
) -> dict[str, Any]:
    """Measure everything. ``on_stage`` is called ``stages(sets)`` times on the way.

    Items of uint8 are told of as 0 to 1. Every figure has its value, its sampling error and its
    interval of 95 %. Raises ValueError for too few items, and for features that are not finite.
    """

    def described(which: str, items: Array) -> Array:
        found = features(items)
        check_finite(which, items, found)
        on_stage()
        return found

    def compared(one: Array, other: Array) -> dict[str, Any]:
        found = compare(one, other, seed=seed, replicates=replicates)
        on_stage()
        return {name: told(figure) for name, figure in found.items()}

    drawn, real = described("drawn", sets.drawn), described("training", sets.real)
    held_out = None if sets.held_out is None else described("held-out", sets.held_out)
    distances = {"drawn": compared(drawn, real), "halves": compared(*halves(real, seed))}
    if held_out is not None:
        distances["held_out"] = compared(held_out, real)
        distances["drawn_to_held_out"] = compared(drawn, held_out)
    found = {
        "features": int(drawn.shape[1]),
        "distances": distances,
        "copies": _copies(drawn, real, held_out),
        "colour": _colour(sets.drawn, sets.real),
    }
    if sets.labels is not None and len(real) > NEIGHBOURS:
        found["classes"] = _classes(drawn, real, sets.labels, sets.asked)
    return found


def stages(sets: Sets) -> int:
    """How often ``document`` calls ``on_stage``."""
    return 4 if sets.held_out is None else 7


def told(figure: Figure) -> dict[str, float]:
    """A figure for JSON."""
    low, high = figure.interval
    return {"value": figure.value, "error": figure.error, "low": low, "high": high}


def _copies(drawn: Array, real: Array, held_out: Array | None) -> dict[str, Any]:
    found = copies(drawn, real, held_out)
    closest = found.closest(SHOWN)
    pairs: list[dict[str, Any]] = [
        {"drawn": int(i), "training": int(found.which[i]), "distance": float(found.distance[i])}
        for i in closest
    ]
    more: dict[str, Any] = {}
    if found.ratio is not None and found.nearer is not None:
        for pair, i in zip(pairs, closest, strict=True):
            pair["ratio"] = _finite(found.ratio[i])
        more = {
            "nearer_to_training": told(found.nearer),
            "expected": found.expected,
            "median_ratio": _finite(np.median(found.ratio)),
        }
    return {
        "median_distance": found.median,
        "median_distance_of_training": found.median_real,
        "closer_than_1_percent_of_training": told(found.close),
        **more,
        "closest": pairs,
    }


def _finite(value: Any) -> float | None:
    return float(value) if np.isfinite(value) else None


def _colour(drawn: Array, real: Array) -> dict[str, Any]:
    found = channels(*(x / 255.0 if x.dtype == np.uint8 else x for x in (drawn, real)))
    names = NAMES.get(len(found), ()) if drawn.ndim == 4 else ()
    rows = [
        {name: told(figure) for name, figure in channel._asdict().items()}
        | {"cast": channel.cast, "contrast": channel.contrast}
        for channel in found
    ]
    return {"channels": rows, "names": list(names), "flags": flags(found, names)}


def _classes(
    drawn: Array, real: Array, labels: NDArray[Any], asked: NDArray[Any] | None
) -> dict[str, Any]:
    found = balance(drawn, real, labels, asked)
    return {
        "counts": found.counts.tolist(),
        "counts_of_training": found.real_counts.tolist(),
        "agreement": None if found.agreement is None else told(found.agreement),
        "agreement_of_each": None if found.of_each is None else found.of_each.tolist(),
        "judge": found.judge,
        "sure": found.sure,
        "sure_of_training": found.sure_real,
    }
