"""Run a formula on the device, one operator at a time or as one compiled graph."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import lru_cache
from typing import Any, TypeAlias, TypeVar
from unittest import mock

import mindspore as ms
import numpy as np
from mindspore import Tensor
from numpy.typing import NDArray

from ...accelerated.process import on_device
from ...accelerated.system import runtime
from ...reference.config.diffusion import ObjectiveConfig
from ...reference.levels import Levels
from ...reference.schedule import Schedule, make_schedule

Array: TypeAlias = NDArray[Any]

MODES = ("eager", "compiled")

KERNELS = ("auto", "stock")
"""The package's compiled operators where there are any, or MindSpore's alone."""


Built = TypeVar("Built")

_caches: list[Any] = []

ROOM = 128
"""How much is remembered: a graph that was compiled takes some 20 MB."""


def remembered(function: Callable[..., Built]) -> Callable[..., Built]:
    """``functools.cache`` for what is built from the accelerated code: see ``clear``.

    Nothing is forgotten alone: a gradient would be left with the network that it was made of, and
    who asks for the network would be given a new one.
    """
    cached = lru_cache(maxsize=None)(function)
    _caches.append(cached)
    return cached


def make_room() -> None:
    """Forget everything if it is much; before an example, which then finds its own things."""
    if sum(cached.cache_info().currsize for cached in _caches) > ROOM:
        clear()


def clear() -> None:
    """Forget what was built from the accelerated code, compiled graphs too."""
    for cached in _caches:
        cached.cache_clear()
    ms.ms_memory_recycle()


@lru_cache(maxsize=64)
def schedule(name: str, T: int, zero_snr: bool) -> Schedule:
    """The tables that both sides read."""
    return make_schedule(name, T, zero_terminal_snr=zero_snr)


def levels(of: tuple[str, int, bool], t: Array, **objective: Any) -> Array:
    """What the device is told of the times ``t`` of a schedule, (B, K) float32.

    ``objective``: the options of ``ObjectiveConfig``.
    """
    numbers = Levels(schedule(*of), ObjectiveConfig(**objective))
    told: Array = on_device(numbers(t)).asnumpy()
    return told


def name() -> str:
    """What the accelerated side runs on."""
    return str(ms.get_context("device_target"))


def run(mode: str, function: Callable[..., Any], *args: Array) -> Any:
    """``function(*args)`` with tensors, and its result (or results) as arrays."""
    call = compiled(function) if mode == "compiled" else function
    return arrays(call(*(Tensor(arg) for arg in args)))


@remembered
def compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    """``mindspore.jit``, remembered: bound methods of one object are equal to each other."""

    def call(*args):  # type: ignore[no-untyped-def]
        return function(*args)

    return ms.jit(call)  # type: ignore[no-any-return]


def kernels(choice: str) -> AbstractContextManager[Any]:
    """Layers made within it use what is chosen, of KERNELS."""
    return mock.patch.dict(os.environ, {runtime.KERNELS: choice})


def eager() -> AbstractContextManager[Any]:
    """Within it, what is marked with ``mindspore.jit`` runs one operator at a time too."""
    return mock.patch.dict(os.environ, MS_JIT="0")


def arrays(result: Any) -> Any:
    """A tensor as an array; a tuple or list of them as a tuple."""
    if isinstance(result, (tuple, list)):
        return tuple(arrays(part) for part in result)
    return np.asarray(result.asnumpy())


def draw(seed: int, shape: tuple[int, ...], scale: float = 1.0) -> Array:
    """float32 N(0, scale^2) numbers, a function of the seed and the shape."""
    return (np.random.default_rng(seed).standard_normal(shape) * scale).astype(np.float32)
