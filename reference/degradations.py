"""Known linear degradations y = A x: what is lost of an image, and what can be had back of it.

Every one is a product of one matrix for each axis (channels, rows, columns), so its singular value
decomposition A = U S V^T is one too, and small: A x, its transpose, its pseudo-inverse and a change
of basis are a few products with small matrices. A mask is the same with U = V = 1. Host code, but
for ``along``: the matrices are float64 and made once.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Any

import autograd.numpy as anp
import numpy as np

from .plain import check_choice
from .schedule import Array, Table

LEAST = 0.03
"""Of the strongest direction: what is left weaker counts as lost (2201.11793, appendix)."""

LUMA = (0.299, 0.587, 0.114)
"""Shares of red, green and blue in grey (ITU-R BT.601), as most programs make grey pictures."""


@dataclass(frozen=True, eq=False)
class Degradation:
    """y = A x for each item, A = U S V^T.

    Attributes:
        name: as ``degradation`` reads it.
        shape: (C, *spatial) of x.
        measured: the shape of y; no side is longer than that of x.
        singular: S, of the shape of x; 0 where a direction is lost.
        right: V, a matrix for each axis; a column is a direction of x.
        left: U, likewise for y.
    """

    name: str
    shape: tuple[int, ...]
    measured: tuple[int, ...]
    singular: Table
    right: tuple[Table, ...]
    left: tuple[Table, ...]

    @property
    def known(self) -> Table:
        """1 for the directions that y tells of, 0 for those that are lost: V^T A^+ A V."""
        kept: Table = (self.singular > LEAST * self.singular.max()).astype(np.float64)
        return kept

    @property
    def inverse(self) -> Table:
        """S^+: 1 / S for the directions that are known, else 0."""
        inverse: Table = self.known / np.where(self.known > 0.0, self.singular, 1.0)
        return inverse

    @property
    def matrix(self) -> Table:
        """A itself, (values of y, values of x): for small shapes."""
        size = int(np.prod(self.shape))
        columns: Table = self(np.eye(size).reshape(size, *self.shape)).reshape(size, -1)
        return columns.T

    def __call__(self, x: Array) -> Array:
        """A x, (B, *measured), of x (B, *shape)."""
        _check("x", x, self.shape)
        inner = (slice(None), *(slice(0, side) for side in self.measured))
        seen = self.singular.astype(x.dtype) * self.directions(x)
        return along(self.left, seen[inner])

    def transpose(self, y: Array) -> Array:
        """A^T y, (B, *shape), of y (B, *measured)."""
        return along(self.right, self.singular.astype(y.dtype) * self.of_measured(y))

    def pseudo_inverse(self, y: Array) -> Array:
        """A^+ y, (B, *shape): of all x with A x = y, the shortest."""
        return along(self.right, self.inverse.astype(y.dtype) * self.of_measured(y))

    def directions(self, x: Array) -> Array:
        """V^T x: how much of each direction is in x."""
        return along([matrix.T for matrix in self.right], x)

    def of_measured(self, y: Array) -> Array:
        """U^T y, of the shape of x: how much of each direction is in y, 0 for those that are lost.

        Raises ValueError for a y that is not (B, *measured).
        """
        _check("y", y, self.measured)
        found = along([matrix.T for matrix in self.left], y)
        missing = [(0, a - b) for a, b in zip(self.shape, self.measured, strict=True)]
        return np.pad(found, [(0, 0), *missing])


def along(matrices: Sequence[Table], x: Array) -> Array:
    """One matrix along each axis of the items of x (B, C, *spatial), in the dtype of x."""
    for axis, matrix in enumerate(matrices, start=1):
        moved = anp.tensordot(matrix.astype(x.dtype), x, (1, axis))
        x = anp.moveaxis(moved, 0, axis)
    return x


def product_of(name: str, factors: Sequence[Table]) -> Degradation:
    """The degradation that multiplies axis i by ``factors[i]``, (measured side, side)."""
    parts = [np.linalg.svd(factor) for factor in factors]
    padded = [
        np.concatenate([values, np.zeros(factor.shape[1] - len(values))])
        for factor, (_, values, _) in zip(factors, parts, strict=True)
    ]
    return Degradation(
        name=name,
        shape=tuple(factor.shape[1] for factor in factors),
        measured=tuple(factor.shape[0] for factor in factors),
        singular=reduce(np.multiply.outer, padded),
        right=tuple(part[2].T for part in parts),
        left=tuple(part[0] for part in parts),
    )


def masked(mask: Array, shape: tuple[int, ...]) -> Degradation:
    """y = mask x, for a mask of zeros and ones (1 is known) that broadcasts to ``shape``.

    Raises ValueError for other values, or another shape.
    """
    if not np.isin(mask, (0.0, 1.0)).all():
        raise ValueError("mask must be of zeros (to be painted) and ones (known)")
    try:
        singular = np.broadcast_to(mask, shape).astype(np.float64)
    except ValueError:
        raise ValueError(
            f"mask has shape {np.shape(mask)}: give it the images' own, {shape}"
        ) from None
    one = tuple(np.eye(side) for side in shape)
    return Degradation("mask", shape, shape, singular, one, one)


def noisy(shape: tuple[int, ...]) -> Degradation:
    """y = x: nothing is lost, but there may be noise on it."""
    return product_of("noise", [np.eye(side) for side in shape])


def blurred(shape: tuple[int, ...], width: float) -> Degradation:
    """Blurred by a Gaussian with this deviation in pixels; mirrored at the edges."""
    if not width > 0:
        raise ValueError(f"blur {width:g} must be a positive number of pixels")
    factors = [_blur(side, width) for side in shape[1:]]
    return product_of(f"blur:{width:g}", [np.eye(shape[0]), *factors])


def downsampled(shape: tuple[int, ...], factor: int) -> Degradation:
    """Means over blocks of ``factor`` pixels a side.

    Raises ValueError for a factor below 2, or one that does not divide every side.
    """
    if factor < 2:
        raise ValueError(f"downsample {factor} must be at least 2")
    if any(side % factor for side in shape[1:]):
        sides = " x ".join(map(str, shape[1:]))
        raise ValueError(f"downsample {factor} does not divide {sides}, the size of the images")
    means = [
        np.kron(np.eye(side // factor), np.full((1, factor), 1 / factor)) for side in shape[1:]
    ]
    return product_of(f"downsample:{factor}", [np.eye(shape[0]), *means])


def grey(shape: tuple[int, ...]) -> Degradation:
    """Only the brightness of red, green and blue is left. ValueError for other than 3 channels."""
    if shape[0] != 3:
        raise ValueError(
            f"grey needs images of red, green and blue: these have {shape[0]} channels"
        )
    return product_of("grey", [np.array([LUMA]), *(np.eye(side) for side in shape[1:])])


def _blur(side: int, width: float) -> Table:
    """(side, side): rows are Gaussian weights that sum to 1; those beyond an edge are mirrored."""
    reach = np.arange(-np.ceil(4 * width), np.ceil(4 * width) + 1).astype(int)
    weights = np.exp(-0.5 * (reach / width) ** 2)
    matrix = np.zeros((side, side))
    for row in range(side):
        place = (row + reach) % (2 * side)
        np.add.at(matrix[row], np.minimum(place, 2 * side - 1 - place), weights / weights.sum())
    return matrix


_RULES: dict[str, tuple[Callable[..., Degradation], Callable[[str], Any] | None]] = {
    "noise": (noisy, None),
    "blur": (blurred, float),
    "downsample": (downsampled, int),
    "grey": (grey, None),
}

DEGRADATIONS = ("noise", "blur:WIDTH", "downsample:FACTOR", "grey")
"""How each is written."""


def degradation(text: str, shape: tuple[int, ...]) -> Degradation:
    """The degradation that a text means ("blur:1.5"), for images (C, H, W).

    Raises ValueError for one that is unknown, or cannot be of these images.
    """
    name, colon, value = text.partition(":")
    written = dict(zip(_RULES, DEGRADATIONS, strict=True))
    if name not in _RULES:
        check_choice("degradation", text, DEGRADATIONS)
    rule, kind = _RULES[name]
    if bool(colon) != (kind is not None):
        raise ValueError(f"degradation {text!r} is written {written[name]}")
    if kind is None:
        return rule(shape)
    try:
        number = kind(value)
    except ValueError:
        raise ValueError(f"degradation {text!r} is written {written[name]}, a number") from None
    return rule(shape, number)


def _check(name: str, x: Array, shape: tuple[int, ...]) -> None:
    if x.shape[1:] != shape:
        raise ValueError(
            f"{name} has shape {x.shape}: it must be ('B', {', '.join(map(str, shape))})"
        )
