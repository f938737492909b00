"""Latents as the data of a diffusion: drawn by their moments, scaled, and brought back."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from hypothesis import given

from ddpm_mindspore.accelerated import latents
from ddpm_mindspore.parity.examples.latents import LATENTS, latent_cases
from ddpm_mindspore.parity.examples.values import Case, first
from ddpm_mindspore.parity.judgement.compare import check, reproducible
from ddpm_mindspore.parity.judgement.tolerance import elementwise, gamma
from ddpm_mindspore.parity.report import budget
from ddpm_mindspore.parity.sides import device
from ddpm_mindspore.reference import latents as reference

EXP = 64
"""Roundings that an exp counts for: see test_bound.py."""


@first(LATENTS)
@budget.examples(0.25)
@given(case=latent_cases())
def test_latents(case: Case) -> None:
    """scale (mean + exp(log_variance / 2) noise), 1 / their deviation, and x_0 / scale"""
    of_moments(**case)


@reproducible
def of_moments(
    shape: Sequence[int], batch: int, spread: float, log_variance: float, scale: float, seed: int
) -> None:
    """Means N(0, spread^2), log variances around ``log_variance``, of latents ``shape``."""
    mean = device.draw(seed, (batch, *shape), spread)
    log_var = np.clip(log_variance + device.draw(seed + 1, (batch, *shape), 2.0), -30.0, 20.0)
    moments = np.concatenate((mean, log_var.astype(np.float32)), axis=1)
    noise = device.draw(seed + 2, (batch, *shape))
    given = {"moments": moments, "noise": noise}
    wide, loud = moments.astype(np.float64), noise.astype(np.float64)

    drawn = latents.draw(moments, noise, scale)
    expected = reference.draw(wide, loud, scale)
    only_mean = reference.draw(wide, 0.0 * loud, scale)
    bound = elementwise(EXP + 4, only_mean, expected - only_mean)
    check("scale (mean + exp(log_variance / 2) noise)", drawn, expected, bound, **given)

    truth = reference.scale_factor(wide)
    means, variances = np.split(wide, 2, axis=1)
    squares = np.mean(np.exp(variances) + means**2) + np.mean(means) ** 2
    share = gamma(EXP + 2 * means.size, "float64") * squares * truth**2
    check("1 / deviation", latents.scale_factor(moments), truth, truth * share, **given)

    x_0 = drawn.astype(np.float64)
    expected = reference.undo(x_0, scale)
    check("x_0 / scale", latents.undo(drawn, scale), expected, elementwise(2, expected), x_0=x_0)
