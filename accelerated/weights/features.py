"""Weights of the networks whose features images are compared by: one file, no program in it."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from numpy.typing import NDArray

from .legacy_torch import read_legacy
from .read import read_safetensors

Params = Mapping[str, NDArray[Any]]


class FeatureWeights(NamedTuple):
    """What a file holds.

    Attributes:
        params: tensors by name.
        file: where they are from.
        sha256: of the file.
    """

    params: Params
    file: Path
    sha256: str


def read_feature_weights(file: Path) -> FeatureWeights:
    """Read a file that ends in .safetensors, or a state dict as PyTorch before 1.6 wrote it.

    Raises:
        ValueError: no such file, or it is neither.
    """
    if not file.is_file():
        raise ValueError(f"weights {str(file)!r} is not a file")
    params = read_safetensors(file) if file.suffix == ".safetensors" else read_legacy(file)
    digest = hashlib.sha256()
    with file.open("rb") as content:
        while piece := content.read(2**20):
            digest.update(piece)
    return FeatureWeights(params, file, digest.hexdigest())
