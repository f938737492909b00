"""How numbers in their own units are brought to the scale of the process, and back.

It belongs to a run: config.json has it, and what is drawn is given back in the units of the data.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

FULL_SCALE, RANGE, STANDARD = "full scale", "range", "standard"


@dataclass(frozen=True)
class Scaling:
    """x = (value - offset) / scale, for each channel.

    Attributes:
        kind: "full scale" (recordings: -1..1 becomes 0..1), "range" (each channel's least and
            greatest value become 0 and 1), or "standard" (each channel gets mean 0 and deviation
            1). What lies in 0..1 is what the process takes for images.
        offset, scale: a number for each channel.
        columns: the names of the channels, where they come from a table.
        decimals: after how many decimals each column ends; what is drawn is rounded to as many.
            None: it is not.
        rate: samples a second of recordings, or None.
    """

    kind: str
    offset: tuple[float, ...]
    scale: tuple[float, ...]
    columns: tuple[str, ...] = ()
    decimals: tuple[int | None, ...] = ()
    rate: int | None = None

    def apply(self, values: NDArray[Any]) -> NDArray[np.float32]:
        """Values (B, C, *spatial) in their units to the scale of the process, as float32."""
        offset, scale = self._like(values)
        return ((values.astype(np.float64) - offset) / scale).astype(np.float32)

    def undo(self, x: NDArray[Any]) -> NDArray[np.float32]:
        """The way back; what has decimals is rounded to them."""
        offset, scale = self._like(x)
        values = x.astype(np.float64) * scale + offset
        for channel, places in enumerate(self.decimals):
            if places is not None:
                values[:, channel] = np.round(values[:, channel], places)
        return values.astype(np.float32)

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return asdict(self)

    def _like(self, values: NDArray[Any]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        shape = (-1, *(1,) * (values.ndim - 2))
        offset, scale = np.array(self.offset), np.array(self.scale)
        return offset.reshape(shape), scale.reshape(shape)


def from_dict(told: Mapping[str, Any] | None) -> Scaling | None:
    """What :meth:`Scaling.to_dict` told; None for a run whose data need no scaling."""
    if told is None:
        return None
    values: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in told.items()}
    return Scaling(**values)


def fit(
    values: NDArray[np.float64],
    columns: Sequence[str],
    decimals: Sequence[int | None],
    *,
    bounded: bool,
) -> Scaling:
    """The scaling of columns (N, C): by their range where ``bounded``, else standard.

    Raises:
        ValueError: a column has one value only.
    """
    low, high = values.min(axis=0), values.max(axis=0)
    for name, least, greatest in zip(columns, low, high, strict=True):
        if least == greatest:
            raise ValueError(
                f"column {name!r} is {least:g} in every line, and there is nothing to learn: leave "
                f"it out (--leave-out {name})"
            )
    offset, scale = (low, high - low) if bounded else (values.mean(axis=0), values.std(axis=0))
    return Scaling(
        RANGE if bounded else STANDARD,
        tuple(offset.tolist()),
        tuple(scale.tolist()),
        tuple(columns),
        tuple(decimals),
    )


def full_scale(channels: int, rate: int) -> Scaling:
    """Of recordings, whose samples lie in -1..1."""
    return Scaling(FULL_SCALE, (-1.0,) * channels, (2.0,) * channels, rate=rate)


def standard(
    mean: NDArray[np.float64], deviation: NDArray[np.float64], rate: int | None = None
) -> Scaling:
    """Of channels with this mean and deviation (C,)."""
    return Scaling(STANDARD, tuple(mean.tolist()), tuple(deviation.tolist()), rate=rate)
