"""The features that FID is measured in: images resized as TensorFlow 1 did it, norms folded."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from mindspore import Tensor

from ddpm_mindspore.accelerated.networks.inception import Inception, Prepare
from ddpm_mindspore.parity.examples.inception import inceptions, resizings
from ddpm_mindspore.parity.examples.values import Case, first
from ddpm_mindspore.parity.judgement.compare import check, reproducible
from ddpm_mindspore.parity.judgement.tolerance import Array, Arrays, deep, elementwise
from ddpm_mindspore.parity.report import budget
from ddpm_mindspore.parity.sides import device
from ddpm_mindspore.reference.config.inception import InceptionConfig
from ddpm_mindspore.reference.networks import inception

ROUNDINGS = 7
"""A share of a pixel, a product and a sum along either side, and 128 less; to divide is exact."""


@first([{"have": (5, 8), "want": (13, 3), "seed": 0}])
@budget.examples()
@given(case=resizings())
def test_resizing(case: Case) -> None:
    """((1 - f) x[k] + f x[k + 1] - 128) / 128 along either side, k + f = i n / m"""
    resizing(**case)


@reproducible
def resizing(have: tuple[int, int], want: tuple[int, int], seed: int) -> None:
    """Of drawn pixels."""
    pixels = drawn_pixels(seed, (2, 3, *have))
    exact = pixels.astype(np.float64)
    bound = elementwise(ROUNDINGS, inception.resized(exact, want), 128.0) / 128.0
    value = Prepare(have, want)(Tensor(pixels)).asnumpy()
    check("prepared", value, inception.prepared(exact, want), bound, have=have, want=want)


@first([{"size": (75, 107), "batch": 2, "seed": 0, "kernels": "stock"}])
@budget.examples(0.1)
@given(case=inceptions(kernels=device.KERNELS))
def test_features(case: Case) -> None:
    """blocks of convolutions with norms and pools beside each other, and the mean over pixels"""
    features(**case)


@reproducible
def features(size: tuple[int, int], batch: int, seed: int, kernels: str = "auto") -> None:
    """Of drawn images, with drawn parameters: none is 0, none is 1."""
    device.make_room()
    config = InceptionConfig(16)
    params = drawn(config, seed)
    x = inception.prepared(drawn_pixels(seed, (batch, 3, *size)), size)

    def function(inputs: Arrays) -> Arrays:
        known = {name: value for name, value in inputs.items() if name != "x"}
        return {"features": inception.features(known, config, inputs["x"])}

    expected, bounds = deep(function, {"x": x, **params})
    with device.kernels(kernels):
        network = Inception(config, params)
    value = network(Tensor(x)).asnumpy()
    check("features", value, expected["features"], bounds["features"])


def drawn_pixels(seed: int, shape: tuple[int, ...]) -> Array:
    """Levels 0 to 255."""
    return np.random.default_rng(seed).integers(0, 256, shape).astype(np.float32)


def drawn(config: InceptionConfig, seed: int) -> Arrays:
    """Parameters by name, so large that images still differ at the end."""
    rng = np.random.default_rng(seed + 1)
    ranges = {
        "bn.weight": (0.5, 1.5),
        "bn.bias": (-0.3, 0.5),
        "bn.running_mean": (-0.5, 0.5),
        "bn.running_var": (0.05, 1.5),
    }
    params = {}
    for name, shape in config.shapes.items():
        kind = name.partition(".bn.")[2]
        if kind:
            value = rng.uniform(*ranges[f"bn.{kind}"], shape)
        else:
            value = 1.7 * rng.standard_normal(shape) / np.sqrt(np.prod(shape[1:], initial=1))
        params[name] = value.astype(np.float32)
    return params
