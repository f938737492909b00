"""What is asked for of a run with classes: which of them, how many of each, and how insistently."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...reference.config import SamplingConfig
from ..data.classes import numbers_of
from ..runs.folder import RunFolder
from ..runs.images import class_names_of
from .options import SampleConfig
from .paint_options import PaintConfig

USUAL = 64
"""Images that are drawn where no one says how many."""


class Labels:
    """The classes of images 0, 1, ...: those that are asked for, or all, over and over.

    Image number i is then of the same class, and of the same noise, however many are drawn.

    Attributes:
        names: what they are called; empty for a run without classes.
        count: how many classes the run has.

    Raises:
        ValueError: a class that the run does not have; the message says which it has.
    """

    def __init__(self, config: SampleConfig, run: RunFolder) -> None:
        known = class_names_of(run)
        self.count = run.config.read().network.num_classes or 0
        if config.label and not self.count:
            raise ValueError(
                f"label {config.label[0]!r} is for a run with classes, which this one was not "
                "trained with (train --conditional): leave it out"
            )
        self._numbers = np.arange(self.count, dtype=np.int32)
        if config.label:
            self._numbers = numbers_of(list(config.label), self.count, known, "label")
        self.names = [known[k] if known else str(k) for k in self._numbers]

    def number(self, asked: int | None) -> int:
        """How many images to draw: as asked, or about USUAL, equally many of each class."""
        if asked is not None:
            return asked
        classes = len(self.names) or 1
        return USUAL if classes > USUAL else USUAL // classes * classes

    def of(self, images: Sequence[int]) -> NDArray[np.int32] | None:
        """The class of each of these images; None for a run without classes."""
        if not self.count:
            return None
        found: NDArray[np.int32] = self._numbers[np.asarray(images) % len(self._numbers)]
        return found

    def told(self, images: Sequence[int]) -> dict[str, Any]:
        """The same, as ``GaussianDiffusion.sample`` takes it."""
        return {"classes": self.of(images)}


class Captions:
    """What is said of real pictures, asked for in their order, over and over."""

    names: Sequence[str] = ()
    count = 0

    def __init__(self, captions: Sequence[str]) -> None:
        self._captions = captions

    @property
    def digest(self) -> str:
        """Which they are."""
        return hashlib.sha256("\n".join(self._captions).encode()).hexdigest()[:16]

    def told(self, images: Sequence[int]) -> dict[str, Any]:
        """The captions of these images, as ``GaussianDiffusion.sample`` takes them."""
        return {"condition": [self._captions[i % len(self._captions)] for i in images]}


def sampling_of(config: SampleConfig | PaintConfig) -> dict[str, Any]:
    """What the options of a command change of ``SamplingConfig``."""
    own = {field.name for field in fields(SamplingConfig)}
    given = {name: value for name, value in vars(config).items() if name in own}
    return {**given, "cond_scale": config.guidance}


def check_guidance(config: SampleConfig | PaintConfig, sampling: SamplingConfig) -> None:
    """Raise ValueError where an option says how to guide, and nothing is guided."""
    if sampling.guides:
        return
    for name, value in vars(config).items():
        how = name.startswith("guidance_") or name in ("autoguidance", "negative")
        if how and value not in (None, ""):
            raise ValueError(f"{name} {value} changes nothing without guidance: add --guidance 2")
