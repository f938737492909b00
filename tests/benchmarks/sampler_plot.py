"""The plot of ``samplers.py``: distance against evaluations, and against the spacing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from ddpm_mindspore.accelerated.reports.plots import INK

from .samplers import FEW, KINDS, MANY, PLACES, WHOLE, Measured

PANELS = {
    "with noise, and of first order": (
        *("ancestral", "ancestral, beta", "dpm++2m-sde", "ddim, euler"),
    ),
    "two evaluations a step, or polynomials in t": (
        *("heun", "dpm++2s", "plms", "deis, order 2", "deis, order 3"),
    ),
    "by several estimates": ("dpm++2m", "dpm++3m", "unipc, order 2", "unipc, order 3"),
}
AMONG_SPACINGS = (
    *("ancestral", "ddim, euler", "heun", "deis, order 3", "dpm++2m", "unipc, order 2"),
)
COLOURS = ("#1f5fa8", "#c8702a", "#3c8c50", "#8a4fa3", "#b03a48", "#6b6b6b")
LEVELS = (0.1, 0.2, 0.5, 1, 2, 5, 10)
MARKS = ("o", "s", "^", "D", "v", "P")


def save(measured: Measured, path: Path) -> None:
    """Write it as a PNG file."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10.5, 8.2), dpi=110, layout="constrained")
    grid = figure.subplots(2, 2).ravel()
    for axes, (title, kinds) in zip(grid, PANELS.items(), strict=False):
        for i, kind in enumerate(kinds):
            _line(axes, measured, kind, i)
        axes.set_title(title, fontsize=10.5, color=INK)
        axes.set_xlabel("evaluations of the network", fontsize=9)
    counts = sorted({found["at_most"] for found in measured.found} - {WHOLE})
    for axes in grid[:3]:
        axes.set(xscale="log")
        axes.set_xticks(counts, [str(n) for n in counts])
    _by_spacing(grid[3], measured)
    every = np.concatenate([found["distances"] for found in measured.found])
    for axes in grid:
        _whole(axes, measured)
        axes.set(yscale="log", ylim=(0.85 * every.min(), 1.3 * every.max()))
        axes.set_yticks(LEVELS, [f"{level:g}" for level in LEVELS])
        axes.minorticks_off()
        axes.set_ylabel("Fréchet distance over pixels", fontsize=9)
        axes.spines[["top", "right"]].set_visible(False)
        axes.tick_params(labelsize=8, colors=INK)
        axes.legend(frameon=False, fontsize=8)
    FigureCanvasAgg(figure).print_png(str(path))


def _line(axes: Any, measured: Measured, kind: str, i: int) -> None:
    best = measured.best(kind)
    found = [x for n in (*FEW, *MANY) if (x := measured.of(kind, best, n))]
    # Beside each other, so that bars of several samplers can be told apart.
    place = [x["at_most"] * 1.035 ** (i - 2) for x in found]
    mean, spread = zip(*((np.mean(x["distances"]), _spread(x)) for x in found), strict=True)
    shown = {"color": COLOURS[i], "marker": MARKS[i], "ms": 4.5, "lw": 1.3, "capsize": 2}
    axes.errorbar(place, mean, spread, label=f"{kind} ({best})", elinewidth=0.9, **shown)


def _by_spacing(axes: Any, measured: Measured) -> None:
    for i, kind in enumerate(AMONG_SPACINGS):
        found = [measured.of(kind, spacing, 10) for spacing in PLACES]
        place = np.arange(len(PLACES)) + 0.05 * (i - 2.5)
        mean = [np.mean(x["distances"]) if x else np.nan for x in found]
        spread = [_spread(x) if x else np.nan for x in found]
        shown = {"color": COLOURS[i], "marker": MARKS[i], "ms": 5, "lw": 0, "capsize": 2}
        axes.errorbar(place, mean, spread, label=kind, elinewidth=0.9, **shown)
    axes.set_xticks(range(len(PLACES)), PLACES)
    axes.set_title("spacings, at 10 evaluations", fontsize=10.5, color=INK)


def _whole(axes: Any, measured: Measured) -> None:
    found = measured.of("ancestral", "uniform", WHOLE)
    if found:
        mean, spread = np.mean(found["distances"]), _spread(found)
        label = f"ancestral, T = {WHOLE}"
        axes.axhspan(mean - spread, mean + spread, color="#999999", alpha=0.35, lw=0, label=label)


def _spread(found: Any) -> float:
    return float(np.std(found["distances"], ddof=1))


assert {kind for kinds in PANELS.values() for kind in kinds} == set(KINDS) > set(AMONG_SPACINGS)
