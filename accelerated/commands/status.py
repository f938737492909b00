"""What ``ddpm-mindspore status RUN`` prints: where a run is, read from its files alone."""

from __future__ import annotations

import json
import time
from typing import Any

import numpy as np

from ..obedience import OBEYS
from ..runs.checkpoint import newest
from ..runs.folder import RunFolder
from ..runs.names import step_of
from ..system.say import answer, can_show
from ..trainer.timing import shares
from .exit_codes import DONE
from .options import StatusConfig

_METRICS = 2**20  # bytes read for the loss curve, however long the run
_EVALUATIONS = 3  # of evaluations.jsonl that are shown, the newest
_LAST = 100  # steps whose mean loss is shown
_MEASURES = {
    "frechet": "Fréchet",
    "kernel": "kernel distance",
    "precision": "precision",
    "recall": "recall",
    f"{OBEYS}digits": "digits as asked",
    f"{OBEYS}thing": "things as asked",
}
_BLOCKS, _AXIS = " ▁▂▃▄▅▆▇█", "┤"
_PLAIN, _PLAIN_AXIS = " ..::||##", "|"  # where there are no others


def status(config: StatusConfig) -> int:
    """Print where a run is; 0.

    Raises:
        ValueError: not a run folder.
    """
    run = RunFolder(config.run)
    facts = gather(run)
    if config.json:
        answer(json.dumps(facts, indent=2))
        return DONE
    answer(describe(facts))
    rows = [row for row in run.metrics.read(_METRICS) if row["loss"] is not None]
    if rows:
        curve = plot([row["step"] for row in rows], [row["loss"] for row in rows])
        plain = str.maketrans(_BLOCKS + _AXIS, _PLAIN + _PLAIN_AXIS)
        answer(curve if can_show(_BLOCKS + _AXIS) else curve.translate(plain))
    return DONE


def gather(run: RunFolder) -> dict[str, Any]:
    """All that is known of a run, as plain values.

    Raises:
        ValueError: not a run folder.
    """
    config, images = run.config.read(), run.config.images()
    trainer = config.trainer
    progress, holder, folder = run.progress.read(), run.lock.holder(), newest(run.path)
    saved = step_of(folder) if folder else None
    step = progress.get("step", saved or 0)
    steps = progress.get("steps", trainer.train_num_steps)
    seconds = progress.get("seconds", {})
    last = run.metrics.last(_LAST)
    losses = [row["loss"] for row in last if row["loss"] is not None]
    return {
        "run": str(run.path),
        "running": holder is not None,
        "process": holder,
        "imported": folder is not None and run.imported(),
        "from": trainer.from_run,
        "data": config.data,
        "images": images.get("count"),
        "captions": "captions" in images,
        "step": step,
        "steps": steps,
        "images_per_second": progress.get("images_per_second"),
        "seconds_left": _seconds_left(progress, steps - step),
        "seconds_since_update": _since(progress.get("written")),
        "loss": float(np.mean(losses)) if losses else None,
        "loss_steps": len(last),
        "loss_steps_left_out": len(last) - len(losses),
        "checkpoint": str(folder) if folder else None,
        "checkpoint_step": saved,
        "seconds_since_checkpoint": _since(folder.stat().st_mtime) if folder else None,
        "evaluations": run.evaluations.last(_EVALUATIONS),
        "skipped_images": progress.get("skipped", 0),
        "seconds": seconds,
        "shares": shares(seconds),
    }


def _seconds_left(progress: dict[str, Any], steps: int) -> float | None:
    """As fast as now, with checkpoints, samples and waiting at their share so far."""
    share = shares(progress.get("seconds", {})).get("steps", 0.0)
    return steps * progress["seconds_per_step"] / share if share else None


def _since(moment: float | None) -> float | None:
    return None if moment is None else max(0.0, time.time() - moment)


