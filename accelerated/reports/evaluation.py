"""An evaluation for people: a table, and pictures of what may be copies."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..evaluation import FID, INCEPTION
from ..process import to_uint8
from ..system.files import replace_file
from . import pictures, plots

MEASURES = {
    "frechet": "Fréchet distance",
    "frechet_infinity": "  of infinitely many",
    "kernel": "kernel distance (KID)",
    "precision": "precision",
    "recall": "recall",
    "density": "density",
    "coverage": "coverage",
}
COLUMNS = {
    "drawn": "drawn, training",
    "halves": "real halves",
    "held_out": "held out, training",
    "drawn_to_held_out": "drawn, held out",
}
ASPECTS = {
    "digits": "digits",
    "colours": "colours",
    "layouts": "layouts",
    "scenes": "whole scenes",
    "thing": "the thing",
    "first_5": "in the first five",
    "style": "style",
    "background": "background",
}
ASKED = {
    "seen": "captions of the data",
    "held_out": "never shown in training",
    "other_captions": "by other captions",
    "no_caption": "drawn of no caption",
    "real": "real ones, by the judge",
    "other_style": "  by their other style",
}
"""What a judge reads, and of which pictures: see ``accelerated/obedience``."""

_WIDE, _NAME, _SHARE = 20, 26, 21


def measures(found: Mapping[str, Any]) -> dict[str, str]:
    """What is measured, by its name in ``evaluation.json``: FID where that is what it is."""
    return MEASURES | ({"frechet": FID} if found["feature_space"] == INCEPTION else {})


def table(found: Mapping[str, Any], names: Sequence[str] = ()) -> str:
    """The figures of ``evaluation.json``; ``names``: what classes are called."""
    shown = {name: text for name, text in COLUMNS.items() if name in found["distances"]}
    names_of = measures(found)
    wide = max(_NAME, 1 + max(map(len, names_of.values())))
    lines = [" " * wide + "".join(f"{text:>{_WIDE}}" for text in shown.values())]
    for measure, text in names_of.items():
        values = (with_error(found["distances"][column][measure]) for column in shown)
        lines.append(f"{text:{wide}}" + "".join(f"{value:>{_WIDE}}" for value in values))
    lines += ["", *_copies(found["copies"]), "", *_channels(found["colour"])]
    if "classes" in found:
        lines += ["", *_classes(found["classes"], names)]
    if "obedience" in found:
        lines += ["", *_obedience(found["obedience"])]
    if "likelihood" in found:
        lines += ["", *_bits(found["likelihood"])]
    return "\n".join(lines)


def heading(found: Mapping[str, Any]) -> str:
    """What was compared with what, in a line or two."""
    counts = found["counts"]
    unseen = f", {counts['held_out']:,} held out" if counts["held_out"] else ""
    few = min(counts["samples"], counts["training"]) < 2 * found["features"]
    warning = (
        ""
        if not few
        else (
            "\n! so few for so many features that the Fréchet distance is mostly bias: read it "
            "beside real halves,\n  or the kernel distance, or draw more (--num-samples)"
        )
    )
    return (
        f"step {found['step']:,} ({found['weights']}), {counts['samples']:,} drawn beside "
        f"{counts['training']:,} of {counts['training_in_all']:,} for training{unseen}\n"
        f"features: {found['feature_space']} ({found['features']}); seed {found['seed']}; ± holds "
        "95 of 100 repetitions" + warning
    )


def closest(found: Mapping[str, Any], drawn: NDArray[Any], real: NDArray[Any], path: Path) -> None:
    """Draw the closest pairs: what was drawn on the left, on the right the training images."""
    pairs = found["copies"]["closest"]
    both = (drawn[[p["drawn"] for p in pairs]], real[[p["training"] for p in pairs]])
    one, other = (x if x.dtype == np.uint8 else to_uint8(x) for x in both)
    some = slice(None) if one.shape[1] in (1, 3, 4) else slice(1)
    captions = "drawn, the nearest first", "nearest training images"
    pictures.save_png(pictures.comparison(one[:, some], other[:, some], captions=captions), path)


def bits(found: Mapping[str, Any], path: Path) -> None:
    """Plot what a step at each time takes, of each kind of images."""
    profiles = {
        name.replace("_", " "): (of["times"], of["profile"])
        for name, of in found["likelihood"].items()
    }
    replace_file(path, plots.profiles(profiles), flush=False)


def with_error(figure: Mapping[str, float]) -> str:
    """A value and its error: as many digits as the error has two."""
    value, error = figure["value"], figure["error"]
    if not error:
        return f"{value:.4g}"
    places = max(0, min(6, 1 - int(np.floor(np.log10(error)))))
    return f"{value:.{places}f} ± {1.96 * error:.{places}f}"


def with_interval(share: Mapping[str, float]) -> str:
    """A share and its interval of 95 %."""
    low, high = (f"{100 * share[end]:.1f}" for end in ("low", "high"))
    return f"{share['value']:.1%} ({low}–{high})"


def _bits(found: Mapping[str, Any]) -> list[str]:
    lines = []
    for name, of in found.items():
        kind = f"bits for each value, {name.replace('_', ' ')}"
        lines += [
            _line(kind, f"{with_error(of['bound'])}, the bound"),
            _line("", f"{with_error(of['flow'])}, by the probability-flow ODE"),
        ]
        dear = ", ".join(
            f"{row.get('name', row['image'])} ({row['bound']:.2f})" for row in of["each"][:3]
        )
        lines.append(_line("  the dearest images", dear))
    return lines


def _obedience(found: Mapping[str, Any]) -> list[str]:
    rows = {name: text for name, text in ASKED.items() if name in found["rows"]}
    aspects = list(found["chance"])
    lines = [f"{'shown as asked':{_NAME}}" + "".join(f"{ASPECTS[a]:>{_SHARE}}" for a in aspects)]
    for row, text in rows.items():
        shares = (found["rows"][row].get(aspect) for aspect in aspects)
        cells = "".join(f"{'' if one is None else with_interval(one):>{_SHARE}}" for one in shares)
        lines.append(f"{text:{_NAME}}{cells}".rstrip())
    chance = "".join(f"{format(part, '.2%'):>{_SHARE}}" for part in found["chance"].values())
    return [*lines, f"{'by chance':{_NAME}}{chance}"]


def _line(text: str, value: str) -> str:
    return f"{text:44}{value}"


def _copies(found: Mapping[str, Any]) -> list[str]:
    lines = [
        _line("distance to the nearest training item", f"{found['median_distance']:.4g} (median)"),
        _line("  of training items to each other", f"{found['median_distance_of_training']:.4g}"),
        _line(
            "closer than 1 % of those are",
            _percent(found["closer_than_1_percent_of_training"]) + ", 1 % where nothing is recited",
        ),
    ]
    if "expected" in found:
        nearer, expected = _percent(found["nearer_to_training"]), found["expected"]
        lines.append(
            _line(
                "nearer to a training item than to unseen",
                f"{nearer}, {expected:.1%} where nothing is recited",
            )
        )
    return lines


def _percent(figure: Mapping[str, float]) -> str:
    return f"{figure['value']:.1%} ± {1.96 * figure['error']:.1%}"


def _channels(found: Mapping[str, Any]) -> list[str]:
    lines = []
    for number, row in enumerate(found["channels"][:8]):
        means = f"{with_error(row['drawn'])}, data {with_error(row['real'])}"
        spread = f"{with_error(row['drawn_deviation'])}, data {with_error(row['real_deviation'])}"
        name = found["names"][number] if found["names"] else f"channel {number}"
        lines += [_line(f"{name}: mean", means), _line(f"{name}: deviation", spread)]
    for text in found["flags"]:
        lines += textwrap.wrap(f"! {text}", 100, subsequent_indent="  ")
    return lines


def _counts(counts: Sequence[int], names: Sequence[str]) -> str:
    """How many of each class; by name, unless those are their numbers."""
    if len(names) != len(counts) or list(names) == [str(i) for i in range(len(counts))]:
        return " ".join(map(str, counts))
    return ", ".join(f"{name}: {count}" for name, count in zip(names, counts, strict=True))


def _classes(found: Mapping[str, Any], names: Sequence[str]) -> list[str]:
    lines = []
    if found["agreement"] is not None:
        judge = f"; of real ones it reads {found['judge']:.1%}"
        lines.append(_line("read as asked by its neighbours", _percent(found["agreement"]) + judge))
        worst = int(np.argmin(found["agreement_of_each"]))
        name = names[worst] if worst < len(names) else str(worst)
        share = found["agreement_of_each"][worst]
        lines.append(_line("  the worst class", f"{name}, {share:.1%}"))
    if len(found["counts"]) <= 20:
        lines += [
            _line("classes drawn", _counts(found["counts"], names)),
            _line("  of the training items", _counts(found["counts_of_training"], names)),
        ]
    lines.append(
        _line(
            "all ten neighbours agree",
            f"{found['sure']:.1%}, of training items {found['sure_of_training']:.1%}",
        )
    )
    return lines
