"""Bugs in the features that images are compared by."""

from __future__ import annotations

from ..planting import Bug

FILE = "networks.efficientnet"
FOUND = "efficientnet: features"

EFFICIENTNET = [
    Bug(
        "a folded norm forgets what is added to the variance",
        f"{FILE}.folded",
        "np.sqrt(variance + EPS)",
        "np.sqrt(variance)",
        FOUND,
    ),
    Bug(
        "a folded norm shifts the mean unscaled",
        f"{FILE}.folded",
        "beta - mean * scale",
        "beta - mean",
        FOUND,
    ),
    Bug(
        "the odd zero of a halving convolution stands in front",
        f"{FILE}.Step.construct",
        "ops.concat((x, ops.zeros((batch, dim, 1, width), x.dtype)), 2)",
        "ops.concat((ops.zeros((batch, dim, 1, width), x.dtype), x), 2)",
        FOUND,
    ),
    Bug(
        "a bottleneck forgets its input",
        f"{FILE}.Bottleneck.construct",
        "x + out if self.adds else out",
        "out",
        FOUND,
    ),
    Bug(
        "the narrowing convolution is clipped too",
        f"{FILE}.Bottleneck.__init__",
        ", clips=False",
        "",
        FOUND,
    ),
    Bug(
        "activations are not clipped at 6",
        f"{FILE}.Step.__init__",
        "ops.ReLU6()",
        "ops.ReLU()",
        FOUND,
    ),
]
