"""Bugs in the variational bound, and in what learns from it and draws with it."""

from __future__ import annotations

from typing import Any

from ..planting import Bug

TERMS = "bound: terms"
TRAJECTORY = "samplers: trajectory"
TRAINED: dict[str, Any] = {
    "net": {
        **{"dim": 4, "dim_mults": (1,), "channels": 1, "learned_variance": True},
        **{"attn_heads": 1, "attn_dim_head": 4},
    },
    "t": (1, 2, 300),
}
DRAWN: dict[str, Any] = {
    **{"sampler": "ancestral", "options": {"variance": "learned"}, "clip": False},
    "timesteps": (50, 30, 12.5, 2),
}

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
        "a bin is twice as wide as the distance of two levels",
        "bound.decoder",
        "edges = ops.concat(((_HALF - away) * precision, (-_HALF - away)",
        "edges = ops.concat(((2.0 * _HALF - away) * precision, (-2.0 * _HALF - away)",
        TERMS,
    ),
    Bug(
        "far from the mean a bin has no probability",
        "bound.log_ndtr",
        "return ops.where(x > 0.0, right, log_erfc - math.log(2.0))",
        "return ops.log(ops.maximum(ops.exp(ops.where(x > 0.0, right, log_erfc - math.log(2.0))), "
        "1e-12))",
        TERMS,
        {"error": 0.5},
    ),
    Bug(
        "a wider variance costs nothing",
        "bound.kl",
        "r + (narrower - 1.0) + narrower * square",
        "narrower - 1.0 + narrower * square",
        TERMS,
    ),
    Bug(
        "the mean learns from the bound too",
        "bound.bound_loss",
        "x_0 - ops.stop_gradient(x0_hat)",
        "x_0 - x0_hat",
        "gradients: gradients",
        TRAINED,
    ),
    Bug(
        "the network's halves change places",
        "bound.halves",
        "prediction, raw = ops.split",
        "raw, prediction = ops.split",
        "gradients: gradients",
        TRAINED,
    ),
    Bug(
        "the bound is not added to the loss",
        "training.training_loss",
        "return simple + bound_loss(",
        "return simple + 0.0 * bound_loss(",
        "gradients: gradients",
        TRAINED,
    ),
    Bug(
        "the noise is as large as its variance",
        "samplers.plan.widened",
        "0.5 * share_of(raw)",
        "share_of(raw)",
        TRAJECTORY,
        DRAWN,
    ),
    Bug(
        "a step that skips times has the variance of one that does not",
        "samplers.ancestral.ancestral_plan",
        "np.where(moves, 1.0 - alpha_bar_s, 1.0)",
        "np.array(\n"
        "        [1.0 - alpha_bars(schedule, [max(t - 1.0, 0.5)])[0][0] for t in timesteps]\n"
        "    )",
        TRAJECTORY,
        DRAWN,
    ),
    Bug(
        "the variance is that of the estimate without the class",
        "guidance.guided_step",
        "other, _ = halves(other, x)",
        "other, raw = halves(other, x)\n"
        "            found = ops.concat((found[:, : x.shape[1]], raw), 1)",
        "guidance: walk",
    ),
    Bug(
        "a limit on estimates halves what is said of the variance",
        "denoiser.limited",
        "joined(limit(x0_hat), raw)",
        "joined(limit(x0_hat), None if raw is None else 0.5 * raw)",
        TRAJECTORY,
        {**DRAWN, "clip": True},
    ),
    Bug(
        "the smallest variance of the last step is none at all",
        "reference.bound.log_variances",
        "lowest[1] = lowest[2] if schedule.T > 1 else highest[1]",
        "pass",
        "tests/reference/test_bound.py::test_the_ends_of_the_range_are_the_fixed_variances",
    ),
]
