"""The table of every random number of a run, stated once more, by NumPy alone.

``accelerated/randomness.py`` documents it; nothing here calls that file. A stream is Philox-4x64
(Salmon et al. 2011) with the key (seed, purpose) and the counter (0, index, step, layer).
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

PURPOSES = {
    "init": 0,
    "shuffle": 1,
    "time": 2,
    "noise": 3,
    "flip": 4,
    "self_condition": 5,
    "dropout": 6,
    "sample_start": 7,
    "sample_noise": 8,
    "crop": 9,
    "replace": 10,
    "class": 11,
    "caption": 14,
    "untold": 15,
    "scene": 16,
    "real_time": 17,
    "offset": 18,
    "latent": 19,
}
"""The second word of the key."""


class Stream(NamedTuple):
    """Where a stream begins; ``word``: the second of its key; ``number``: what its index is."""

    seed: int
    word: int
    number: int
    step: int
    layer: int


def stream(seed: int, purpose: str, step: int = 0, index: int = 0, layer: int = 0) -> Stream:
    """The place of the numbers of one purpose in the table."""
    return Stream(seed, PURPOSES[purpose], index, step, layer)


def generator(place: Stream) -> np.random.Generator:
    """NumPy's generator at that place."""
    key = np.array([place.seed, place.word], np.uint64)
    counter = np.array([0, place.number, place.step, place.layer], np.uint64)
    return np.random.Generator(np.random.Philox(key=key, counter=counter))


def times(seed: int, step: int, positions: Sequence[int], T: int) -> Array:
    """t of the image at each position of an update: independent, uniform on 1..T."""
    places = [stream(seed, "time", step, p) for p in positions]
    return np.array([generator(place).integers(1, T + 1) for place in places], np.int32)


def shares(seed: int, step: int, positions: Sequence[int]) -> Array:
    """A number of [0, 1) at each position of an update, of which a real time is a function."""
    return np.array([generator(stream(seed, "real_time", step, p)).random() for p in positions])


def normal(
    seed: int, purpose: str, step: int, indices: Sequence[int], shape: Sequence[int]
) -> Array:
    """N(0, 1) numbers for each index: float32 (len(indices), *shape)."""
    return np.array(
        [
            generator(stream(seed, purpose, step, i)).standard_normal(shape, np.float32)
            for i in indices
        ]
    )


def coins(seed: int, purpose: str, step: int, positions: Sequence[int], p: float = 0.5) -> Array:
    """True with probability p at each position."""
    return np.array([generator(stream(seed, purpose, step, i)).random() < p for i in positions])


def masks(
    seed: int, step: int, positions: Sequence[int], shapes: Sequence[Sequence[int]], p: float
) -> list[Array]:
    """For each residual block (layer 0, 1, ...) what it keeps: False with probability p."""
    return [
        np.array(
            [
                generator(stream(seed, "dropout", step, i, layer)).random(shape, np.float32) >= p
                for i in positions
            ]
        )
        for layer, shape in enumerate(shapes)
    ]


def images(seed: int, count: int, positions: Sequence[int]) -> list[int]:
    """Which of ``count`` images stands at each position of the endless stream of epochs.

    Epoch e is a permutation by the stream of step e.
    """
    orders: dict[int, Array] = {}
    for epoch in {p // count for p in positions}:
        orders[epoch] = generator(stream(seed, "shuffle", epoch)).permutation(count)
    return [int(orders[p // count][p % count]) for p in positions]


def replaced(seed: int, count: int, position: int, number: int, broken: Collection[int]) -> int:
    """What is shown at a position: image ``number``, or if it is broken one drawn of all."""
    numbers = generator(stream(seed, "replace", 0, position))
    while number in broken:
        number = int(numbers.integers(count))
    return number


def crops(seed: int, positions: Sequence[int]) -> Array:
    """Three uniform numbers for each position of that stream: size, left and top."""
    return np.array([generator(stream(seed, "crop", 0, p)).random(3) for p in positions])
