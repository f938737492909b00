"""Averages over the whole of training: their lengths, and making one of others."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from hypothesis import given

from ddpm_mindspore.accelerated import ema as accelerated
from ddpm_mindspore.parity.examples import fixed, pinned, strategies
from ddpm_mindspore.parity.judgement.compare import check, reproducible
from ddpm_mindspore.parity.judgement.tolerance import Array, elementwise, gamma
from ddpm_mindspore.parity.report import budget
from ddpm_mindspore.parity.sides import device
from ddpm_mindspore.reference import ema as reference


@fixed.first(pinned.WIDTHS)
@budget.examples()
@given(case=strategies.width_cases())
def test_widths(case: strategies.Case) -> None:
    """the exponent of an average's profile, and the share of itself that the average keeps"""
    widths(**case)


@fixed.first(pinned.RECONSTRUCTIONS)
@budget.examples()
@given(case=strategies.reconstruction_cases())
def test_reconstruction(case: strategies.Case) -> None:
    """an average of another length from snapshots of those that were kept"""
    reconstruction(**case)


@reproducible
def widths(step: int, sigma_rel: float) -> None:
    """``gamma_of`` and ``power_weight``: float64 on the host, on both sides."""
    exponent = reference.gamma_of(sigma_rel)
    allowed = _exponent_bound(sigma_rel)
    check("gamma_of", accelerated.gamma_of(sigma_rel), exponent, allowed)
    weight = reference.power_weight(step, sigma_rel)
    # What the exponent is off, through the power; its base is the same on both sides.
    bound = elementwise(4, weight, dtype="float64")
    if weight > 0.0:
        bound = bound - weight * math.log(weight) / (exponent + 1.0) * allowed
    check("power_weight", accelerated.power_weight(step, sigma_rel), weight, bound)


@reproducible
def reconstruction(
    snapshots: Sequence[tuple[int, float]], sigma_rel: float, shape: Sequence[int], seed: int
) -> None:
    """``reconstruct`` for snapshots of these (step, sigma_rel), at the last of their steps."""
    steps, kept = (list(column) for column in zip(*snapshots, strict=True))
    target = (steps, kept, steps[-1], sigma_rel)
    weights = reference.post_hoc_weights(*target)
    allowed = _weights_bound(*target, weights)
    weights = weights / weights.sum()
    actual, error = accelerated.post_hoc_weights(*target)
    check("post_hoc_weights", actual, weights, allowed)
    # A sum of products, none beyond the largest, each with two weights; and the weights' error.
    size = 1.0 + float(np.sum(np.abs(weights)))
    bound = size**2 * _products_bound(*target) + 2.0 * size * float(np.sum(allowed))
    truth = reference.profile_error(*target, weights)
    check("profile_error^2", error**2, truth**2, bound * _largest_product(*target))

    arrays = [device.draw(seed + i, tuple(shape)) for i in range(len(steps))]
    made = accelerated.combine([{"p": array} for array in arrays], actual)["p"]
    pairs = zip(snapshots, arrays, strict=True)
    exact = [reference.Snapshot(*pair, {"p": array.astype(np.float64)}) for pair, array in pairs]
    expected = reference.reconstruct(exact, steps[-1], sigma_rel)["p"]
    off = sum(bound * np.abs(a) for bound, a in zip(allowed, arrays, strict=True))
    # Summed in float64 on both sides, and rounded once.
    check("reconstruct", made, expected, elementwise(1, expected) + off)


def _exponent_bound(sigma_rel: float) -> Array:
    """How far two ways to solve for gamma may be apart.

    The cubic's roots are of the size of 1 / sigma_rel + 4. Viete's form goes through 12 roundings,
    of which acos enlarges those of its argument (at most 0.97) four times; the eigenvalues of a
    3 x 3 matrix come with some 16 roundings of its size.
    """
    return elementwise(12 * 4 + 16, 1.0 / sigma_rel + 4.0, dtype="float64")


def _products_bound(
    steps: Sequence[int], kept: Sequence[float], step: int, sigma_rel: float
) -> float:
    """The relative error of an inner product: eight roundings, and gamma's through a power."""
    exponent = float(max(_exponent_bound(width) for width in (*kept, sigma_rel)))
    ratio = math.log(step / min(steps))
    return 2.0 * gamma(8, "float64") + (1.0 + ratio) * exponent


def _weights_bound(
    steps: Sequence[int], kept: Sequence[float], step: int, sigma_rel: float, weights: Array
) -> Array:
    """n equations with relative errors in their numbers, solved by elimination.

    The solution's error is the condition number times that of the equations, to which elimination
    adds 3 n u (Higham 2002, theorems 7.2 and 9.3). ``weights``: before they are divided.
    """
    gammas = [reference.gamma_of(width) for width in kept]
    own = list(zip(steps, gammas, strict=True))
    products = np.array([[reference.profile_product(*a, *b) for b in own] for a in own])
    count = len(steps)
    relative = count * _products_bound(steps, kept, step, sigma_rel)
    relative += gamma(2 * 3 * count, "float64")
    error = relative * np.linalg.cond(products) * np.linalg.norm(weights) / abs(weights.sum())
    # And the error of the sum that they are divided by.
    return np.full(count, error * (1.0 + math.sqrt(count) * np.max(np.abs(weights))))


def _largest_product(
    steps: Sequence[int], kept: Sequence[float], step: int, sigma_rel: float
) -> float:
    """The largest square of a profile, as a share of the square of the one that is wanted."""
    ends, widths = [*steps, step], [*kept, sigma_rel]
    profiles = [(t, reference.gamma_of(width)) for t, width in zip(ends, widths, strict=True)]
    squares = [reference.profile_product(*p, *p) for p in profiles]
    return max(squares) / squares[-1]
