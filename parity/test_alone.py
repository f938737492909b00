"""Each operator alone: an image alone, a call after others, a call under load, a NaN beside it."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext

import numpy as np
import pytest
from hypothesis import given

from ddpm_mindspore.parity.examples.operators import EVERY_CALL, order_cases
from ddpm_mindspore.parity.examples.values import Case, first
from ddpm_mindspore.parity.judgement.compare import check, reproducible
from ddpm_mindspore.parity.judgement.tolerance import Arrays
from ddpm_mindspore.parity.report import budget
from ddpm_mindspore.parity.sides import alone, device


@pytest.mark.parametrize("kind", alone.OPTIONS)
def test_images(kind: str) -> None:
    """a batch of B images is B batches of one"""
    images(kind=kind, batch=5, seed=0)


@reproducible
def images(kind: str, batch: int, seed: int, kernels: str = "auto") -> None:
    """Output and gradient by the inputs of each image alone, against those in the batch."""
    device.make_room()
    layer = alone.made(kind, kernels)
    inputs, constants = alone.arguments(layer, batch, seed)
    _, bounds = alone.truth(kind, kernels, batch, seed)
    whole = alone.results(layer, inputs, constants)
    names = ["output", *(f"d/d {name}" for name in layer.inputs)]
    for i in range(batch):
        one = slice(i, i + 1)
        results = alone.results(layer, [x[one] for x in inputs], [x[one] for x in constants])
        for name in names:
            check(f"{kind}: {name}, image {i} alone", results[name], whole[name][one], bounds[name])


@budget.examples(0.05)
@given(case=order_cases())
@first([{"calls": EVERY_CALL, "kernels": "auto"}])
def test_order(case: Case) -> None:
    """an operator's result does not depend on those before it, nor on what else runs"""
    order(**case)


@reproducible
def order(calls: Sequence[tuple[str, int, int]], kernels: str) -> None:
    """Calls (kind, batch, seed), in this order and, under load, in the other.

    Each result is compared with the truth, and with the same call's at another time. The same
    objects are called with other inputs of other shapes in between.
    """
    device.make_room()
    before: dict[tuple[str, int, int], Arrays] = {}
    for busy, turn in ((False, calls), (True, calls[::-1])):
        with alone.load() if busy else nullcontext():
            for call in turn:
                kind, batch, seed = call
                layer = alone.made(kind, kernels)
                results = alone.results(layer, *alone.arguments(layer, batch, seed))
                expected, bounds = alone.truth(kind, kernels, batch, seed)
                for name, value in results.items():
                    check(f"{kind}: {name}", value, expected[name], bounds[name])
                    again = before.setdefault(call, results)[name]
                    check(f"{kind}: {name}, again", value, again, bounds[name])


SPREADS = ("upsample", "resnet_block", "linear_attention", "attention", "block")
"""Kinds in which a NaN reaches more of its own image than what depends on it, or all of it."""


@pytest.mark.parametrize("kind", alone.OPTIONS)
def test_not_finite(kind: str) -> None:
    """a NaN, an infinity or a number too large reaches what depends on it, and no other image"""
    for value in (np.nan, np.inf, -np.inf, 3e38):
        not_finite(kind=kind, value=str(value), seed=0)


@reproducible
def not_finite(kind: str, value: str, seed: int, kernels: str = "auto") -> None:
    """``value`` stands in one place of the second of three images."""
    device.make_room()
    layer = alone.made(kind, kernels)
    (x, *rest), constants = alone.arguments(layer, 3, seed)
    place = (1, *(size // 2 for size in x.shape[1:]))
    without = alone.results(layer, [x, *rest], constants)
    spoiled, moved = x.copy(), x.copy()
    spoiled[place], moved[place] = np.float32(value), x[place] + 1
    results = alone.results(layer, [spoiled, *rest], constants)
    for name in ("output", *(f"d/d {name}" for name in layer.inputs)):
        for image in (0, 2):
            other, same = results[name][image], without[name][image]
            check(f"{kind}: {name} of image {image} beside a {value}", other, same, 0.0)
    if value == "nan":
        out = results["output"][1]
        depends = alone.output(layer, [moved, *rest], constants)[1] != without["output"][1]
        reached = np.isnan(out)
        if kind == "softmax":  # MindSpore's has zeros beside the NaN on a CPU
            reached, depends = reached.any(-1), depends.any(-1)
        elif kind in SPREADS:
            reached &= depends
        check(f"{kind}: what depends on a NaN", reached, depends, 0.0)


@pytest.mark.parametrize("kind", [k for k in alone.OPTIONS if k not in ("gelu", "softmax")])
def test_half_input(kind: str) -> None:
    """a layer in float32 that is given float16 computes in float32"""
    half_input(kind=kind, seed=0)


@reproducible
def half_input(kind: str, seed: int, kernels: str = "auto") -> None:
    """Against the same numbers given as float32."""
    device.make_room()
    layer = alone.made(kind, kernels)
    (x, *rest), constants = alone.arguments(layer, 2, seed)
    half = x.astype(np.float16)
    given = alone.output(layer, [half, *rest], constants)
    same = alone.output(layer, [half.astype(np.float32), *rest], constants)
    check(f"{kind} of float16", given, same, 0.0)
