"""What a run goes on from: parameters and optimiser state as a checkpoint, and back."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, fields, is_dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..config import RunConfig, TrainerConfig
from ..networks.network import Network
from ..optimizer import Optimizer
from ..runs.base import has_base
from ..runs.checkpoint import Checkpoint, load_newest, newest, prune, save
from ..runs.folder import RunFolder
from ..system.distributed import World
from ..system.say import say

# The optimiser's vectors under the names that a checkpoint's files have; others keep their name.
_FILES = {"params": "model", "m": "adam_m", "v": "adam_v"}
# What of a run's configuration its checkpoints depend on, besides the averages.
_FIXED = ("image_size", "network", "diffusion")


def fixed_arrays(model: Network) -> dict[str, NDArray[np.float32]]:
    """The parameters that are not trained, which every average therefore shares."""
    return {p.name: p.asnumpy() for p in model.get_parameters() if not p.requires_grad}


def snapshot(
    step: int, model: Network, optimizer: Optimizer, state: dict[str, Any] | None = None
) -> Checkpoint:
    """All that training after update number ``step`` depends on; ``state``: what is no tensor."""
    fixed = {} if has_base(model.config) else fixed_arrays(model)
    tensors = {}
    for name, vector in optimizer.vectors().items():
        group = _FILES.get(name, name)
        shares = group == "model" or group.startswith("ema")
        tensors[group] = optimizer.by_name(vector) | (fixed if shares else {})
    return Checkpoint(step, tensors, state or {})


def restore(checkpoint: Checkpoint, model: Network, optimizer: Optimizer) -> None:
    """Put back what :func:`snapshot` took."""
    tensors = checkpoint.tensors
    fixed = fixed_arrays(model) if has_base(model.config) else {}
    model.load_arrays(fixed | tensors["model"])
    optimizer.restore(
        {name: optimizer.as_vector(tensors[_FILES.get(name, name)]) for name in optimizer.names}
    )


def restore_newest(
    run: RunFolder, model: Network, optimizer: Optimizer, say: Callable[[str], None]
) -> Checkpoint:
    """Put back the newest checkpoint of a run that can be read, and return it."""
    loaded = load_newest(run.path)
    for reason in loaded.refused:
        say(f"passed over a checkpoint: {reason}")
    restore(loaded.checkpoint, model, optimizer)
    return loaded.checkpoint


class Saver:
    """Saves checkpoints, and keeps the run going when the disk is full: hours are in memory."""

    def __init__(self, run: RunFolder, config: TrainerConfig) -> None:
        self._run, self._config = run, config
        self._failure: OSError | None = None

    def __call__(self, checkpoint: Checkpoint, *, replaces: bool = True) -> None:
        """Save; then, if it ``replaces`` others, remove older ones that are not to be kept."""
        try:
            save(self._run.path, checkpoint)
            self._failure = None
        except OSError as error:
            self._failure = error
            say(f"no checkpoint at step {checkpoint.step}: {error}")
            return
        if not replaces:
            return
        config = self._config
        try:
            prune(
                self._run.path,
                checkpoint.step,
                keep_last=config.keep_last,
                keep_every=config.keep_every,
            )
        except OSError as error:
            say(f"an old checkpoint cannot be removed: {error}")

    def check(self) -> None:
        """Raise OSError when the last attempt to save failed."""
        if self._failure is not None:
            found = newest(self._run.path)
            left = f"the newest is {found}" if found else "there is none"
            raise OSError(
                self._failure.errno,
                f"the last checkpoint could not be saved ({self._failure.strerror}), {left}",
                self._failure.filename,
            ) from self._failure


def check_same_run(run: RunFolder, now: RunConfig) -> None:
    """See that a run is resumed with the network, diffusion and averages that it was started with.

    Raises:
        ValueError: the first difference.
    """
    before = run.config.read()
    parts = {name: (getattr(before, name), getattr(now, name)) for name in _FIXED}
    # An average over the whole of training cannot begin in the middle, nor other pictures be shown.
    for name in ("ema_sigma_rels", "super_resolve", "autoencoder", "scale_factor"):
        parts[name] = getattr(before.trainer, name), getattr(now.trainer, name)
    for name, values in parts.items():
        if difference := first_difference(name, *values):
            raise ValueError(
                f"{difference} in the run in {str(run.path)!r}: resume without changing it, or "
                "choose another --results-folder"
            )


def other_sampling(run: RunFolder, now: RunConfig) -> str:
    """What is different about sampling from now on, which is no other run; "" for nothing."""
    options = vars(run.config.read().sampling)
    changed = [
        f"{name} {getattr(now.sampling, name)} (it was {old})"
        for name, old in options.items()
        if old != getattr(now.sampling, name)
    ]
    return f"samples are drawn with {', '.join(changed)} from now on" if changed else ""


def check_same_start(
    world: World, config: RunConfig, images: int, step: int, optimizer: Optimizer
) -> None:
    """See that all processes begin alike.

    Raises:
        ValueError: they do not.
    """
    if world.size == 1:
        return
    options = asdict(config)
    # Machines may know a folder by different names.
    del options["data"], options["trainer"]["results_folder"]
    world.check_same(
        {
            "the configuration": json.dumps(options).encode(),
            "the number of images": str(images).encode(),
            "the step to go on from": str(step).encode(),
            "the parameters": optimizer.own().tobytes(),
        }
    )


def first_difference(name: str, old: Any, new: Any) -> str | None:
    """Say where two configurations first differ."""
    if is_dataclass(old):
        values = ((f.name, getattr(old, f.name), getattr(new, f.name)) for f in fields(old))
        return next(filter(None, (first_difference(*value) for value in values)), None)
    return None if old == new else f"{name} is {old}, not {new},"
