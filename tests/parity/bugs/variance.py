"""Bugs in the variational bound, and in what learns from it and draws with it."""

from __future__ import annotations

from ..planting import Bug

TERMS = "bound: terms"

VARIANCE = [
    Bug(
        "the shares of the two fixed variances change places",
        "bound.share_of",
        "0.5 * raw + 0.5",
        "0.5 - 0.5 * raw",
        TERMS,
    ),
    Bug(
        "the bound is in nats where bits are meant",
        "reference.levels._of_bound",
        "schedule.T / math.log(2.0)",
        "schedule.T",
        "levels: columns",
    ),
    Bug(
        "the bound is the mean of its terms and not their sum",
        "reference.levels._of_bound",
        "vlb_weight * schedule.T",
        "vlb_weight",
        "levels: columns",
    ),
    Bug(
        "the smallest variance is taken for its root",
        "reference.levels._of_bound",
        "np.exp(-0.5 * lowest)",
        "np.exp(-lowest)",
        "levels: columns",
    ),
    Bug(
        "the range of the variance is that of its root",
        "reference.levels._of_bound",
        "highest - lowest",
        "0.5 * (highest - lowest)",
        "levels: columns",
    ),
    Bug(
        "the decoder's term is left out at t = 1",
        "bound.bound_loss",
        "decoder(x_0, difference, r, levels), kl",
        "kl(difference, r, levels), kl",
        TERMS,
    ),
    Bug(
        "the bins of black and white are as wide as the others",
        "bound.decoder",
        "closed = ops.where(ops.logical_or(lowest, highest), 0.0, 1.0)",
        "closed = ops.ones_like(x_0)",
        TERMS,
    ),
    Bug(
        "white is taken for black",
        "bound.decoder",
        "ops.where(lowest, -difference, ops.where(highest, difference,",
        "ops.where(lowest, difference, ops.where(highest, -difference,",
        TERMS,
    ),
    Bug(
        "a wider variance costs nothing",
        "bound.kl",
        "r + (narrower - 1.0) + narrower * square",
        "narrower - 1.0 + narrower * square",
        TERMS,
    ),
]
