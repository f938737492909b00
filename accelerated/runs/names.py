"""The names that a run takes in its folder, and what of others stands in their way.

RUN/checkpoints/step-00001000    a checkpoint's folder
RUN/samples/step-00001000.png    the picture that was drawn with it

Only what has such a name, in its place, is ever written over or removed; and in a folder that is no
run's it is someone else's.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

FILES = (
    *("config.json", "metrics.jsonl", "progress.json", "images.json", "nonfinite.jsonl"),
    *("skipped.jsonl", "loss.png", "weights.safetensors", "evaluations.jsonl", "vocabulary.txt"),
    *("published.ckpt", "report.html", "base.safetensors", "lora.safetensors"),
    "autoencoder.safetensors",
)
CHECKPOINTS, SAMPLES, TENSORBOARD, DRAWN = "checkpoints", "samples", "tensorboard", "drawn"
REPEATED, EVALUATION, VOCABULARY = "repeated", "evaluation", "vocabulary.txt"
PUBLISHED, REPORT = "published.ckpt", "report.html"
BASE, LORA = "base.safetensors", "lora.safetensors"
AUTOENCODER, ENCODED = "autoencoder.safetensors", "encoded"
PRIOR = "prior"
TASKS = ("inpaint", "super-resolve", "restore", "edit", "invert", "interpolate")
"""What the command of this name makes of given pictures."""
FOLDERS = (
    *(CHECKPOINTS, SAMPLES, TENSORBOARD, DRAWN, REPEATED, EVALUATION, PRIOR, ENCODED),
    *TASKS,
)

ASIDE = ".old"
"""The ending of a checkpoint that makes room for another one of the same step."""

# What the trainer writes in one go (see files.replace_file), in the folder and in samples/.
_REPLACED = (
    r"(config|progress|images)\.json|skipped\.jsonl|loss\.png|vocabulary\.txt|report\.html"
    r"|(base|autoencoder)\.safetensors"
)
_STEP = r"step-(\d{8,})"
_CHECKPOINT = re.compile(rf"{_STEP}({re.escape(ASIDE)})?")


def checkpoint_folder(run: Path, step: int) -> Path:
    """Where the checkpoint of a step is."""
    return run / CHECKPOINTS / f"step-{step:08d}"


def sample_picture(run: Path, step: int) -> Path:
    """Where the picture is that was drawn at a step."""
    return run / SAMPLES / f"{checkpoint_folder(run, step).name}.png"


def step_of(checkpoint: Path) -> int | None:
    """The step that a checkpoint's folder is named after; None where that is no such name."""
    match = _CHECKPOINT.fullmatch(checkpoint.name)
    return int(match[1]) if match else None


def checkpoints(run: Path) -> dict[Path, int]:
    """All checkpoints and their steps, the newest first; of two for one step, first the newer."""
    found = []
    for path in (run / CHECKPOINTS).glob("step-*"):
        if (step := step_of(path)) is not None:
            found.append((step, path.suffix != ASIDE, path))
    return {path: step for step, _, path in sorted(found, reverse=True)}


def temporary(checkpoint: Path) -> Path:
    """What a checkpoint is called while this process writes or removes it."""
    return checkpoint.with_name(f".{checkpoint.name}.{os.getpid()}.tmp")


def unfinished_checkpoints(run: Path) -> list[Path]:
    """Those under a temporary name."""
    unfinished = re.compile(rf"\.{_CHECKPOINT.pattern}\.\d+\.tmp")
    return [p for p in (run / CHECKPOINTS).glob(".step-*.tmp") if unfinished.fullmatch(p.name)]


def taken(folder: Path) -> list[str]:
    """The names of a run that there are in a folder."""
    return [name for name in (*FILES, *FOLDERS) if os.path.lexists(folder / name)]


def remove_half_written(folder: Path) -> None:
    """Remove the files that a killed trainer had not yet given their name."""
    for place, names in ((folder, _REPLACED), (folder / SAMPLES, rf"{_STEP}\.(png|npy|txt)")):
        unfinished = re.compile(rf"\.({names})\.\d+\.tmp")
        for path in place.glob(".*.tmp"):
            if unfinished.fullmatch(path.name) and path.is_file():
                path.unlink()
