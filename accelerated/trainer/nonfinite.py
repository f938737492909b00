"""What is done about updates whose loss or gradient is not finite: they are left out and noted.

The compiled step leaves parameters, moments and averages as they are when its loss or the norm of
its gradient is NaN or infinite (``optimizer.Optimizer.update``). Here it is kept account of, from
the two numbers that the host reads anyway. The number of an update goes on; Adam's correction of
its bias counts those that were applied.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from ...reference.precision import LossScale, next_scale
from ..runs.checkpoint import Checkpoint


class NonfiniteError(RuntimeError):
    """Training cannot go on: updates, or the parameters themselves, are NaN or infinite."""


class NonfiniteSteps:
    """Counts updates that were left out, moves the loss scale, and says when to stop.

    Args:
        folder: of the run; what was left out is written to its nonfinite.jsonl (None: nowhere).
        scaled: whether the loss is scaled: then a gradient that overflows is no surprise, and only
            halves the scale.
        limit: training stops after so many updates in a row that no scale explains.
        describe: what belongs to an update of this number, as values for JSON.

    Attributes:
        skipped: updates left out so far.
        in_a_row: updates left out since one was applied, whatever the reason. While there are any,
            the parameters are those of before, which may be what went wrong: older checkpoints are
            not to make room for them. A scale that is looked for ends it soon: it is halved at
            each, and below 1 there is none.
        scaled, describe: as given.
    """

    def __init__(
        self,
        folder: Path | None,
        *,
        scaled: bool,
        limit: int,
        describe: Callable[[int], dict[str, Any]] = lambda step: {},
    ) -> None:
        self._folder, self._limit, self.describe = folder, limit, describe
        self._scale = LossScale() if scaled else LossScale(1.0)
        self.scaled = scaled
        self._unexplained = 0
        self.in_a_row = 0
        self.skipped = 0

    @property
    def scale(self) -> float:
        """What the loss of the next update is multiplied by."""
        return self._scale.scale

    def note(self, step: int, loss: float, grad_norm: float) -> str:
        """Take account of an update that is done; "", or what to tell about it.

        Raises:
            NonfiniteError: it was the last of too many in a row.
        """
        used = self.scale
        finite = is_finite(loss, grad_norm)
        if self.scaled:
            self._scale = next_scale(self._scale, finite)
        if finite:
            self.in_a_row = self._unexplained = 0
            return ""
        self.skipped += 1
        self.in_a_row += 1
        if used > 1.0 and np.isfinite(loss):
            return f"step {step} left out: the gradient overflows, the loss scale is {self.scale:g}"
        self._unexplained += 1
        told = f"step {step} left out: loss {loss:g}, gradient norm {grad_norm:g}"
        try:
            self._write({"step": step, "loss": loss, "grad_norm": grad_norm, "loss_scale": used})
        except OSError as error:  # hours are in memory
            told += f" (nonfinite.jsonl cannot be written: {error.strerror})"
        if self._unexplained >= self._limit:
            first = step - self.in_a_row + 1
            raise NonfiniteError(
                f"stopped at step {step}: {self.in_a_row} steps in a row, from {first} on, had a "
                "loss or gradient that is NaN or infinite. None of them was applied, and the "
                f"checkpoints from before are untouched. {self._remedy(first)}"
            )
        return told

    def state(self) -> dict[str, Any]:
        """What a checkpoint keeps."""
        return {
            "loss_scale": self._scale.scale if self.scaled else None,
            "good_steps": self._scale.good,
            "skipped_steps": self.skipped,
            "nonfinite_in_a_row": self._unexplained,
            "left_out_in_a_row": self.in_a_row,
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from what :meth:`state` gave; a state without these entries changes nothing."""
        self.skipped = state.get("skipped_steps", self.skipped)
        self._unexplained = state.get("nonfinite_in_a_row", self._unexplained)
        self.in_a_row = state.get("left_out_in_a_row", self._unexplained)
        if self.scaled and state.get("loss_scale"):
            self._scale = LossScale(state["loss_scale"], state["good_steps"])

    def check(self, checkpoint: Checkpoint) -> Checkpoint:
        """A checkpoint that may be saved: itself.

        Raises:
            NonfiniteError: it holds NaN or infinity.
        """
        for group, tensors in checkpoint.tensors.items():
            for name, values in tensors.items():
                if not np.isfinite(values).all():
                    raise NonfiniteError(
                        f"stopped at step {checkpoint.step}: {name!r} of {group!r} is NaN or "
                        "infinite. Nothing was saved, and the checkpoints from before are "
                        "untouched: go on from them with a smaller learning rate"
                    )
        return checkpoint

    def _write(self, entry: dict[str, Any]) -> None:
        if self._folder is None:
            return
        line = json.dumps(_plain({**entry, **self.describe(entry["step"])}), allow_nan=False)
        with (self._folder / "nonfinite.jsonl").open("a", encoding="utf-8") as file:
            file.write(line + "\n")

    def _remedy(self, step: int) -> str:
        if self._folder is None:
            return "Try a smaller learning rate"
        return f"To look at the first of them: ddpm-mindspore replay {self._folder} --step {step}"


def is_finite(loss: float, grad_norm: float) -> bool:
    """Whether an update was applied: the condition of ``Optimizer.update``, in float32 too."""
    with np.errstate(over="ignore", invalid="ignore"):
        return bool(np.isfinite(np.float32(loss) + np.float32(grad_norm)))


def _plain(entry: dict[str, Any]) -> dict[str, Any]:
    """NaN and infinity as text, which JSON has."""
    return {
        name: str(value) if isinstance(value, float) and not np.isfinite(value) else value
        for name, value in entry.items()
    }