def describe(facts: dict[str, Any]) -> str:
    """The facts in a few lines."""
    step, steps = facts["step"], facts["steps"]
    lines = [f"{facts['run']}: {_doing(facts)}", f"  step        {step:,} of {steps:,}"]
    if facts["running"]:
        lines[-1] += f" ({step / steps:.0%})"
        if facts["seconds_left"] is not None and step < steps:
            lines[-1] += f", about {duration(facts['seconds_left'])} left"
    if facts["from"]:
        lines.append(f"  from        {facts['from']}")
    if facts["images"]:
        with_captions = ", with captions" * facts["captions"]
        lines.append(f"  data        {facts['data']}: {facts['images']:,} images{with_captions}")
    if facts["images_per_second"]:
        lines.append(f"  speed       {facts['images_per_second']:,.0f} images/s")
    if facts["loss"] is not None:
        lines.append(
            f"  loss        {facts['loss']:.4f}, mean of the last {facts['loss_steps']} steps"
        )
        if facts["loss_steps_left_out"]:
            lines[-1] += f", without {facts['loss_steps_left_out']} that are not finite"
    lines += _evaluations(facts["evaluations"])
    if facts["checkpoint"]:
        ago = duration(facts["seconds_since_checkpoint"])
        lines.append(f"  checkpoint  step {facts['checkpoint_step']:,}, {ago} ago")
    if sum(facts["shares"].values()):
        parts = sorted(facts["shares"].items(), key=lambda item: -item[1])
        lines.append("  time        " + ", ".join(f"{name} {part:.1%}" for name, part in parts))
    if facts["skipped_images"]:
        lines.append(f"  skipped     {facts['skipped_images']:,} images that cannot be decoded")
    return "\n".join(lines)


def _evaluations(rows: list[dict[str, Any]]) -> list[str]:
    """How good samples were, at the newest evaluations, the last of them first."""
    lines: list[str] = []
    for row in reversed(rows):
        figures = (f"{text} {row[name]:.3g}" for name, text in _MEASURES.items() if row.get(name))
        lines.append(
            f"  {'' if lines else 'evaluation':10}  step {row['step']:,}: " + ", ".join(figures)
        )
    return lines


def _doing(facts: dict[str, Any]) -> str:
    if facts["running"]:
        owner = facts["process"]
        who = f" (process {owner['pid']} on {owner['host']})" if owner else ""
        return f"training{who}, heard of {duration(facts['seconds_since_update'] or 0)} ago"
    if facts["checkpoint_step"] is None:
        return "not running, and it has no checkpoint to go on from"
    if facts["imported"]:
        return "imported weights; a new run can start from them (train --from)"
    if facts["checkpoint_step"] >= facts["steps"]:
        return "finished"
    return f"not running; --resume goes on from step {facts['checkpoint_step']:,}"


def duration(seconds: float) -> str:
    """5 s, 3 min, 2 h 10 min, 4 days 3 h."""
    minutes, hours = round(seconds / 60), round(seconds / 3600)
    if seconds < 100:
        return f"{seconds:.0f} s"
    if minutes < 100:
        return f"{minutes} min"
    if hours < 48:
        return f"{minutes // 60} h {minutes % 60} min"
    return f"{hours // 24} days {hours % 24} h"


def plot(steps: list[int], losses: list[float], *, width: int = 60, height: int = 8) -> str:
    """A loss curve of block characters: means of equal stretches, logarithmic if all are positive.

    The axis leaves out what only the first steps reach.
    """
    x = np.asarray(steps, np.float64)
    column = ((x - x[0]) * width / max(x[-1] - x[0] + 1, width)).astype(int)
    used = np.unique(column)
    mean = np.array([np.mean(np.asarray(losses)[column == i]) for i in used])
    top, bottom = np.percentile(mean, 98), mean.min()
    scale = np.log if bottom > 0 else np.asarray
    low, high = scale(bottom), scale(max(top, bottom))
    share = (scale(np.minimum(mean, max(top, bottom))) - low) / max(high - low, 1e-12)
    heights = np.zeros(width, int)
    heights[used] = 1 + np.round(share * (8 * height - 1)).astype(int)
    rows = []
    for row in reversed(range(height)):
        label = {height - 1: f"{top:.3g}", 0: f"{bottom:.3g}"}.get(row, "")
        cells = np.clip(heights - 8 * row, 0, 8)
        rows.append(f"{label:>10} {_AXIS}" + "".join(_BLOCKS[cell] for cell in cells).rstrip())
    return "\n".join([*rows, f"{'step':>10} {steps[0]:,}{steps[-1]:>{width - 1},}"])
