"""Bugs in guidance, and in who is asked for what."""

from __future__ import annotations

from ddpm_mindspore.parity.examples.guidance import FIXED

from ..planting import Bug

CLASS, WEAK, CLASSIFIER = FIXED
ALL = {
    "options": {
        **{"cond_scale": 3.0, "guidance_rescale": 0.7, "guidance_parallel": 0.3},
        **{"guidance_norm": 0.5, "guidance_momentum": -0.5},
    }
}

GUIDANCE = [
    Bug(
        "guidance starts from the estimate without a class",
        "guidance.combined",
        "guided = estimate + (scale - 1.0) * flat",
        "guided = estimate + scale * flat",
        "guidance: combined",
    ),
    Bug(
        "the change points from what is asked for",
        "guidance.combined",
        "change = x0_hat - other",
        "change = other - x0_hat",
        "guidance: combined",
    ),
    Bug(
        "the share of the parallel part is that of the orthogonal one",
        "guidance.combined",
        "(1.0 - parallel) * along",
        "parallel * along",
        "guidance: combined",
        ALL,
    ),
    Bug(
        "the change is projected on the other estimate's direction",
        "guidance.combined",
        "along = _sum(flat * estimate) / ops.maximum(_sum(estimate * estimate), _SMALL)",
        "along = _sum(flat * estimate) / ops.maximum(_sum(flat * flat), _SMALL)",
        "guidance: combined",
        ALL,
    ),
    Bug(
        "every change has the norm that it may have at most",
        "guidance.combined",
        "ops.minimum(norm / ops.maximum(size, _SMALL), 1.0)",
        "norm / ops.maximum(size, _SMALL)",
        "guidance: combined",
        {"options": {**ALL["options"], "guidance_norm": 100.0}},
    ),
    Bug(
        "momentum is forgotten",
        "guidance.combined",
        "+ momentum * running",
        "+ 0.0 * running",
        "guidance: combined",
        ALL,
    ),
    Bug(
        "the spread is taken around 0",
        "guidance._deviation",
        "apart = x - _sum(x) / x.shape[1]",
        "apart = x",
        "guidance: combined",
        ALL,
    ),
    Bug(
        "rescaling is all or nothing",
        "guidance.combined",
        "+ (1.0 - rescale) * guided",
        "",
        "guidance: combined",
        ALL,
    ),
    Bug(
        "both halves of the batch are told the class",
        "guidance.Guidance._by_another",
        "np.concatenate((condition, nothing))",
        "np.concatenate((condition, condition))",
        "guidance: walk",
        CLASS,
    ),
    Bug(
        "the halves of the batch change places",
        "guidance.guided_step",
        "found, other = ops.split",
        "other, found = ops.split",
        "guidance: walk",
        CLASS,
    ),
    Bug(
        "no class is the last one",
        "guidance.Guidance._nothing",
        "self._model.config.null_condition)",
        "self._model.config.null_condition - 1)",
        "guidance: walk",
        CLASS,
    ),
    Bug(
        "the running change does not leave the first step",
        "guidance.Guidance._by_another",
        "*moved, running = device_step",
        "*moved, _ = device_step",
        "guidance: walk",
        CLASS,
    ),
    Bug(
        "the interval is one of the noise alone",
        "guidance.inside",
        "(noise > low * signal)",
        "(noise > low)",
        "guidance: walk",
        {**CLASS, "options": {"cond_scale": 3.0, "guidance_interval": (0.95, 5.0)}},
    ),
    Bug(
        "guidance has no interval",
        "guidance.inside",
        "return found",
        "return np.ones_like(found)",
        "guidance: walk",
        CLASS,
    ),
    Bug(
        "the weaker network is the network itself",
        "guidance.Guidance._by_another",
        "denoiser(weak)",
        "denoiser(self._model)",
        "guidance: walk",
        WEAK,
    ),
    Bug(
        "the classifier's gradient moves the noise's estimate, not that of x_0",
        "guidance.classifier_step",
        "scale * sigma * sigma / column(levels, SIGNAL, x)",
        "scale * sigma",
        "guidance: walk",
        CLASSIFIER,
    ),
    Bug(
        "the classifier is told the network's time",
        "guidance.Guidance._by_classifier",
        "levels[:, TIME] + 1.0",
        "levels[:, TIME]",
        "guidance: walk",
        CLASSIFIER,
    ),
    Bug(
        "a guided estimate is not clipped",
        "guidance.guided_step",
        "x0_hat = limit(x0_hat)",
        "x0_hat = x0_hat",
        "guidance: walk",
        {**WEAK, "options": {"cond_scale": 3.0}},
    ),
]
