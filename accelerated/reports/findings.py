"""What is known of a run, read from its files alone: what its page shows."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import safetensors
from numpy.typing import NDArray
from PIL import Image

from ..config import RunConfig
from ..runs.checkpoint import newest
from ..runs.config_file import read_document
from ..runs.folder import RunFolder
from ..runs.images import class_names_of
from ..runs.names import EVALUATION, step_of
from ..runs.warm_up import remark
from .laid_out import read_groups

METRICS = 2**20  # bytes read for the curves, however long the run
SHOWN = 8  # pictures of samples, evenly spread over all
_LONGEST = 2**24  # bytes: a larger document is not ours
_BLOCK = 2**16


@dataclass(frozen=True)
class Samples:
    """A picture of ``samples/``.

    Attributes:
        step: of which step.
        path: where it is.
        text: what its file says of it.
        groups: the images in it, uint8 (N, C, H, W): drawn ones, real ones, and before them small
            ones where these were enlarged; empty where it does not say where they are.
    """

    step: int
    path: Path
    text: Mapping[str, str]
    groups: tuple[NDArray[np.uint8], ...] = ()

    @property
    def drawn(self) -> NDArray[np.uint8] | None:
        """What the model drew."""
        return self.groups[-2] if len(self.groups) > 1 else None


@dataclass(frozen=True)
class Findings:
    """What is known of a run.

    Attributes:
        run: its folder.
        config: what it was started with.
        document: the same as config.json says it, with versions and images.
        step: where it is, of ``steps``.
        checkpoint: the newest one's step.
        training: whether a process trains in it now.
        imported: its weights are another program's.
        parameters: numbers that the network has learned.
        progress: progress.json.
        metrics: "step", "loss", "grad_norm" and "speed" (images a second) of each update.
        samples: the pictures, at most SHOWN, the first and the newest among them.
        evaluations: rows of evaluations.jsonl.
        evaluation: evaluation.json of ``evaluate``.
        nonfinite: updates that were left out.
        young: whether the newest average is none yet, or consists of early parameters mostly.
    """

    run: RunFolder
    config: RunConfig
    document: Mapping[str, Any]
    step: int
    steps: int
    checkpoint: int | None
    training: bool
    imported: bool
    parameters: int | None
    progress: Mapping[str, Any]
    metrics: Mapping[str, NDArray[np.float64]]
    samples: tuple[Samples, ...]
    evaluations: tuple[Mapping[str, Any], ...]
    evaluation: Mapping[str, Any] | None
    nonfinite: int
    young: bool

    @property
    def classes(self) -> tuple[str, ...]:
        """What its classes are called."""
        return class_names_of(self.run)


def gather(run: RunFolder) -> Findings:
    """Read it.

    Raises:
        ValueError: not a run folder.
    """
    config, document = run.config.read(), read_document(run.config.path)
    progress, folder = run.progress.read(), newest(run.path)
    saved = step_of(folder) if folder else None
    samples = _samples(run)
    last = samples[-1].step if samples else None
    imported = folder is not None and run.imported()
    return Findings(
        run=run,
        config=config,
        document=document,
        step=progress.get("step", saved or 0),
        steps=progress.get("steps", config.trainer.train_num_steps),
        checkpoint=saved,
        training=run.lock.holder() is not None,
        imported=imported,
        parameters=None if folder is None else _parameters(folder),
        progress=progress,
        metrics=_metrics(run, config, int(document.get("processes", 1))),
        samples=samples,
        evaluations=tuple(run.evaluations.read(METRICS)),
        evaluation=_document(run.path / EVALUATION / "evaluation.json"),
        nonfinite=_lines(run.path / "nonfinite.jsonl"),
        young=last is not None and not imported and bool(remark(last, config.trainer)),
    )


def _metrics(run: RunFolder, config: RunConfig, processes: int) -> dict[str, NDArray[np.float64]]:
    rows = run.metrics.read(METRICS)

    def column(name: str) -> NDArray[np.float64]:
        return np.array([math.nan if row.get(name) is None else row[name] for row in rows], float)

    trainer = config.trainer
    images = trainer.train_batch_size * trainer.gradient_accumulate_every * processes
    with np.errstate(divide="ignore"):
        speed = images / column("seconds")
    return {
        "step": column("step"),
        "loss": column("loss"),
        "grad_norm": column("grad_norm"),
        "speed": speed,
    }


def _samples(run: RunFolder) -> tuple[Samples, ...]:
    found = {}
    for path in run.samples.glob("step-*.png"):
        if (step := step_of(path.with_suffix(""))) is not None and path.is_file():
            found[step] = path
    steps = sorted(found)
    chosen = np.unique(np.linspace(0, len(steps) - 1, min(SHOWN, len(steps))).round().astype(int))
    read = (_read(steps[i], found[steps[i]]) for i in chosen)
    return tuple(samples for samples in read if samples is not None)


def _read(step: int, path: Path) -> Samples | None:
    wrong = OSError, ValueError, SyntaxError, Image.DecompressionBombError
    with suppress(*wrong), Image.open(path) as picture:
        picture.load()
        text = {str(k): str(v) for k, v in getattr(picture, "text", {}).items()}
        return Samples(step, path, text, read_groups(picture))
    return None


def _parameters(checkpoint: Path) -> int | None:
    path = checkpoint / "model.safetensors"
    wrong = OSError, ValueError, safetensors.SafetensorError
    with suppress(*wrong), safetensors.safe_open(path, "numpy") as file:
        shapes = (file.get_slice(name).get_shape() for name in file.keys())  # noqa: SIM118
        return int(sum(map(math.prod, shapes)))
    return None


def _document(path: Path) -> Mapping[str, Any] | None:
    with suppress(OSError, ValueError):
        if path.is_file() and path.stat().st_size <= _LONGEST:
            value = json.loads(path.read_text(encoding="utf-8"))
            return value if isinstance(value, dict) and "distances" in value else None
    return None


def _lines(path: Path) -> int:
    """How many there are; what is no file, as a device, has no end."""
    if not path.is_file():
        return 0
    with suppress(OSError), path.open("rb") as file:
        return sum(block.count(b"\n") for block in iter(lambda: file.read(_BLOCK), b""))
    return 0
