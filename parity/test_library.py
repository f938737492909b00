"""The compiled operators for the CPU, on any number of threads and with any instruction set."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from itertools import product

import numpy as np
import pytest

from ddpm_mindspore.accelerated import kernels
from ddpm_mindspore.parity.judgement import exact
from ddpm_mindspore.parity.judgement.compare import check, reproducible
from ddpm_mindspore.parity.judgement.tolerance import Arrays
from ddpm_mindspore.parity.sides import device, layers, library
from ddpm_mindspore.parity.sides.device import Array
from ddpm_mindspore.parity.sides.library import Call

INSTRUCTIONS = ("SSE41", "AVX2", "AVX512_CORE")
"""What oneDNN may be kept to; a processor that has less does with less."""


@pytest.mark.parametrize("threads", [1, 3, 7])
def test_threads(threads: int) -> None:
    """any number of threads computes the same, bit for bit"""
    library_agrees(threads=threads, seed=threads)


@pytest.mark.parametrize("instructions", INSTRUCTIONS)
def test_instructions(instructions: str) -> None:
    """each instruction set that the processor has computes the same sums, bit for bit"""
    library_agrees(threads=2, seed=0, instructions=instructions)


# Shapes of images and weights: some work is shared among threads and some is not, and little of
# it can be divided by their number.
CONVOLUTIONS = (
    ((5, 21, 17, 15), (24, 21, 3, 3), 1),
    ((3, 32, 18, 10), (48, 32, 3, 3), 1),
    ((3, 16, 12, 10), (13, 16, 1, 1), 1),
    ((1, 3, 5, 7), (4, 3, 7, 7), 1),
    ((3, 17, 14, 18), (9, 17, 2, 2), 2),
)


# Of integers so small that four of them, and the quarters of nine, are exact in bfloat16.
SMALL = 2**20


@reproducible
def library_agrees(threads: int, seed: int, instructions: str = "DEFAULT") -> None:
    """Sums on integers against the reference; the norm, which rounds, against one thread."""
    if not kernels.in_use():
        pytest.skip(f"no compiled operators: {kernels.describe()}")
    half = instructions == "DEFAULT" and not kernels.why_no_bfloat16()
    sums, expected = _sums(seed, ("", "_bfloat16") if half else ("",))
    rounding = _rounding(seed)
    results = library.run([*sums, *rounding], threads, instructions)
    given = f"({threads} threads, {instructions})"
    for call, values, right in zip(sums, results[: len(sums)], expected, strict=True):
        for i, (value, truth) in enumerate(zip(values, right, strict=True)):
            check(f"{call.operator}, result {i} {given}", value, truth, 0.0)
    for call, values, alone in zip(rounding, results[len(sums) :], _alone(seed), strict=True):
        for i, (value, same) in enumerate(zip(values, alone, strict=True)):
            check(f"{call.operator}, result {i} {given}", value, same, 0.0)


def _sums(seed: int, factors: Sequence[str]) -> tuple[list[Call], list[list[Array]]]:
    calls: list[Call] = []
    expected: list[list[Array]] = []
    for (image, weight, stride), ending in product(CONVOLUTIONS, factors):
        terms = SMALL if ending else 20_000
        x, w, b, dout, truth = _convolution(seed, image, weight, stride, terms)
        calls += [
            Call(f"convolution{ending}", [x, w, b], [dout.shape]),
            Call(f"convolution{ending}_input_gradient", [x, w, dout], [image]),
            Call(f"convolution{ending}_weight_gradient", [x, w, dout], [weight, b.shape]),
        ]
        d_w, d_b = (truth[f"d/d layer.{name}"].reshape(s.shape) for name, s in _named(w, b))
        expected += [[truth["output"]], [truth["d/d x"]], [d_w, d_b]]
    rng = np.random.default_rng(seed)
    y, dy = rng.integers(-9, 10, (2, 333, 65)).astype(np.float32)
    calls.append(Call("softmax_gradient", [y, dy], [y.shape]))
    expected.append([y * (dy - (y * dy).sum(-1, keepdims=True))])
    return calls, expected


def _named(w: Array, b: Array) -> tuple[tuple[str, Array], ...]:
    return ("weight", w), ("bias", b)


def _convolution(
    seed: int, image: tuple[int, ...], weight: tuple[int, ...], stride: int, terms: int
) -> tuple[Array, Array, Array, Array, Arrays]:
    """Integers for a convolution, and the truth about it."""
    rng, dims = np.random.default_rng(seed), (image[1], weight[0])
    size = image[2] // stride, image[3] // stride
    if stride == 1:
        made, name = layers.conv2d(rng, dims, size, weight[2]), ""
    else:
        made, name = layers.downsample(rng, dims, size), "1."
    shapes = {f"layer.{n}": x.shape for n, x in layers.parameters(made.cell).items()}
    shapes |= {"x": image, "cotangent": (image[0], *made.output)}
    arrays = exact.integers(seed, shapes, terms=terms)
    dout = arrays.pop("cotangent")
    truth = made.in_reference(("x",), [], dout)(arrays)
    truth = {n.replace(f"layer.{name}", "layer."): x for n, x in truth.items()}
    w = arrays[f"layer.{name}weight"].reshape(weight)
    return arrays["x"], w, arrays[f"layer.{name}bias"], dout, truth


def _rounding(seed: int) -> list[Call]:
    x, dout = device.draw(seed, (2, 4, 33, 601))
    g, modulation = device.draw(seed, (1, 33, 1, 1)), device.draw(seed, (4, 66))
    gamma, beta = device.draw(seed, (2, 33))
    settings = np.array([3, 1e-5], np.float32)
    return [
        Call("standardize", [x, gamma, beta, settings], [x.shape]),
        Call("standardize_gradient", [x, gamma, settings, dout], [x.shape, (33,), (33,)]),
        Call("normalize", [x, g], [x.shape]),
        Call("normalize_gradient", [x, g, dout], [x.shape, g.shape]),
        Call("normalize_silu", [x, g, modulation], [x.shape]),
        Call(
            "normalize_silu_gradient",
            [x, g, modulation, dout],
            [x.shape, g.shape, modulation.shape],
        ),
        _update(seed),
    ]


def _update(seed: int) -> Call:
    """Of two parameters and two averages, of which one moves."""
    sizes = (70_003, 5)
    gradients = [device.draw(seed + i, (size,)) for i, size in enumerate(sizes)]
    start = device.draw(seed, (sum(sizes),))
    parameters = np.split(start, sizes[:1])
    constants = np.array([0.9, 0.99, 1.0, 2], np.float32)
    # Loss, lr, eps, decay, and how far the averages move.
    numbers = [np.float32(x).reshape(1) for x in (0.5, 1e-3, 1e-8, 1e-2, 0.0, 0.1)]
    decays = np.array([1, 0], np.float32)
    changed = [*parameters, start * 0, start * start, start, -start]
    return Call("adam", [constants, decays, *numbers, *gradients], [(1,)], changed)


@lru_cache
def _alone(seed: int) -> list[list[Array]]:
    return library.run(_rounding(seed), 1, "DEFAULT")
