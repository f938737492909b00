"""Do items show what they were asked to show? Judged by their nearest labelled neighbours."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.distance import cdist

from ..schedule import Array
from .resampling import Figure

NEIGHBOURS = 10


class Vote(NamedTuple):
    """What the neighbours say of each item.

    Attributes:
        found: (N,) the class that most of them have.
        sure: (N,) whether all of them have it.
    """

    found: NDArray[np.int64]
    sure: NDArray[np.bool_]


class Balance(NamedTuple):
    """How drawn items fall into classes.

    Attributes:
        counts, real_counts: items judged to be of each class, and real ones that are.
        agreement: share of drawn items judged to be what was asked for; None where nothing was.
        of_each: the same of each class.
        judge: share of real items judged right, each by the others: the most to expect.
        sure, sure_real: share on which all neighbours agree.
    """

    counts: NDArray[np.int64]
    real_counts: NDArray[np.int64]
    agreement: Figure | None
    of_each: NDArray[np.float64] | None
    judge: float
    sure: float
    sure_real: float


def vote(
    x: Array, real: Array, labels: NDArray[Any], *, k: int = NEIGHBOURS, own: bool = False
) -> Vote:
    """Judge rows of features (N, D) by the labels (M,) of the nearest of ``real`` (M, D).

    ``own``: x is ``real``, and no row judges itself.
    """
    classes = int(labels.max()) + 1
    found, sure = [], []
    for start in range(0, len(x), 1024):
        distances = cdist(x[start : start + 1024], real)
        if own:
            np.fill_diagonal(distances[:, start:], np.inf)
        nearest = np.argpartition(distances, k, axis=1)[:, :k]
        votes = (labels[nearest][..., None] == np.arange(classes)).sum(1)
        found.append(votes.argmax(1))
        sure.append(votes.max(1) == k)
    return Vote(np.concatenate(found), np.concatenate(sure))


def balance(
    drawn: Array,
    real: Array,
    labels: NDArray[Any],
    asked: NDArray[Any] | None = None,
    *,
    k: int = NEIGHBOURS,
) -> Balance:
    """Judge drawn rows of features beside real ones with their labels; ``asked``: (N,).

    Raises ValueError unless there are more than k real rows.
    """
    if len(real) <= k:
        raise ValueError(f"{len(real)} labelled items are too few: more than {k} are needed")
    classes = int(labels.max()) + 1
    judged, again = vote(drawn, real, labels, k=k), vote(real, real, labels, k=k, own=True)
    agreement = of_each = None
    if asked is not None:
        right = judged.found == asked
        share = float(right.mean())
        agreement = Figure(share, float(np.sqrt(share * (1.0 - share) / len(right))))
        counted = np.bincount(asked, minlength=classes)
        of_each = np.bincount(asked, right, minlength=classes) / np.maximum(counted, 1)
    return Balance(
        np.bincount(judged.found, minlength=classes),
        np.bincount(labels, minlength=classes),
        agreement,
        of_each,
        float(np.mean(again.found == labels)),
        float(judged.sure.mean()),
        float(again.sure.mean()),
    )
