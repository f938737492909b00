"""The parts of a run's page that are figures: curves, the loss at each time, the evaluations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..evaluation import INCEPTION
from ..obedience import OBEYS
from . import charts
from .charts import number
from .evaluation import ASKED, ASPECTS, COLUMNS, MEASURES, with_error, with_interval
from .findings import Findings
from .words import inside, named, said

_MEASURES, _CHANCE = {measure: measure for measure in MEASURES}, "chance"
ROWS = 8  # evaluations of a training that are shown, the newest ones


@dataclass(frozen=True)
class Profile:
    """The training loss at each of a few times.

    Attributes:
        times: t.
        losses: the mean of ``images`` training images.
        step: of the weights.
    """

    times: tuple[float, ...]
    losses: tuple[float, ...]
    images: int
    step: int


def curves(found: Findings, profile: Profile | None) -> str:
    """Loss, loss at each time, gradient norm and images a second."""
    steps, metrics = found.metrics["step"], found.metrics
    parts = [_curve("loss", steps, metrics["loss"])]
    if profile is not None:
        parts.append(_profile(profile))
    parts += [_curve("norm", steps, metrics["grad_norm"]), _curve("speed", steps, metrics["speed"])]
    return f'<div class="charts">{"".join(parts)}</div>' if any(parts) else ""


def quality(found: Findings) -> str:
    """The evaluations of the training, and that of ``evaluate``."""
    parts = [
        _while_training(found.evaluations),
        _evaluated(found.evaluation),
        _obeyed(found.evaluation),
    ]
    if not any(parts):
        return f'<p class="soft">{said("quality_none")}</p>'
    return f'<p class="soft">{said("quality_note")}</p>{"".join(parts)}'


def last_of(values: NDArray[np.float64]) -> float | None:
    """The running mean at the last finite value; None where there is none."""
    finite = values[np.isfinite(values)]
    return float(charts.running_mean(finite)[-1]) if len(finite) else None


def _curve(key: str, steps: NDArray[np.float64], values: NDArray[np.float64]) -> str:
    finite = np.isfinite(values)
    if finite.sum() < 2:
        return ""
    mean, at = charts.running_mean(values[finite]), steps[finite]
    ends = {"first": number(mean[0]), "last": number(mean[-1])}
    label = named("alt_curve", start=f"{at[0]:,.0f}", end=f"{at[-1]:,.0f}", **ends)
    drawn = charts.curve(at, values[finite], label=label, axis=inside("axis_step"))
    note = said(f"{key}_note", value=number(mean[-1]), step=f"{at[-1]:,.0f}")
    return f'<figure><h3>{said(key)}</h3><div class="soft">{note}</div>{drawn}</figure>'


def _profile(profile: Profile) -> str:
    times, losses = profile.times, profile.losses
    ends = {"first": number(losses[0]), "last": number(losses[-1])}
    label = named("alt_profile", start=f"{times[0]:g}", end=f"{times[-1]:g}", **ends)
    drawn = charts.profile(times, losses, label=label, axis=inside("axis_t"))
    note = said("profile_note", count=profile.images, step=f"{profile.step:,}")
    return f'<figure><h3>{said("profile")}</h3><div class="soft">{note}</div>{drawn}</figure>'


def _while_training(rows: Sequence[Mapping[str, Any]]) -> str:
    if not rows:
        return ""
    shown = rows[-ROWS:]
    steps = (said("at_step", step=f"{row['step']:,}") for row in shown)
    head = "".join(f'<th scope="col">{step}</th>' for step in steps)

    def cells(measure: str) -> str:
        found = (_figure(r.get(measure), r.get(f"{measure}_error")) for r in shown)
        return "".join(f"<td>{text}</td>" for text in found)

    last = shown[-1]
    caption = said("quality_over", samples=f"{last['samples']:,}", real=f"{last['real']:,}")
    obeys = {f"{OBEYS}{name}": f"obeys_{name}" for name in ASPECTS if f"{OBEYS}{name}" in last}
    return _table(caption, head, cells, _MEASURES | obeys)


def _evaluated(found: Mapping[str, Any] | None) -> str:
    if found is None:
        return ""
    columns = [name for name in COLUMNS if name in found["distances"]]
    head = "".join(f'<th scope="col">{said(f"column_{name}")}</th>' for name in columns)

    def cells(measure: str) -> str:
        figures = (found["distances"][name].get(measure, {}) for name in columns)
        return "".join(
            f"<td>{_figure(figure.get('value'), figure.get('error'))}</td>" for figure in figures
        )

    caption = said(
        "quality_evaluate",
        step=f"{found['step']:,}",
        samples=f"{found['counts']['samples']:,}",
        real=f"{found['counts']['training']:,}",
        space=found["feature_space"],
    )
    fid = found["feature_space"] == INCEPTION
    return _table(caption, head, cells, _MEASURES | ({"frechet": "fid"} if fid else {}))


def _obeyed(found: Mapping[str, Any] | None) -> str:
    """What a judge reads in pictures of texts."""
    if found is None or "obedience" not in found:
        return ""
    aspects = list(found["obedience"]["chance"])
    head = "".join(f'<th scope="col">{said(f"aspect_{name}")}</th>' for name in aspects)
    rows = found["obedience"]["rows"]

    def cells(row: str) -> str:
        if row == _CHANCE:
            shares = (f"{part:.2%}" for part in found["obedience"]["chance"].values())
        else:
            shares = (
                with_interval(rows[row][name]) if name in rows[row] else "" for name in aspects
            )
        return "".join(f"<td>{text}</td>" for text in shares)

    names = {row: f"asked_{row}" for row in (*ASKED, _CHANCE) if row == _CHANCE or row in rows}
    return _table(said("quality_obeyed"), head, cells, names, "asked")


def _table(
    caption: str, head: str, cells: Any, names: Mapping[str, str], corner: str = "measure"
) -> str:
    """A row of ``cells`` for each of ``names``, which is called what its text says."""
    rows = "".join(
        f'<tr><th scope="row">{said(name)}</th>{cells(row)}</tr>' for row, name in names.items()
    )
    return (
        f'<div class="scroll table" role="region" tabindex="0" {named("quality_region")}>'
        f"<table><caption>{caption}</caption>"
        f'<thead><tr><th scope="col">{said(corner)}</th>{head}</tr></thead>'
        f"<tbody>{rows}</tbody></table></div>"
    )


def _figure(value: float | None, error: float | None) -> str:
    if value is None:
        return ""
    text, _, spread = with_error({"value": value, "error": error or 0.0}).partition(" ± ")
    return escape(text) + (f" <small>± {escape(spread)}</small>" if spread else "")
