"""All distances between two sets of features, beside what real sets are from each other."""

from __future__ import annotations

import numpy as np

from ..schedule import Array
from . import LEAST, frechet
from .kernel import kernel_distance
from .neighbours import manifolds
from .resampling import Figure


def compare(drawn: Array, real: Array, *, seed: int = 0, replicates: int = 50) -> dict[str, Figure]:
    """Every measure of rows of features (n, D) beside those of real items (m, D), by name.

    Raises ValueError for fewer than 16 rows on either side.
    """
    if min(len(drawn), len(real)) < LEAST:
        raise ValueError(
            f"{len(drawn)} drawn and {len(real)} real items are too few: {LEAST} of each are "
            "needed at least, and thousands to say much"
        )
    options = {"seed": seed, "replicates": replicates}
    distance, at_infinity = frechet.measured(drawn, real, **options)
    return {
        "frechet": distance,
        "frechet_infinity": at_infinity,
        "kernel": kernel_distance(drawn, real, **options),
        **manifolds(drawn, real, **options)._asdict(),
    }


def halves(real: Array, seed: int = 0) -> tuple[Array, Array]:
    """Two random halves of the rows: what no model can be better than, at this size."""
    order = np.random.default_rng(seed).permutation(len(real))
    middle = len(real) // 2
    return real[order[:middle]], real[order[middle:]]


def check_finite(which: str, items: Array, features: Array) -> None:
    """Raise ValueError where features (n, D) of items (n, ...) are not finite, and say of which.

    ``which`` items they are, for the message.
    """
    bad = np.flatnonzero(~np.isfinite(features).all(1))
    if not len(bad):
        return
    first, others = bad[0], f" ({len(bad):,} such of {len(features):,})" if len(bad) > 1 else ""
    if np.isfinite(items[first]).all():
        remedy = "the weights that they are computed with are damaged, or others: give the right"
    else:
        remedy = "the item holds NaN or infinity itself, so what made it is at fault"
    raise ValueError(f"the features of {which} item {first} are not finite{others}: {remedy}")
