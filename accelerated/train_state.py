"""What a run goes on from: parameters and optimiser state as a checkpoint, and back."""

from __future__ import annotations

from dataclasses import fields, is_dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .checkpoint import Checkpoint
from .config import RunConfig
from .optimizer import Optimizer
from .unet import Unet

# The optimiser's vectors under the names that a checkpoint's files have; others keep their name.
_FILES = {"params": "model", "m": "adam_m", "v": "adam_v"}


def fixed_arrays(model: Unet) -> dict[str, NDArray[np.float32]]:
    """The parameters that are not trained, which every average therefore shares."""
    return {p.name: p.asnumpy() for p in model.get_parameters() if not p.requires_grad}


def snapshot(step: int, model: Unet, optimizer: Optimizer) -> Checkpoint:
    """All that training after update number ``step`` depends on."""
    fixed = fixed_arrays(model)
    tensors = {}
    for name, vector in optimizer.vectors().items():
        group = _FILES.get(name, name)
        shares = group == "model" or group.startswith("ema")
        tensors[group] = optimizer.by_name(vector) | (fixed if shares else {})
    return Checkpoint(step, tensors, {})


def restore(checkpoint: Checkpoint, model: Unet, optimizer: Optimizer) -> None:
    """Put back what :func:`snapshot` took."""
    tensors = checkpoint.tensors
    model.load_arrays(tensors["model"])
    optimizer.restore(
        {name: optimizer.as_vector(tensors[_FILES.get(name, name)]) for name in optimizer.vectors()}
    )


def check_same_run(before: RunConfig, now: RunConfig, folder: str) -> None:
    """See that a run is resumed with the network and the diffusion that it was started with.

    Raises:
        ValueError: the first difference.
    """
    for part in ("image_size", "unet", "diffusion"):
        if difference := _difference(part, getattr(before, part), getattr(now, part)):
            raise ValueError(
                f"{difference} in the run in {folder!r}: resume without changing it, or choose "
                "another --results-folder"
            )


def _difference(name: str, old: Any, new: Any) -> str | None:
    """Say where two configurations first differ."""
    if is_dataclass(old):
        values = ((f.name, getattr(old, f.name), getattr(new, f.name)) for f in fields(old))
        return next(filter(None, (_difference(*value) for value in values)), None)
    return None if old == new else f"{name} is {old}, not {new},"
