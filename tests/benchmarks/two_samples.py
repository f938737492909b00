"""Are two tables from one distribution? Numbers for generated rows beside real ones.

Marginals      Kolmogorov-Smirnov's distance of each column: the largest gap between the two
               empirical distribution functions, 0 to 1.
Correlations   the largest and the mean absolute difference of Pearson's coefficients.
Energy         2 E|X - Y| - E|X - X'| - E|Y - Y'| of standardised rows (Szekely & Rizzo 2013), and
               how many of the random divisions of all rows into two have a larger one: p.
Classifier     how well a random forest tells them apart, as the area under its curve over five
               folds: 0.5 is not at all (Lopez-Paz & Oquab, arXiv 1610.06545).
Copies         the share of rows that lie closer to a row that was trained on than 5 % of the real
               held-out rows do: 5 % where nothing is recited.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.distance import cdist
from scipy.stats import ks_2samp

Array = NDArray[np.float64]


class Verdict(NamedTuple):
    """What the comparison says."""

    ks_mean: float
    ks_max: float
    correlation_mean: float
    correlation_max: float
    energy: float
    energy_p: float
    auc: float
    copies: float


def compare(rows: Array, real: Array, trained_on: Array, seed: int = 0) -> Verdict:
    """Compare rows (N, C) with real ones (M, C) that were not trained on."""
    ks = [ks_2samp(rows[:, c], real[:, c]).statistic for c in range(real.shape[1])]
    correlation = np.abs(correlations(rows) - correlations(real))
    off = correlation[np.triu_indices(len(correlation), 1)]
    mean, deviation = trained_on.mean(0), trained_on.std(0)
    x, y, z = ((a - mean) / deviation for a in (rows, real, trained_on))
    value, p = energy_test(x, y, np.random.default_rng(seed))
    return Verdict(
        float(np.mean(ks)),
        float(np.max(ks)),
        float(off.mean()),
        float(off.max()),
        value,
        p,
        classifier_auc(x, y, seed),
        copies(x, y, z),
    )


def correlations(rows: Array) -> Array:
    """(C, C), 0 where a column is constant."""
    with np.errstate(invalid="ignore", divide="ignore"):
        found: Array = np.nan_to_num(np.corrcoef(rows.T))
    return found


def energy(distances: Array, first: int) -> float:
    """The energy distance, of all pairwise distances; the first rows are one sample."""
    within_1, within_2 = distances[:first, :first], distances[first:, first:]
    return float(2.0 * distances[:first, first:].mean() - within_1.mean() - within_2.mean())


def energy_test(
    x: Array, y: Array, rng: np.random.Generator, divisions: int = 300
) -> tuple[float, float]:
    """The energy distance, and the share of random divisions with one as large."""
    both = np.concatenate((x, y))
    distances = cdist(both, both)
    value, larger = energy(distances, len(x)), 0
    for _ in range(divisions):
        order = rng.permutation(len(both))
        larger += energy(distances[np.ix_(order, order)], len(x)) >= value
    return value, (larger + 1) / (divisions + 1)


def classifier_auc(x: Array, y: Array, seed: int = 0) -> float:
    """How well a random forest tells rows of equally many of both apart."""
    from sklearn.ensemble import RandomForestClassifier
    from sklearn.metrics import roc_auc_score
    from sklearn.model_selection import StratifiedKFold, cross_val_predict

    count = min(len(x), len(y))
    rows = np.concatenate((x[:count], y[:count]))
    labels = np.repeat((0, 1), count)
    forest = RandomForestClassifier(200, random_state=seed)
    folds = StratifiedKFold(5, shuffle=True, random_state=seed)
    told = cross_val_predict(forest, rows, labels, cv=folds, method="predict_proba")[:, 1]
    return float(roc_auc_score(labels, told))


def copies(x: Array, y: Array, trained_on: Array) -> float:
    """The share of x closer to what was trained on than 5 % of y are."""
    near = np.quantile(cdist(y, trained_on).min(1), 0.05)
    return float((cdist(x, trained_on).min(1) < near).mean())


def markdown(verdicts: dict[str, Verdict]) -> str:
    """A table, with a row for each."""
    heads = ["", "KS mean", "KS max", "corr. mean", "corr. max", "energy", "p", "AUC", "copies"]
    lines = [" | ".join(heads), " | ".join(["---"] * len(heads))]
    for name, v in verdicts.items():
        numbers = [f"{x:.3f}" for x in v[:-1]] + [f"{v.copies:.0%}"]
        lines.append(" | ".join([name, *numbers]))
    return "\n".join(f"| {line} |" for line in lines)
