"""A run as one HTML page that needs nothing beside itself, for a desk, a phone and the dark."""

from __future__ import annotations

import importlib.metadata
import json
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from string import Template
from typing import Any

from ...reference.evaluation.colour import FLAGGED
from ..runs.folder import RunFolder
from ..system.files import replace_file
from . import figures, shown
from .charts import number
from .figures import Profile
from .findings import Findings, gather
from .shown import Film
from .words import english, named, said, script

MARK = b'<meta name="generator" content="ddpm-mindspore report">'
"""Stands near the beginning of each page: what has it may be written over."""

_PARTS = ("network", "diffusion", "sampling", "trainer")
_SUMMARY = {
    "network": ("name", "dim", "dim_mults"),
    "diffusion": ("objective", "timesteps", "beta_schedule"),
    "sampling": ("sampler", "sampling_timesteps", "cond_scale"),
    "trainer": ("train_batch_size", "train_lr", "ema_decay", "seed"),
}


@dataclass(frozen=True)
class Walked:
    """What a network was asked for the page, and what could not be drawn."""

    film: Film | None = None
    profile: Profile | None = None
    remarks: tuple[str, ...] = ()


def write_page(run: RunFolder, path: Path, walked: Walked | None = None) -> None:
    """Write the page of a run.

    Args:
        walked: what the network was asked for it (default: nothing; the page says how).

    Raises:
        ValueError: not a run folder, or ``path`` holds what is no such page.
        OSError: it cannot be written.
    """
    check_free(path)
    replace_file(path, to_html(gather(run), walked).encode(), flush=False)


def check_free(path: Path) -> None:
    """Raise ValueError where a file is that is no page of ours."""
    if not path.exists():
        return
    try:
        ours = False
        if path.is_file() or path.is_dir():  # others may have no end, or no beginning
            with path.open("rb") as file:
                ours = MARK in file.read(1000)
    except OSError as error:
        raise ValueError(
            f"output {str(path)!r} cannot be written ({error.strerror}): name a file (--output)"
        ) from None
    if not ours:
        raise ValueError(
            f"output {str(path)!r} holds what is no page of this program: name another (--output)"
        )


def to_html(found: Findings, walked: Walked | None = None) -> str:
    """The page, as text; everything that a run holds is escaped."""
    template = Template(Path(__file__).with_name("report.html").read_text(encoding="utf-8"))
    name = found.run.path.absolute().name
    return template.substitute(
        title=escape(english("page", name=name)),
        language=named("language"),
        kicker=f"<b>ddpm-mindspore</b> · {said(_state(found))}",
        name=escape(name),
        subtitle=" · ".join(_subtitle(found)),
        tiles=_terms(_tiles(found)),
        warnings=_warnings(found, () if walked is None else walked.remarks),
        sections="\n".join(_sections(found, walked)),
        footer=said("footer", version=importlib.metadata.version("ddpm-mindspore")),
        words=script(),
    )


def _sections(found: Findings, walked: Walked | None) -> list[str]:
    film = walked.film if walked is not None else None
    parts = {
        "drawn": shown.drawn(found),
        "over": shown.over_steps(found),
        "film": "" if film is None else shown.film(film),
        "curves": figures.curves(found, None if walked is None else walked.profile),
        "quality": figures.quality(found),
        "next": _ways(found),
        "config": _configuration(found),
    }
    return [
        f'<section id="{key}"><h2>{said(f"{key}_title")}</h2>{content}</section>'
        for key, content in parts.items()
        if content
    ]


def _state(found: Findings) -> str:
    if found.training:
        return "running"
    if found.imported:
        return "imported"
    return "finished" if found.step >= found.steps else "stopped"


def _subtitle(found: Findings) -> list[str]:
    parts = []
    if found.step:
        parts.append(said("of_steps", step=f"{found.step:,}", steps=f"{found.steps:,}"))
    count = found.document.get("images", {}).get("count")
    shape = "×".join(map(str, (found.config.network.channels, *found.config.sides)))
    if count:
        parts.append(said("items", count=f"{count:,}", shape=shape))
    parts.append(said("of_data", data=found.config.data))
    if found.parameters:
        parts.append(said("parameters", count=f"{found.parameters:,}"))
    return parts


def _tiles(found: Findings) -> dict[str, str]:
    loss = figures.last_of(found.metrics["loss"])
    tiles = {} if loss is None else {"tile_loss": number(loss)}
    if speed := found.progress.get("images_per_second"):
        tiles["tile_speed"] = number(speed)
    if seconds := sum(found.progress.get("seconds", {}).values()):
        tiles["tile_time"] = _duration(seconds)
    if found.evaluations and found.evaluations[-1].get("frechet") is not None:
        tiles["tile_distance"] = number(found.evaluations[-1]["frechet"])
    elif found.evaluation is not None:
        tiles["tile_distance"] = number(found.evaluation["distances"]["drawn"]["frechet"]["value"])
    if found.checkpoint is not None:
        tiles["tile_checkpoint"] = f"{found.checkpoint:,}"
    return tiles


