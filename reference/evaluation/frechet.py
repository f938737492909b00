"""The Fréchet distance between Gaussians, and what it would be of infinitely many items.

    |m_1 - m_2|^2 + tr(C_1 + C_2 - 2 (C_1 C_2)^(1/2))

Dowson & Landau 1982; between Gaussians fitted to features, as in arXiv 1706.08500. With roots
C = R^T R the last trace is the sum of the singular values of R_1 R_2^T: no matrix that need not be
symmetric is rooted, and covariances may be singular.
"""

from __future__ import annotations

import numpy as np

from ..schedule import Array, Table
from .resampling import Figure, figure, weights

SIZES = 15
"""Subsets that are measured on the way to infinitely many items, as in arXiv 1911.07023."""

SMALLEST = 0.25
"""The smallest of them, as a share of all items: with fewer the error is not 1 / n yet."""


def gaussian_distance(mean_1: Array, cov_1: Array, mean_2: Array, cov_2: Array) -> float:
    """The squared Fréchet distance between N(mean_1, cov_1) and N(mean_2, cov_2).

    Args:
        mean_1, mean_2: (D,).
        cov_1, cov_2: (D, D), symmetric, without negative eigenvalues.
    """
    return _distance((mean_1, _root(cov_1)), (mean_2, _root(cov_2)))


def frechet_distance(x: Array, y: Array) -> float:
    """The squared Fréchet distance between Gaussians fitted to the rows of x and y, (N, D).

    Biased: of two sets from one distribution it is about b (1/n_1 + 1/n_2), not 0.
    Raises ValueError for fewer than two rows, or rows of unequal length.
    """
    _check(x, y)
    even = (np.full(len(rows), 1.0 / len(rows)) for rows in (x, y))
    return _distance(*(_fitted(rows, w) for rows, w in zip((x, y), even, strict=True)))


def measured(x: Array, y: Array, *, seed: int = 0, replicates: int = 50) -> tuple[Figure, Figure]:
    """The distance, and what it would be of infinitely many items on both sides.

    Chong & Forsyth 2020, arXiv 1911.07023: distances of growing subsets lie on a line over 1 / n,
    which is followed to 1 / n = 0. They draw subsets of generated images alone; here both sides
    shrink by the same share, since both are samples.

    Args:
        x, y: rows of features, (n, D) and (m, D).
        seed: where subsets and replicates come from.
        replicates: of the bootstrap, each of which goes all the way, by every third size.

    Raises ValueError as ``frechet_distance`` does.
    """
    _check(x, y)
    rng = np.random.default_rng(seed)
    shares = np.linspace(SMALLEST, 1.0, SIZES)
    parts = [[rng.permutation(len(rows))[: _part(rows, s)] for rows in (x, y)] for s in shares]
    of_x, of_y = (weights(rng, len(rows), replicates) for rows in (x, y))
    found = np.zeros((1 + replicates, SIZES))
    every, some = slice(None), slice(SIZES - 1, None, -3)
    for i, (some_x, some_y) in enumerate(parts):
        one, other = x[some_x], y[some_y]
        again = replicates if i in range(SIZES)[some] else 0
        for r in range(1 + again):
            found[r, i] = _distance(_fitted(one, of_x[r, some_x]), _fitted(other, of_y[r, some_y]))
    at_zero = [
        _at_zero(1.0 / shares[sizes], found[rows, sizes])
        for rows, sizes in ((slice(1), every), (slice(1, None), some))
    ]
    return figure(found[:, -1]), figure(np.concatenate(at_zero))


def _at_zero(inverse: Table, distances: Table) -> Table:
    """(R,) where straight lines through (R, S) distances over ``inverse`` cross 0."""
    design = np.stack([np.ones_like(inverse), inverse], -1)
    crossing: Table = np.linalg.lstsq(design, distances.T, rcond=None)[0][0]
    return crossing


def _part(rows: Array, share: float) -> int:
    return max(2, round(share * len(rows)))


def _fitted(x: Array, w: Array) -> tuple[Array, Array]:
    """Mean, and a root of the unbiased covariance, of rows with weights of any sum."""
    w = w / w.sum()
    mean = w @ x
    away = np.sqrt(w / (1.0 - np.sum(w**2)))[:, None] * (x - mean)
    return mean, away if len(x) <= x.shape[1] else _root(away.T @ away)


def _root(cov: Array) -> Array:
    """R with R^T R = cov."""
    values, vectors = np.linalg.eigh(np.atleast_2d(cov))
    root: Array = np.sqrt(values.clip(0.0))[:, None] * vectors.T
    return root


def _distance(one: tuple[Array, Array], other: tuple[Array, Array]) -> float:
    (mean_1, root_1), (mean_2, root_2) = one, other
    cross = np.linalg.svd(root_1 @ root_2.T, compute_uv=False).sum()
    return float(
        np.sum((mean_1 - mean_2) ** 2) + np.sum(root_1**2) + np.sum(root_2**2) - 2.0 * cross
    )


def _check(x: Array, y: Array) -> None:
    for name, rows in (("x", x), ("y", y)):
        if rows.ndim != 2 or len(rows) < 2:
            raise ValueError(f"{name} has shape {rows.shape}: at least 2 rows (N, D) are needed")
    if x.shape[1] != y.shape[1]:
        raise ValueError(f"x has {x.shape[1]} features and y {y.shape[1]}: compare the same ones")
