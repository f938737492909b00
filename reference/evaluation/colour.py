"""Are samples tinted, too dark or too flat? Each channel's mean and deviation beside the data's."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from ..schedule import Array, Table
from .resampling import Figure

NAMES = {1: ("grey",), 2: ("grey", "alpha"), 3: ("red", "green", "blue")}
NAMES[4] = (*NAMES[3], "alpha")
"""Of images with so many channels."""

FLAGGED = 4.0
"""Standard errors from which a difference is no accident: 1 of 16,000 is by chance."""


class Channel(NamedTuple):
    """One channel of drawn and of real items, in their units.

    Attributes:
        drawn, real: the mean over items and places.
        drawn_deviation, real_deviation: the standard deviation over both.
    """

    drawn: Figure
    real: Figure
    drawn_deviation: Figure
    real_deviation: Figure

    @property
    def cast(self) -> float:
        """How many standard errors the means are apart, with a sign."""
        return _apart(self.drawn, self.real)

    @property
    def contrast(self) -> float:
        """How many standard errors the deviations are apart."""
        return _apart(self.drawn_deviation, self.real_deviation)


def channels(drawn: Array, real: Array) -> list[Channel]:
    """Compare items (N, C, ...) with real ones (M, C, ...), channel by channel."""
    (means, spreads), (real_means, real_spreads) = _moments(drawn), _moments(real)
    return [
        Channel(means[c], real_means[c], spreads[c], real_spreads[c]) for c in range(len(means))
    ]


def flags(found: list[Channel], names: Sequence[str] = ()) -> list[str]:
    """What is off by more than sampling error, a line each, with what to change."""
    lines = []
    for c, channel in enumerate(found):
        name = names[c] if c < len(names) else f"channel {c}"
        if abs(channel.cast) > FLAGGED:
            how = "brighter" if channel.cast > 0 else "darker"
            lines.append(
                f"{name} is {how} than the data by {abs(channel.cast):.0f} sampling errors "
                f"(mean {channel.drawn.value:.4f}, not {channel.real.value:.4f}): train longer, "
                "draw with the average of the weights, or with less guidance; if it stays, train "
                "with --zero-terminal-snr --objective pred_v"
            )
        if abs(channel.contrast) > FLAGGED:
            how = "more" if channel.contrast > 0 else "less"
            change = (
                "guide less, or give estimates back their spread (--guidance-rescale 0.7)"
                if channel.contrast > 0
                else "take more steps (--sampling-timesteps), or train longer"
            )
            lines.append(
                f"{name} has {how} contrast than the data by {abs(channel.contrast):.0f} "
                f"sampling errors (deviation {channel.drawn_deviation.value:.4f}, not "
                f"{channel.real_deviation.value:.4f}): {change}"
            )
    return lines


def _moments(items: Array) -> tuple[list[Figure], list[Figure]]:
    """Means and deviations of the channels; items are independent, their places are not."""
    flat = items.reshape(len(items), items.shape[1], -1).astype(np.float64)
    means = flat.mean(2)
    mean = means.mean(0)
    squares = ((flat - mean[:, None]) ** 2).mean(2)
    deviation = np.sqrt(squares.mean(0))
    # d sqrt(v) = dv / (2 sqrt(v))
    of_deviation = _error(squares) / (2.0 * np.where(deviation > 0.0, deviation, 1.0))
    return _figures(mean, _error(means)), _figures(deviation, of_deviation)


def _error(values: Table) -> Table:
    found: Table = np.std(values, axis=0, ddof=1) / np.sqrt(len(values))
    return found


def _figures(values: Table, errors: Table) -> list[Figure]:
    return [Figure(float(v), float(e)) for v, e in zip(values, errors, strict=True)]


def _apart(one: Figure, other: Figure) -> float:
    error = float(np.hypot(one.error, other.error))
    return (one.value - other.value) / error if error else 0.0
