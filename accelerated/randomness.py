"""Every random number of training and sampling, drawn on the host and handed to pure functions.

The numbers come from Philox-4x64 (Salmon et al. 2011, "Parallel random numbers: as easy as
1, 2, 3"), a function of a 128-bit key and a 256-bit counter. Its words are used as

    key     = (seed, purpose)
    counter = (block, index, step, layer)

and a draw only moves ``block`` on. Two streams with another seed, purpose, step, index or layer
therefore never share a block (short of 2**64 of them), whatever was drawn before: a run resumes
without any saved generator state, and sample number 17 has the same noise in any batch.

This is the whole table; ``parity/sides/random_table.py`` states it once more, and is compared with
this file.

    purpose         step        index             layer   what is drawn
    INIT            0           0                 0       parameters, in the order of the layers
    SHUFFLE         epoch       0                 0       a permutation of the images
    TIME            update      position          0       t, uniform on 1..T, each by itself
    REAL_TIME       update      position          0       a uniform number, of which t is a function
    NOISE           update      position          0       (C, H, W) normal numbers, float32
    OFFSET          update      position          0       (C, 1, 1) normal numbers, float32
    LATENT          update      position          0       (C, h, w) normal numbers, float32
    FLIP            update      position          0       a uniform number: mirrored below 1/2
    SELF_CONDITION  update      position          0       a uniform number: conditioned below 1/2
    DROPOUT         update      position          block   uniform numbers, float32: kept from p on
    CROP            0           place             0       three uniform numbers: size, left, top
    REPLACE         0           place             0       the images to show if one is broken
    CLASS           update      position          0       a uniform number: no class below p
    CAPTION         0           place             0       a uniform number: which of its captions
    UNTOLD          update      position          0       a uniform number: no caption below p
    SCENE           0           scene             0       seven uniform numbers: what it shows
    SAMPLE_START    0           image             0       x_T, normal numbers, float32
    SAMPLE_NOISE    step i      image             0       the noise of step i of a sampler, from 0

Updates are counted from 1; ``diffusion(images)`` counts its calls from 0 instead. A position is an
image's place among all that an update sees, in all its micro-batches and all processes: 0, 1, ...
A place is the image's in the endless stream of epochs: that of the first image of update n is
(n - 1) times the images of an update. A block is a residual block, in forward order.
"""

from __future__ import annotations

import operator
from collections.abc import Iterator, Sequence
from enum import IntEnum
from functools import lru_cache
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

Indices: TypeAlias = Sequence[int] | NDArray[np.integer[Any]]

_WORD = 2**64


class Purpose(IntEnum):
    """What a stream is for. A run's numbers depend on these values: never renumber them."""

    INIT = 0
    SHUFFLE = 1
    TIME = 2
    NOISE = 3
    FLIP = 4
    SELF_CONDITION = 5
    DROPOUT = 6
    SAMPLE_START = 7
    SAMPLE_NOISE = 8
    CROP = 9
    REPLACE = 10
    CLASS = 11
    CAPTION = 14
    UNTOLD = 15
    SCENE = 16
    REAL_TIME = 17
    OFFSET = 18
    LATENT = 19


def stream(seed: int, purpose: Purpose, step: int = 0, index: int = 0) -> np.random.Generator:
    """Return the generator of (seed, purpose, step, index), at its beginning.

    Args:
        seed, step, index: integers in [0, 2**64).
        purpose: what the numbers are for.

    Raises:
        ValueError: an integer outside that range.
    """
    words = (0, _word("index", index), _word("step", step), 0)
    return np.random.Generator(_philox(_word("seed", seed), purpose, words))


def normal(
    seed: int, purpose: Purpose, step: int, indices: Indices, shape: Sequence[int]
) -> NDArray[np.float32]:
    """Draw N(0, I): float32 (len(indices), *shape).

    Row j depends on (seed, purpose, step, indices[j]) only.

    Raises:
        ValueError: an integer outside [0, 2**64).
    """
    out = np.empty((len(indices), *shape), np.float32)
    for row, generator in zip(out, _streams(seed, purpose, step, indices), strict=True):
        row[...] = generator.standard_normal(shape, dtype=np.float32)
    return out


def times(seed: int, step: int, indices: Indices, T: int) -> NDArray[np.int32]:
    """Draw t uniformly from 1..T: int32 (B,).

    Raises:
        ValueError: T < 1, or an integer outside [0, 2**64).
    """
    if T < 1:
        raise ValueError(f"T is {T}: at least 1 time step is needed")
    draws = (g.integers(1, T, endpoint=True) for g in _streams(seed, Purpose.TIME, step, indices))
    return np.fromiter(draws, np.int32, len(indices))


