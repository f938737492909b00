"""An average of any length from the checkpoints of a run: what ``sample --ema X`` draws with."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from itertools import product
from pathlib import Path
from typing import NamedTuple

from ...reference.ema import post_hoc_weights, profile_error
from ..ema import combine, power_name
from .checkpoint import Tensors, load
from .folder import RunFolder
from .names import checkpoint_folder

MAX_ERROR = 0.2
"""A profile that is further from the one asked for, as a share of its length, is another one."""


class Average(NamedTuple):
    """What was made.

    Attributes:
        arrays: the averaged parameters, by name.
        step: the newest checkpoint's, at which the average ends.
        snapshots: how many were combined.
        error: how far its profile is from the one asked for, as a share of that one's length.
        refused: why checkpoints were passed over.
    """

    arrays: Tensors
    step: int
    snapshots: int
    error: float
    refused: list[str]


class _UnreadableError(Exception):
    """A checkpoint that has to be passed over."""

    def __init__(self, step: int, reason: str) -> None:
        super().__init__(reason)
        self.step = step


def load_average(run: RunFolder, sigma_rel: float, step: int | None = None) -> Average:
    """Make the average whose length is ``sigma_rel`` of the training done (arXiv 2312.02696).

    ``step``: at which it ends, of which there has to be a checkpoint (default: the newest's).

    Raises:
        ValueError: not a run folder; the run kept no averages to make it from; or its checkpoints
            are too few for this length, or damaged, or none is of ``step``.
    """
    widths = run.config.read().trainer.ema_sigma_rels
    if not widths:
        raise ValueError(
            f"ema {sigma_rel} cannot be made: the run in {str(run.path)!r} was trained without "
            "--ema-sigma-rels (as 0.05 0.10); draw with --ema default"
        )
    steps = [s for s in run.steps() if 0 < s <= (math.inf if step is None else step)]
    refused: list[str] = []
    while steps and step in (None, steps[-1]):
        pairs = list(product(steps, widths))
        profiles = [s for s, _ in pairs], [width for _, width in pairs], steps[-1], sigma_rel
        weights = post_hoc_weights(*profiles)
        error = profile_error(*profiles, weights / weights.sum())
        try:
            arrays = combine(_snapshots(run.path, steps, widths), weights)
        except _UnreadableError as unreadable:
            refused.append(str(unreadable))
            steps.remove(unreadable.step)
            continue
        _check(error, sigma_rel, widths, len(steps))
        return Average(arrays, steps[-1], len(pairs), error, refused)
    of_step = "" if step is None else f" of step {step}"
    raise ValueError(
        f"{run.path} holds no checkpoint{of_step} to make an average from: {refused or 'none'}"
    )


def _snapshots(run: Path, steps: Sequence[int], widths: Sequence[float]) -> Iterator[Tensors]:
    """The averages of all widths after each step, one at a time."""
    for step in steps:
        groups = [power_name(width) for width in widths]
        try:
            tensors = load(checkpoint_folder(run, step), groups).tensors
        except ValueError as error:
            raise _UnreadableError(step, str(error)) from None
        for group in groups:
            yield tensors[group]


def _check(error: float, sigma_rel: float, widths: Sequence[float], checkpoints: int) -> None:
    if error > MAX_ERROR:
        raise ValueError(
            f"ema {sigma_rel} cannot be made from {checkpoints} checkpoint(s): its profile would "
            f"be {error:.0%} off. Choose one nearer to {' or '.join(map(str, widths))}, or train "
            "with more checkpoints that are kept (--save-every, --keep-every)"
        )
