"""base.safetensors of a run that does not train all of its weights: the others.

Those that something is added to (LoRA), or those of a frozen text encoder. They are written once.
Its checkpoints hold what is trained alone, which may be little beside them.
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


def has_base(network: NetworkConfig) -> bool:
    """Whether a run of this network keeps what it does not train apart from its checkpoints."""
    return network.lora_rank is not None or network.text_is_frozen


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
            f"{path}, the weights that this run has not trained, cannot be read ({error}): bring "
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
        ValueError: the others cannot be read.
    """
    if not has_base(network):
        return arrays
    assert isinstance(network, TextUnetConfig)
    found = read_base(run)[0] | dict(arrays)
    return found if network.lora_rank is None else merged(found, network.lora_scale)
