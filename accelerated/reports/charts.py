"""Line charts as SVG of a few lines, whose colours are the page's."""

from __future__ import annotations

import math
from html import escape

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]

WIDTH, HEIGHT = 460, 230
LEFT, RIGHT, TOP, BOTTOM = 50, 12, 12, 40
_POINTS = 240  # at most, of what is drawn: more are finer than a screen


def curve(x: ArrayLike, y: ArrayLike, *, label: str, axis: str) -> str:
    """Values over steps: where they lie as a band, and their running mean as a line.

    The axis is logarithmic where the mean changes by more than a factor of three; a few values
    beyond all others do not stretch it. Values that are not finite are left out.

    Args:
        label: attributes that name the chart, as HTML.
        axis: what is below the horizontal axis, as SVG text.
    """
    at, values = _finite(x, y)
    if not len(values):
        return ""
    mean = running_mean(values)
    low = min(mean.min(), np.percentile(values, 1))
    high = max(mean.max(), np.percentile(values, 99))
    log = low > 0 and mean.max() > 3 * mean.min()
    frame = _Frame((at[0], at[-1]), (low, high), log)
    band = frame.band(at, values) if len(values) > 2 else ""
    return frame.svg(band + frame.line(at, mean), label, axis)


def profile(x: ArrayLike, y: ArrayLike, *, label: str, axis: str) -> str:
    """A value at each of a few places, as points on a line; the rest as of :func:`curve`."""
    at, values = _finite(x, y)
    if not len(values):
        return ""
    low, high = values.min(), values.max()
    frame = _Frame((at[0], at[-1]), (low, high), low > 0 and high > 10 * low)
    points = "".join(
        f'<circle cx="{frame.across(a):.1f}" cy="{frame.up(v):.1f}" r="2.6">'
        f"<title>{_number(a)}: {_number(v)}</title></circle>"
        for a, v in zip(at, values, strict=True)
    )
    return frame.svg(frame.line(at, values) + points, label, axis)


def running_mean(values: Array) -> Array:
    """The mean over about a twentieth of the values, twice; over fewer at the ends."""
    half = max(1, len(values) // 60)
    for _ in range(2):
        sums = np.concatenate([[0.0], np.cumsum(values)])
        i = np.arange(len(values))
        first, last = np.maximum(i - half, 0), np.minimum(i + half + 1, len(values))
        values = (sums[last] - sums[first]) / (last - first)
    return values


class _Frame:
    """The axes of a chart: values to places, and what is drawn around them."""

    def __init__(self, x: tuple[float, float], y: tuple[float, float], log: bool) -> None:
        (self._x0, self._x1), self._log = x, log
        low, high = (math.log10(v) for v in y) if log else y
        margin = 0.06 * (high - low) or 0.1 * abs(high) or 1.0
        self._y0, self._y1 = low - margin, high + margin
        if not log and low >= 0:
            self._y0 = max(self._y0, 0.0)

    def across(self, x: float) -> float:
        share = (x - self._x0) / (self._x1 - self._x0) if self._x1 > self._x0 else 0.5
        return LEFT + (WIDTH - LEFT - RIGHT) * share

    def up(self, y: float) -> float:
        value = math.log10(max(y, 1e-300)) if self._log else y
        share = (value - self._y0) / (self._y1 - self._y0)
        return TOP + (HEIGHT - TOP - BOTTOM) * (1.0 - min(max(share, 0.0), 1.0))

    def line(self, x: Array, y: Array) -> str:
        thin = np.unique(np.linspace(0, len(x) - 1, min(len(x), _POINTS)).round().astype(int))
        return f'<path class="mean" d="M{self._path(x[thin], y[thin])}"/>'

    def band(self, x: Array, y: Array) -> str:
        """Between the least and the largest value of each stretch."""
        parts = [part for part in np.array_split(np.arange(len(x)), _POINTS // 2) if len(part)]
        at = np.array([x[part].mean() for part in parts])
        low = np.array([y[part].min() for part in parts])
        high = np.array([y[part].max() for part in parts])
        around = self._path(np.append(at, at[::-1]), np.append(high, low[::-1]))
        return f'<path class="band" d="M{around}Z"/>'

    def svg(self, drawn: str, label: str, axis: str) -> str:
        bottom = HEIGHT - BOTTOM
        rows = "".join(
            f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>'
            f'<text class="up" x="{LEFT - 8}" y="{y + 4:.1f}">{_number(value)}</text>'
            for value in self._rows()
            for y in (self.up(value),)
        )
        columns = "".join(
            f'<text class="{place}" x="{self.across(value):.1f}" y="{bottom + 17}">'
            f"{_number(value)}</text>"
            for value in ticks(self._x0, self._x1, 5)
            for place in ("end" if self.across(value) > WIDTH - 40 else "across",)
        )
        name = f'<text class="axis" x="{(LEFT + WIDTH - RIGHT) / 2}" y="{HEIGHT - 5}" {axis}</text>'
        return (
            f'<svg class="chart" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" {label}>'
            f"{rows}{columns}{name}{drawn}</svg>"
        )

    def _rows(self) -> list[float]:
        if not self._log:
            return ticks(self._y0, self._y1, 4)
        low, high = math.floor(self._y0), math.ceil(self._y1)
        for steps in ((1, 2, 5), (1, 3), (1,)):
            found = [s * 10.0**d for d in range(low, high + 1) for s in steps]
            inside = [v for v in found if self._y0 <= math.log10(v) <= self._y1]
            if len(inside) <= 6:
                break
        else:
            inside = inside[:: math.ceil(len(inside) / 6)]
        if len(inside) < 2:  # within a decade
            return ticks(10.0**self._y0, 10.0**self._y1, 4)
        return inside

    def _path(self, x: Array, y: Array) -> str:
        places = zip(x.tolist(), y.tolist(), strict=True)
        return "L".join(f"{self.across(a):.1f} {self.up(b):.1f}" for a, b in places)


def ticks(low: float, high: float, count: int) -> list[float]:
    """About ``count`` round numbers from low to high."""
    if not high > low:
        return [low]
    raw = (high - low) / count
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(s * power for s in (1, 2, 5, 10) if s * power >= raw * 0.999)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [round(i * step, 12) for i in range(first, last + 1)]


def number(value: float) -> str:
    """A value with three digits or as many as it has, and commas."""
    if value and (abs(value) < 1e-3 or abs(value) >= 1e7):
        return f"{value:.2e}"
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def _number(value: float) -> str:
    if value and (abs(value) < 1e-3 or abs(value) >= 1e7):
        return escape(f"{value:.0e}".replace("e-0", "e-").replace("e+0", "e"))
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.4g}"


def _finite(x: ArrayLike, y: ArrayLike) -> tuple[Array, Array]:
    at, values = np.asarray(x, np.float64), np.asarray(y, np.float64)
    finite = np.isfinite(values)
    return at[finite], values[finite]
