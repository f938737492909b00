"""The numbers of training and sampling are those of the table, and behave as random numbers do.

Where a distribution is tested, ALARM is the probability that one comparison fails with a perfect
source; the bound is the quantile of the statistic that belongs to it. A run makes a few hundred.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from ddpm_mindspore.accelerated import randomness
from ddpm_mindspore.accelerated.randomness import Purpose
from ddpm_mindspore.parity.examples import runs
from ddpm_mindspore.parity.examples.values import Case
from ddpm_mindspore.parity.judgement.compare import check, reproducible
from ddpm_mindspore.parity.report import budget
from ddpm_mindspore.parity.sides import random_table
from ddpm_mindspore.parity.sides.device import Array

ALARM = 1e-9


@budget.examples()
@given(case=runs.stream_cases())
def test_table(case: Case) -> None:
    """every draw is that of Philox at key (seed, purpose), counter (0, index, step, layer)"""
    table(**case)


@budget.examples()
@given(case=runs.epoch_cases())
def test_epochs(case: Case) -> None:
    """the order of the images: every epoch a permutation of its own"""
    epochs(**case)


@budget.examples(0.2)
@given(seed=runs.words(), T=st.sampled_from((1000, 2, 7, 1)))
def test_times(seed: int, T: int) -> None:
    """t is uniform on 1..T, over the images of an update and over updates"""
    times(seed=seed, T=T)


@budget.examples(0.2)
@given(seed=runs.words(), purpose=st.sampled_from(("noise", "sample_start")))
def test_normals(seed: int, purpose: str) -> None:
    """noise is standard normal: its moments, its distribution function and its tails"""
    normals(seed=seed, purpose=purpose)


@budget.examples(0.2)
@given(seed=runs.words(), p=st.sampled_from((0.1, 0.5, 0.9)))
def test_coins(seed: int, p: float) -> None:
    """coins and dropout masks have their probability"""
    coins(seed=seed, p=p)


@budget.examples(0.1)
@given(seed=runs.words())
def test_independence(seed: int) -> None:
    """no two streams of neighbouring seeds, purposes, steps, indices or layers are correlated"""
    independence(seed=seed)


@reproducible
def table(
    seed: int,
    step: int,
    indices: Sequence[int],
    shape: Sequence[int],
    T: int,
    p: float,
    layer: int,
) -> None:
    """All functions that draw, against ``random_table``."""
    t = randomness.times(seed, step, indices, T)
    check("times", t, random_table.times(seed, step, indices, T), 0.0)
    shares = randomness.uniform(seed, Purpose.REAL_TIME, step, indices, 1)[:, 0]
    check("uniform, real time", shares, random_table.shares(seed, step, indices), 0.0)
    for name in ("noise", "offset", "sample_start", "sample_noise"):
        drawn = randomness.normal(seed, Purpose[name.upper()], step, indices, shape)
        check(f"normal, {name}", drawn, random_table.normal(seed, name, step, indices, shape), 0.0)
    for name in ("flip", "self_condition"):
        tossed = randomness.coins(seed, Purpose[name.upper()], step, indices, p)
        check(f"coins, {name}", tossed, random_table.coins(seed, name, step, indices, p), 0.0)
    masks = randomness.keep_masks(seed, step, indices, shape, p, layer=layer)
    expected = random_table.masks(seed, step, indices, [shape] * (layer + 1), p)[layer]
    check("keep_masks", masks, expected, 0.0)
    crops = randomness.uniform(seed, Purpose.CROP, 0, indices, 3)
    check("uniform, crop", crops, random_table.crops(seed, indices), 0.0)


@reproducible
def epochs(seed: int, count: int, start: int, length: int) -> None:
    """``batch_indices``; and that an epoch shows every image once, and another epoch differs."""
    actual = randomness.batch_indices(seed, count, start, length)
    expected = random_table.images(seed, count, range(start, start + length))
    check("batch_indices", actual, expected, 0.0)
    many = 64
    orders = randomness.batch_indices(seed, many, 0, 2 * many).reshape(2, many)
    check("images of an epoch", np.sort(orders), np.tile(np.arange(many), (2, 1)), 0.0)
    # 2 of 64 images in their place again are usual, as are 4; 20 are one chance in 10^18.
    check("images in the same place in two epochs", np.sum(orders[0] == orders[1]), 0.0, 20.0)


@reproducible
def times(seed: int, T: int) -> None:
    """Chi-square of the counts, and the two ends."""
    step = 3
    over_images = randomness.times(seed, step, range(30_000), T)
    over_steps = [int(randomness.times(seed, s, [step], T)[0]) for s in range(30 * min(T, 100))]
    for name, t in (("images", over_images), ("updates", np.array(over_steps))):
        check(f"t over {name}: smallest and largest", _beyond(t, 1, T), 0.0, 0.0)
        bins = min(T, len(t) // 30)
        counts = np.bincount((t - 1) * bins // T, minlength=bins)
        even = np.full(bins, len(t) / bins)
        # Where bins do not divide T, they are of different sizes.
        if T % bins:
            even = np.bincount(np.arange(T) * bins // T, minlength=bins) * (len(t) / T)
        _chi_square(f"t over {name} is uniform", counts, even)
    ends = [np.sum(over_images == end) for end in (1, T)]
    check("t = 1 and t = T occur", [float(n == 0) for n in ends], [0.0, 0.0], 0.0)


@reproducible
def normals(seed: int, purpose: str) -> None:
    """2^18 numbers in float32."""
    x = randomness.normal(seed, Purpose[purpose.upper()], 5, range(64), (64, 64)).ravel()
    n, z = len(x), x.astype(np.float64)
    for power, mean in enumerate((0.0, 1.0, 0.0, 3.0), start=1):
        spread = np.sqrt(_double_factorial(2 * power - 1) - mean**2)
        deviation = (np.mean(z**power) - mean) / spread * np.sqrt(n)
        check(f"moment {power}, in standard deviations", deviation, 0.0, _normal_bound())
    distance = stats.kstest(z, "norm").statistic
    check("Kolmogorov's distance", distance, 0.0, stats.kstwo.isf(ALARM, n))
    # Most of it is in the middle: the tails are counted.
    edges = np.array([-np.inf, -4.0, -3.0, -2.0, 2.0, 3.0, 4.0, np.inf])
    for low, high in pairwise(edges):
        share = stats.norm.cdf(high) - stats.norm.cdf(low)
        count = float(np.sum((z >= low) & (z < high)))
        _binomial(f"numbers from {low} to {high}", count, n, float(share))
    farthest = float(stats.norm.isf(ALARM / 2 / n))
    check("the largest", np.max(np.abs(z)), 0.0, farthest)
    values = len(np.unique(x))
    # Of float32's numbers in the middle, two draws of 2^18 coincide now and then, not as a rule.
    check("values that occur twice", 1.0 - values / n, 0.0, 0.1)


@reproducible
def coins(seed: int, p: float) -> None:
    """Over images, over updates, and the entries of a mask."""
    tossed = {
        "coins over images": randomness.coins(seed, Purpose.FLIP, 2, range(20_000), p),
        "coins over updates": np.concatenate(
            [randomness.coins(seed, Purpose.SELF_CONDITION, s, [1], p) for s in range(3000)]
        ),
        "kept activations": randomness.keep_masks(seed, 2, range(4), (50, 100), 1.0 - p, layer=3),
    }
    for name, values in tossed.items():
        _binomial(name, float(np.sum(values)), values.size, p)


@reproducible
def independence(seed: int) -> None:
    """Correlations of all pairs of 24 streams, at lags 0 and 1."""
    length = 4096
    words = [
        (seed, Purpose.NOISE, 0, 0),
        *((seed, Purpose.NOISE, 0, i) for i in (1, 2, 3, 2**32, 2**63)),
        *((seed, Purpose.NOISE, s, 0) for s in (1, 2, 3, 2**32, 2**63)),
        *((seed, p, 0, 0) for p in (Purpose.SAMPLE_START, Purpose.SAMPLE_NOISE, Purpose.FLIP)),
        *(((seed + d) % 2**64, Purpose.NOISE, 0, 0) for d in (1, 2, 2**32, 2**63)),
    ]
    rows = [randomness.normal(s, p, step, [i], (length,))[0] for s, p, step, i in words]
    rows += [
        randomness.keep_masks(seed, 0, [0], (length,), 0.5, layer=layer)[0].astype(np.float32)
        for layer in (0, 1, 2, 2**32)
    ]
    z = np.stack([(row - row.mean()) / row.std() for row in rows])
    pairs = len(z) * (len(z) - 1) // 2
    for lag in (0, 1):
        r = np.abs(z[:, : length - lag] @ z[:, lag:].T) / np.sqrt(length - lag)
        if lag == 0:
            r = r[np.triu_indices(len(z), 1)]
        bound = float(stats.norm.isf(ALARM / 2 / (2 * pairs)))
        # The last bits of a sum over so many products are not what is looked at.
        check(f"correlation at lag {lag}, in standard deviations", np.max(r), 0.0, 1.05 * bound)


def _beyond(t: Array, low: int, high: int) -> float:
    return float(np.sum((t < low) | (t > high)))


def _chi_square(name: str, counts: Array, expected: Array) -> None:
    if len(counts) < 2:
        return
    statistic = float(np.sum((counts - expected) ** 2 / expected))
    check(f"{name}: chi-square", statistic, 0.0, float(stats.chi2.isf(ALARM, len(counts) - 1)))


def _binomial(name: str, count: float, n: int, p: float) -> None:
    """The count of what has probability p, against its quantiles."""
    low, high = stats.binom.ppf(ALARM / 2, n, p), stats.binom.isf(ALARM / 2, n, p)
    check(name, count, n * p, float(max(n * p - low, high - n * p)))


def _normal_bound() -> float:
    return float(stats.norm.isf(ALARM / 2))


def _double_factorial(n: int) -> int:
    return 1 if n < 2 else n * _double_factorial(n - 2)
