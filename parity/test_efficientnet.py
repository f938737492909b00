"""The features that images are compared by: norms folded into convolutions, on the device."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from hypothesis import given
from mindspore import Tensor

from ddpm_mindspore.accelerated.networks.efficientnet import EfficientNet
from ddpm_mindspore.parity.examples.efficientnet import STAGES, efficientnets
from ddpm_mindspore.parity.examples.values import Case, first
from ddpm_mindspore.parity.judgement.compare import check, reproducible
from ddpm_mindspore.parity.judgement.tolerance import Arrays, deep
from ddpm_mindspore.parity.report import budget
from ddpm_mindspore.parity.sides import device
from ddpm_mindspore.reference.config.efficientnet import EfficientNetConfig, Stage
from ddpm_mindspore.reference.networks import efficientnet


@first([{"stages": STAGES[0], "size": (16, 16), "batch": 2, "scale": 5.0, "seed": 0,
         "kernels": "stock"}])  # fmt: skip
@budget.examples(0.3)
@given(case=efficientnets(kernels=device.KERNELS))
def test_features(case: Case) -> None:
    """bottlenecks with norms by the statistics of training, and the mean over pixels"""
    features(**case)


@reproducible
def features(
    stages: Sequence[Sequence[int]],
    size: tuple[int, int],
    batch: int,
    scale: float,
    seed: int,
    kernels: str = "auto",
) -> None:
    """Of drawn images, with drawn parameters: none is 0, none is 1."""
    device.make_room()
    config = EfficientNetConfig(5, tuple(Stage(*stage) for stage in stages), 7)
    params = drawn(config, seed)
    x = scale * device.draw(seed + 1, (batch, 3, *size))

    def function(inputs: Arrays) -> Arrays:
        known = {name: value for name, value in inputs.items() if name != "x"}
        return {"features": efficientnet.features(known, config, inputs["x"])}

    expected, bounds = deep(function, {"x": x, **params})
    with device.kernels(kernels):
        network = EfficientNet(config, params)
    value = network(Tensor(x)).asnumpy()
    check("features", value, expected["features"], bounds["features"])


def drawn(config: EfficientNetConfig, seed: int) -> Arrays:
    """Parameters by name."""
    rng = np.random.default_rng(seed)
    params = {
        name: rng.standard_normal(shape) / np.sqrt(np.prod(shape[1:]))
        for name, shape in config.shapes.items()
    }
    for conv, norm in config.norms.items():
        count = params[f"{conv}.weight"].shape[0]
        params[f"{norm}.weight"] = rng.uniform(0.5, 2.0, count)
        params[f"{norm}.bias"] = rng.uniform(-0.5, 1.0, count)
        params[f"{norm}.running_mean"] = rng.normal(size=count)
        params[f"{norm}.running_var"] = rng.uniform(0.002, 1.0, count)
    return {name: value.astype(np.float32) for name, value in params.items()}
