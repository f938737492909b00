"""Averages over the whole of training: their lengths, and making one of others."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from hypothesis import given

from ddpm_mindspore.accelerated.ema import combine
from ddpm_mindspore.parity.examples.optimizers import RECONSTRUCTIONS, reconstruction_cases
from ddpm_mindspore.parity.examples.values import Case, first
from ddpm_mindspore.parity.judgement.compare import check, reproducible
from ddpm_mindspore.parity.judgement.tolerance import elementwise
from ddpm_mindspore.parity.report import budget
from ddpm_mindspore.parity.sides import device
from ddpm_mindspore.reference import ema as reference


@first(RECONSTRUCTIONS)
@budget.examples()
@given(case=reconstruction_cases())
def test_reconstruction(case: Case) -> None:
    """an average of another length from snapshots of those that were kept"""
    reconstruction(**case)


@reproducible
def reconstruction(
    snapshots: Sequence[tuple[int, float]], sigma_rel: float, shape: Sequence[int], seed: int
) -> None:
    """``combine`` for snapshots of these (step, sigma_rel), at the last of their steps."""
    steps, kept = (list(column) for column in zip(*snapshots, strict=True))
    weights = reference.post_hoc_weights(steps, kept, steps[-1], sigma_rel)
    arrays = [device.draw(seed + i, tuple(shape)) for i in range(len(steps))]
    made = combine([{"p": array} for array in arrays], weights)["p"]
    pairs = zip(snapshots, arrays, strict=True)
    exact = [reference.Snapshot(*pair, {"p": array.astype(np.float64)}) for pair, array in pairs]
    expected = reference.reconstruct(exact, steps[-1], sigma_rel)["p"]
    # Summed in float64 on both sides, and rounded once.
    check("combine", made, expected, elementwise(1, expected))
