"""``prdc``, of the authors of density and coverage: the same four figures of the same features."""

from __future__ import annotations

import numpy as np
import pytest
from prdc import compute_prdc

from ddpm_mindspore.reference.evaluation.neighbours import manifolds


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("k", [3, 5])
def test_precision_recall_density_and_coverage(seed: int, k: int) -> None:
    rng = np.random.default_rng(seed)
    real = rng.normal(size=(300, 6))
    drawn = rng.normal(size=(200 + 50 * seed, 6)) * rng.uniform(0.5, 1.3) + rng.uniform(-0.3, 0.3)
    theirs = compute_prdc(real_features=real, fake_features=drawn, nearest_k=k)
    ours = manifolds(drawn, real, k=k, replicates=0)
    for name, figure in ours._asdict().items():
        assert figure.value == pytest.approx(theirs[name], abs=1e-12), name
