"""What ``evaluate`` is told."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from ...reference.evaluation.solvers import SOLVERS
from ...reference.plain import PathText, check_choice
from ..evaluation import FEATURES, WEIGHTS
from .options import SampleConfig

USUAL = 1000
"""Samples that are drawn where no one says how many."""


@dataclass(frozen=True)
class EvaluateConfig(SampleConfig):
    """Options of ``evaluate``.

    Attributes:
        num_samples: samples to draw and to compare (default: 1,000); those of an earlier evaluation
            with the same weights and options are kept.
        data: what the run was trained on (default: where it was).
        against: a folder of images of the same kind that the run was not trained on: it shows what
            a perfect model would have, and what is recited.
        num_real: real images at most, evenly spread over all.
        features: what images are compared by: pixels, pca (64 principal components), auto (pixels
            of tiny images, pca of others), efficientnet-lite0 (1,280 channels of a network that
            was trained on ImageNet; needs ddpm-mindspore[evaluation]) or inception (the 2,048 that
            FID is measured in; needs inception_weights).
        inception_weights: pt_inception-2015-12-05-6726825d.pth, or the same tensors as safetensors.
        efficientnet_weights: weights of efficientnet-lite0 (safetensors, or the file of its
            package), where the package is not installed.
        likelihood: real images, of each kind, of which it is counted how many bits they take, by
            the variational bound and by the probability-flow ODE.
        likelihood_steps: of the ODE.
        likelihood_solver: euler, heun, midpoint or rk4.
        replicates: of the bootstrap, from which errors are taken (default: 50, or 10 where there
            are more than 256 features).
        output: folder to write to (default: RUN/evaluation).
    """

    data: PathText | None = None
    against: PathText | None = None
    num_real: int = 10_000
    features: str = "auto"
    inception_weights: Path | None = None
    efficientnet_weights: Path | None = None
    likelihood: int = 0
    likelihood_steps: int = 50
    likelihood_solver: str = "heun"
    replicates: int | None = None
    like: Annotated[Path | None, tyro.conf.Suppress] = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.like is not None:
            raise ValueError(f"like {str(self.like)!r} is of sample, which draws a picture again")
        check_choice("features", self.features, FEATURES)
        for network, option in WEIGHTS.items():
            file = getattr(self, option)
            if file is not None and self.features != network:
                raise ValueError(f"{option} {str(file)!r} needs features {network!r}")
        check_choice("likelihood_solver", self.likelihood_solver, tuple(SOLVERS))
        if self.likelihood < 0 or self.likelihood == 1:
            raise ValueError(f"likelihood {self.likelihood} must be at least 2 images, or 0: none")
        if self.likelihood_steps < 1:
            raise ValueError(f"likelihood_steps {self.likelihood_steps} must be at least 1")
        for name, least in (("num_samples", 16), ("num_real", 32), ("replicates", 10)):
            value = getattr(self, name)
            if value is not None and value < least:
                raise ValueError(f"{name} {value} says too little: give {least} at least")

    @property
    def feature_weights(self) -> Path | None:
        """The file of the network whose features are asked for, where one is named."""
        option = WEIGHTS.get(self.features)
        file: Path | None = getattr(self, option) if option else None
        return file
