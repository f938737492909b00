"""Plots of what is no picture: sequences as lines, vectors as points or by their columns."""

from __future__ import annotations

import gc
import io
import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from matplotlib.figure import Figure

DRAWN, REAL, INK = "#1f5fa8", "#c8702a", "#404040"
_LINES = 6  # sequences shown of each kind
_PANELS = 12  # columns shown of a table
_POINTS = 4000


def sequences(
    drawn: NDArray[Any],
    real: NDArray[Any] | None = None,
    *,
    names: Sequence[str] = (),
    rate: int | None = None,
) -> bytes:
    """Drawn sequences (N, C, L), beside real ones where there are any, as a PNG file.

    Args:
        names: of the channels.
        rate: places a second, else places are counted.
    """
    kinds = [("drawn by the model", drawn, DRAWN)]
    kinds += [] if real is None else [("real", real, REAL)]
    rows = min(_LINES, max(len(x) for _, x, _ in kinds))
    figure = _figure(5.0 * len(kinds) + 1.0, 1.25 * rows + 0.9)
    grid = figure.subplots(rows, len(kinds), squeeze=False, sharex=True, sharey=True)
    place = np.arange(drawn.shape[-1]) / (rate or 1)
    for column, (title, items, colour) in enumerate(kinds):
        for row, axes in enumerate(grid[:, column]):
            _tidy(axes)
            if row < len(items):
                for channel, values in enumerate(items[row]):
                    name = names[channel] if channel < len(names) else None
                    shade = {"color": colour} if len(items[row]) == 1 else {}
                    axes.plot(place, values, lw=0.9, label=name, **shade)
        grid[0, column].set_title(title, color=INK, fontsize=11)
        grid[-1, column].set_xlabel("seconds" if rate else "place")
    if 1 < len(names) <= 6:
        grid[0, 0].legend(frameon=False, fontsize=7, ncols=len(names), loc="upper right")
    return _png(figure)


def vectors(
    drawn: NDArray[Any], real: NDArray[Any] | None = None, *, names: Sequence[str] = ()
) -> bytes:
    """Drawn vectors (N, C), and real ones, as a PNG file: points of the plane, or histograms."""
    names = names or [f"number {i}" for i in range(drawn.shape[1])]
    if drawn.shape[1] == 2:
        return _scatter(drawn, real, names)
    count = min(_PANELS, drawn.shape[1])
    columns = min(4, count)
    rows = math.ceil(count / columns)
    figure = _figure(3.0 * columns, 2.1 * rows + 0.4)
    grid = figure.subplots(rows, columns, squeeze=False).ravel()
    for axes in grid[count:]:
        axes.set_axis_off()
    for i, axes in enumerate(grid[:count]):
        both = drawn[:, i] if real is None else np.concatenate((drawn[:, i], real[:, i]))
        low, high = map(float, np.quantile(both, (0.001, 0.999)))
        edges = np.linspace(low, high if high > low else low + 1.0, 31)
        shown = {"bins": edges, "density": True}
        if real is not None:
            axes.hist(real[:, i], color=REAL, alpha=0.45, label="real", **shown)
        axes.hist(drawn[:, i], color=DRAWN, histtype="step", lw=1.4, label="drawn", **shown)
        axes.set_title(names[i], fontsize=9, color=INK)
        axes.set_yticks([])
        _tidy(axes)
    grid[0].legend(frameon=False, fontsize=8)
    return _png(figure)


def _scatter(drawn: NDArray[Any], real: NDArray[Any] | None, names: Sequence[str]) -> bytes:
    kinds = [("drawn by the model", drawn, DRAWN)]
    kinds += [] if real is None else [("real", real, REAL)]
    figure = _figure(4.0 * len(kinds), 4.3)
    row = figure.subplots(1, len(kinds), squeeze=False, sharex=True, sharey=True)[0]
    for axes, (title, points, colour) in zip(row, kinds, strict=True):
        axes.plot(*points[:_POINTS].T, ".", ms=3, mew=0, alpha=0.5, color=colour)
        axes.set_title(title, color=INK, fontsize=11)
        axes.set(xlabel=names[0], ylabel=names[1])
        _tidy(axes)
    return _png(figure)


def profiles(found: Mapping[str, tuple[Sequence[int], Sequence[float]]]) -> bytes:
    """Bits that one step takes, over its time on two logarithmic axes, by kind, as a PNG file."""
    figure = _figure(8.0, 4.5)
    axes = figure.add_subplot()
    _tidy(axes)
    for (kind, (times, values)), colour in zip(found.items(), (DRAWN, REAL), strict=False):
        axes.loglog(times, values, ".-", ms=5, lw=1.2, color=colour, label=f"{kind} images")
    axes.set_title("what one step takes", loc="left", color=INK, fontsize=12)
    axes.set(xlabel="t", ylabel="bits for each value")
    axes.grid(alpha=0.25, lw=0.6)
    axes.legend(frameon=False, fontsize=9)
    return _png(figure)


def _figure(width: float, height: float) -> Figure:
    # Slow to import. A Figure of its own leaves pyplot's state alone.
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), dpi=100, layout="constrained")


def _tidy(axes: Any) -> None:
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(labelsize=7, colors=INK)


def _png(figure: Figure) -> bytes:
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    from .pictures import quiet

    encoded = io.BytesIO()
    with quiet("matplotlib"):
        FigureCanvasAgg(figure).print_png(encoded)
    figure.clear()
    gc.collect()  # a figure's parts refer to each other
    return encoded.getvalue()
