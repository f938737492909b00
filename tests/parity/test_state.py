"""An example of a compiled property depends on none of the examples before it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from ddpm_mindspore.parity import test_gradients as gradients
from ddpm_mindspore.parity import test_training as training
from ddpm_mindspore.parity import test_unet as unet
from ddpm_mindspore.parity.sides import device, network

from .properties import FORWARD, GRADIENTS, NET, STEPS

COMPILED = {"modes": ("compiled",)}


def forward(seed: int) -> None:
    unet.forward(**{**FORWARD, **COMPILED, "seed": seed})


def gradient(seed: int) -> None:
    gradients.gradients(**{**GRADIENTS, **COMPILED, "seed": seed})


def steps(seed: int) -> None:
    training.steps(**{**STEPS, **COMPILED, "accumulate": 1, "seed": seed})


@pytest.mark.parametrize(
    "example",
    [forward, *(pytest.param(each, marks=pytest.mark.slow) for each in (gradient, steps))],
)
def test_a_compiled_network_is_compared_with_the_weights_of_each_example(
    example: Callable[[int], None],
) -> None:
    example(0)
    example(1)
    # As when there have been many networks since.
    network._network.cache_clear()  # type: ignore[attr-defined]
    example(2)


def test_the_parameters_of_a_seed_do_not_depend_on_those_before() -> None:
    first = network.parameters(NET, 3)
    network.parameters(NET, 4)
    again = network.parameters(NET, 3)
    for name, value in network.network(NET).arrays().items():
        np.testing.assert_array_equal(value, first[name])
        np.testing.assert_array_equal(value, again[name])


def test_much_is_forgotten_together(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[Any] = []

    @device.remembered
    def build(number: int) -> int:
        made.append(number)
        return number

    device.clear()
    monkeypatch.setattr(device, "ROOM", 2)
    for number in (0, 1, 0):
        build(number)
    device.make_room()
    build(0)
    assert made == [0, 1]
    build(2)
    device.make_room()
    build(0)
    assert made == [0, 1, 2, 0]