def _terms(terms: Mapping[str, str]) -> str:
    return "".join(f"<div><dt>{said(key)}</dt><dd>{text}</dd></div>" for key, text in terms.items())


def _warnings(found: Findings, remarks: Sequence[str]) -> str:
    lines = []
    if found.young:
        lines.append(said("young_average", step=f"{found.samples[-1].step:,}"))
    if skipped := found.progress.get("skipped", 0):
        lines.append(said("skipped", count=f"{skipped:,}"))
    if found.nonfinite:
        lines.append(said("nonfinite", count=f"{found.nonfinite:,}"))
    if (evaluation := found.evaluation) is not None:
        lines += _casts(evaluation)
    lines += [said("not_drawn", why=remark) for remark in remarks]
    if not lines:
        return ""
    items = "".join(f"<li>{line}</li>" for line in lines)
    return f'<div class="warnings"><h2>{said("warnings")}</h2><ul>{items}</ul></div>'


def _casts(evaluation: Mapping[str, Any]) -> list[str]:
    """What ``flags`` of the reference says of colours."""
    colour, lines = evaluation.get("colour", {}), []
    names = colour.get("names", ())
    for c, channel in enumerate(colour.get("channels", ())):
        name = names[c] if c < len(names) else str(c)
        for measure, ending, keys in (
            ("cast", "", ("cast_less", "cast_more")),
            ("contrast", "_deviation", ("contrast_less", "contrast_more")),
        ):
            errors = channel[measure]
            if abs(errors) <= FLAGGED:
                continue
            lines.append(
                said(
                    keys[errors > 0],
                    step=f"{evaluation['step']:,}",
                    name=name,
                    errors=f"{abs(errors):.0f}",
                    drawn=f"{channel[f'drawn{ending}']['value']:.4f}",
                    real=f"{channel[f'real{ending}']['value']:.4f}",
                )
            )
    return lines


def _command(text: str) -> str:
    """A command whose words are broken nowhere but where one is longer than a line."""
    return f"<pre>{' '.join(f'<span>{escape(word)}</span>' for word in text.split(' '))}</pre>"


def _ways(found: Findings) -> str:
    """How to go on, sample and evaluate."""
    folder = shlex.quote(str(found.run.path))
    ways = {}
    if not found.imported and found.checkpoint is not None:
        steps = 2 * found.steps if found.step >= found.steps else found.steps
        ways["to_resume"] = (
            f"ddpm-mindspore train --resume --results-folder {folder} --steps {steps}"
        )
    if found.run.vocabulary.exists():
        ways["to_paint"] = f"ddpm-mindspore paint TEXT --run {folder}"
        ways["to_evaluate"] = f"ddpm-mindspore evaluate {folder}"
    elif found.config.trainer.super_resolve is not None:
        ways["to_enlarge"] = f"ddpm-mindspore super-resolve {folder} IMAGE"
    else:
        label = f" --label {shlex.quote(found.classes[-1])}" if found.classes else ""
        ways["to_sample"] = f"ddpm-mindspore sample {folder} --num-samples 100 --seed 1{label}"
        ways["to_evaluate"] = f"ddpm-mindspore evaluate {folder}"
    ways["to_report"] = f"ddpm-mindspore report {folder}"
    items = "".join(
        f"<div><h3>{said(key)}</h3>{_command(text)}</div>" for key, text in ways.items()
    )
    return f'<div class="ways">{items}</div>'


def _configuration(found: Findings) -> str:
    document = found.document
    groups = {part: dict(document[part]) for part in _PARTS}
    images = {n: v for n, v in document.get("images", {}).items() if n != "classes"}
    own = {"data": document["data"], "image_size": document["image_size"]}
    versions = {**own, "device": document["device"], **images, **document.get("versions", {})}
    return "".join(
        _group(part, options, _SUMMARY.get(part, ("data", "mindspore")))
        for part, options in {**groups, "versions": versions}.items()
    )


def _group(part: str, options: Mapping[str, Any], summary: Sequence[str]) -> str:
    items = "".join(
        f"<div><dt>{escape(name)}</dt><dd>{escape(_value(value))}</dd></div>"
        for name, value in options.items()
    )
    short = [f"{name} {_value(options[name])}" for name in summary if options.get(name) is not None]
    return (
        f"<details><summary><b>{said(f'part_{part}')}</b>"
        f'<span class="soft">{escape(" · ".join(short))}</span></summary>'
        f'<dl class="options">{items}</dl></details>'
    )


def _value(value: Any) -> str:
    if value is None:
        return "–"
    if isinstance(value, list):
        return " ".join(map(_value, value)) or "–"
    return json.dumps(value, ensure_ascii=False) if isinstance(value, (dict, bool)) else str(value)


def _duration(seconds: float) -> str:
    minutes = round(seconds / 60)
    if seconds < 100:
        return said("seconds", count=f"{seconds:.0f}")
    if minutes < 100:
        return said("minutes", count=minutes)
    return said("hours", count=minutes // 60, minutes=f"{minutes % 60:02d}")
