"""EfficientNet-lite: its convolutions by brute force, and the sizes that were published."""

from __future__ import annotations

import numpy as np
import pytest

from ddpm_mindspore.reference.config.efficientnet import LITE0, EfficientNetConfig, Stage
from ddpm_mindspore.reference.networks.efficientnet import conv, features, norm, relu6


@pytest.mark.parametrize("alone", [False, True])
@pytest.mark.parametrize(
    ("size", "k", "stride", "before"),
    [((4, 6), 3, 1, 1), ((4, 6), 3, 2, 0), ((8, 4), 5, 2, 1), ((7, 5), 3, 2, 1), ((5, 4), 1, 1, 0)],
)
def test_a_convolution_pads_as_little_as_it_can(
    size: tuple[int, int], k: int, stride: int, before: int, alone: bool
) -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(2, 3, *size))
    weight = rng.normal(size=(3 if alone else 2, 1 if alone else 3, k, k))
    out = conv(x, weight, stride)
    shape = tuple(-(-side // stride) for side in size)
    assert out.shape == (2, len(weight), *shape)
    for h, w in np.ndindex(*shape):
        expected = np.zeros(out.shape[:2])
        for i, j in np.ndindex(k, k):
            row, column = stride * h + i - before, stride * w + j - before
            if not (0 <= row < size[0] and 0 <= column < size[1]):
                continue
            seen = x[:, :, row, column]
            each = weight[:, :, i, j]
            expected += seen * each[:, 0] if alone else seen @ each.T
        np.testing.assert_allclose(out[:, :, h, w], expected, atol=1e-12)


def test_a_norm_has_the_statistics_of_training() -> None:
    x = np.random.default_rng(1).normal(size=(2, 3, 2, 2))
    params = {
        "n.weight": np.array([1.0, 2.0, 3.0]),
        "n.bias": np.array([0.0, 1.0, 0.0]),
        "n.running_mean": x.mean((0, 2, 3)),
        "n.running_var": x.var((0, 2, 3)) - 1e-3,
    }
    out = norm(params, "n", x)
    np.testing.assert_allclose(out.mean((0, 2, 3)), params["n.bias"], atol=1e-12)
    np.testing.assert_allclose(out.std((0, 2, 3)), params["n.weight"])


def test_activations_are_cut_at_both_ends() -> None:
    np.testing.assert_array_equal(relu6(np.array([-1.0, 2.0, 9.0])), [0.0, 2.0, 6.0])


def test_the_published_network_has_its_size() -> None:
    """3,385,760 parameters, and 1,000 x 1,281 of the classifier, which is not used."""
    shapes = LITE0.shapes
    count = sum(int(np.prod(shape)) for shape in shapes.values())
    count += sum(2 * shapes[f"{conv}.weight"][0] for conv in LITE0.norms)
    assert count + 1000 * 1281 == 4_652_008
    assert len(LITE0.blocks) == 16
    assert [block.adds for block in LITE0.blocks].count(True) == 9
    assert LITE0.norms["_blocks.0._depthwise_conv"] == "_blocks.0._bn1"
    assert LITE0.norms["_blocks.1._project_conv"] == "_blocks.1._bn2"


def test_features_are_means_over_pixels() -> None:
    config = EfficientNetConfig(2, (Stage(1, 3, 1, 1, 2),), 4)
    rng = np.random.default_rng(2)
    params = {name: rng.normal(size=shape) for name, shape in config.shapes.items()}
    for conv_name, name in config.norms.items():
        count = len(params[f"{conv_name}.weight"])
        for part, value in (("weight", 1), ("bias", 0.5), ("running_mean", 0), ("running_var", 1)):
            params[f"{name}.{part}"] = np.full(count, float(value))
    x = rng.normal(size=(2, 3, 8, 6))
    found = features(params, config, x)
    assert found.shape == (2, 4) and found.min() >= 0.0 and found.max() <= 6.0
    np.testing.assert_allclose(features(params, config, x[1:]), found[1:])
