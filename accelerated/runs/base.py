"""base.safetensors of a run that trains what is added to weights (LoRA): those weights.

They are written once. Its checkpoints hold what is added alone, which is little beside them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import safetensors
import safetensors.numpy
from numpy.typing import NDArray

from ...reference.config import NetworkConfig, TextUnetConfig
from ...reference.networks.lora import merged
from ..system.files import replace_file
from .checkpoint import Tensors
from .folder import RunFolder
from .kept import digest
from .names import BASE


def save_base(run: RunFolder, arrays: Mapping[str, NDArray[np.float32]], rows: int) -> None:
    """Write it. ``rows``: so many of the token table are of those weights, the others are new."""
    known = {"rows": str(rows), "digest": digest(arrays)}
    replace_file(run.path / BASE, safetensors.numpy.save(dict(arrays), metadata=known))


def read_base(run: RunFolder) -> tuple[Tensors, int]:
    """The weights, and how many rows of their token table are not new.

    Raises:
        ValueError: the file is not there, or damaged.
    """
    path = run.path / BASE
    try:
        with safetensors.safe_open(path, "numpy") as file:
            facts = file.metadata() or {}
            arrays: Tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (OSError, safetensors.SafetensorError) as error:
        raise ValueError(
            f"{path}, the weights that this run's are added to, cannot be read ({error}): bring "
            "it back"
        ) from None
    if facts.get("digest") != digest(arrays):
        raise ValueError(f"{path} is damaged (its checksum differs): bring it back from a copy")
    return arrays, int(facts["rows"])


def whole(
    run: RunFolder, network: NetworkConfig, arrays: Mapping[str, NDArray[Any]]
) -> Mapping[str, NDArray[Any]]:
    """The parameters of ``merged_network(network)``, of a checkpoint's.

    Raises:
        ValueError: what they are added to cannot be read.
    """
    if not isinstance(network, TextUnetConfig) or network.lora_rank is None:
        return arrays
    return merged(read_base(run)[0] | dict(arrays), network.lora_scale)