def coins(
    seed: int, purpose: Purpose, step: int, indices: Indices, p: float = 0.5
) -> NDArray[np.bool_]:
    """Toss a coin that is True with probability p for each index: bool (B,).

    Raises:
        ValueError: p outside [0, 1], or an integer outside [0, 2**64).
    """
    _check_probability(p)
    draws = (g.random() < p for g in _streams(seed, purpose, step, indices))
    return np.fromiter(draws, np.bool_, len(indices))


def keep_masks(
    seed: int, step: int, indices: Indices, shape: Sequence[int], p: float, *, layer: int = 0
) -> NDArray[np.bool_]:
    """Draw dropout masks: bool (B, *shape), False (dropped) with probability p.

    Each ``layer`` has masks of its own. The kept activations are not rescaled here.

    Raises:
        ValueError: p outside [0, 1], or an integer outside [0, 2**64).
    """
    _check_probability(p)
    out = np.empty((len(indices), *shape), np.bool_)
    generators = _streams(seed, Purpose.DROPOUT, step, indices, layer)
    for row, generator in zip(out, generators, strict=True):
        row[...] = generator.random(shape, dtype=np.float32) >= p
    return out


def permutation(seed: int, epoch: int, n: int) -> NDArray[np.int64]:
    """Return the order in which epoch number ``epoch`` visits n images: int64 (n,), read-only.

    Raises:
        ValueError: n < 1, or an integer outside [0, 2**64).
    """
    if n < 1:
        raise ValueError(f"n is {n}: at least 1 image is needed")
    return _permutation(_word("seed", seed), _word("epoch", epoch), n)


def batch_indices(seed: int, n: int, start: int, count: int) -> NDArray[np.int64]:
    """Return positions start .. start + count - 1 of the endless stream of shuffled epochs.

    Epoch e is ``permutation(seed, e, n)``. A batch may span epochs, and n may be less than
    ``count``: each epoch shows every image once, so no image comes twice before all came once.

    Returns:
        int64 (count,), values in 0..n-1.

    Raises:
        ValueError: n < 1, or start or count negative.
    """
    if start < 0 or count < 0:
        raise ValueError(f"start {start} and count {count} must not be negative")
    if n < 1:
        raise ValueError(f"n is {n}: at least 1 image is needed")
    out = np.empty(count, np.int64)
    done = 0
    while done < count:
        epoch, offset = divmod(start + done, n)
        part = permutation(seed, epoch, n)[offset : offset + count - done]
        out[done : done + len(part)] = part
        done += len(part)
    return out


def uniform(
    seed: int, purpose: Purpose, step: int, indices: Indices, count: int
) -> NDArray[np.float64]:
    """Draw ``count`` numbers uniformly from [0, 1) for each index: float64 (B, count).

    Raises:
        ValueError: an integer outside [0, 2**64).
    """
    rows = [g.random(count) for g in _streams(seed, purpose, step, indices)]
    return np.array(rows).reshape(len(indices), count)


@lru_cache(maxsize=2)
def _permutation(seed: int, epoch: int, n: int) -> NDArray[np.int64]:
    order = stream(seed, Purpose.SHUFFLE, epoch).permutation(n)
    order.flags.writeable = False
    return order


def _streams(
    seed: int, purpose: Purpose, step: int, indices: Indices, layer: int = 0
) -> Iterator[np.random.Generator]:
    """Yield the stream of each index: one generator, rewound, which is 5 times faster than new."""
    words = (0, 0, _word("step", step), _word("layer", layer))
    philox = _philox(_word("seed", seed), purpose, words)
    generator, state = np.random.Generator(philox), philox.state
    for index in indices:
        state["state"]["counter"][1] = _word("index", index)
        philox.state = state
        yield generator


def _philox(seed: int, purpose: Purpose, counter: Sequence[int]) -> np.random.Philox:
    key = np.array([seed, Purpose(purpose)], np.uint64)
    return np.random.Philox(key=key, counter=np.array(counter, np.uint64))


def _word(name: str, value: Any) -> int:
    try:
        number = operator.index(value)
    except TypeError:
        raise ValueError(f"{name} {value!r} is not an integer") from None
    if not 0 <= number < _WORD:
        raise ValueError(f"{name} {number} is outside 0 .. 2**64 - 1: give a non-negative integer")
    return number


def _check_probability(p: float) -> None:
    if not 0 <= p <= 1:
        raise ValueError(f"p is {p}: a probability lies in [0, 1]")
