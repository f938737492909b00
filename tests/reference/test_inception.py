"""Inception v3: its pools, resizing and convolutions by brute force, and its published sizes."""

from __future__ import annotations

import numpy as np
import pytest

from ddpm_mindspore.reference.config.inception import INCEPTION, InceptionConfig
from ddpm_mindspore.reference.networks.inception import (
    convolution,
    features,
    max_around,
    max_halved,
    mean_around,
    prepared,
    resized,
)


@pytest.mark.parametrize(
    ("kernel", "stride", "padded"),
    [
        ((3, 3), 1, True),
        ((1, 7), 1, True),
        ((3, 1), 1, True),
        ((3, 3), 1, False),
        ((3, 3), 2, True),
    ],
)
def test_a_convolution_by_brute_force(kernel: tuple[int, int], stride: int, padded: bool) -> None:
    rng = np.random.default_rng(0)
    x, weight = rng.normal(size=(2, 3, 7, 9)), rng.normal(size=(4, 3, *kernel))
    out = convolution(x, weight, stride, padded)
    around = [side // 2 if padded and stride == 1 else 0 for side in kernel]
    shape = [(n + 2 * p - k) // stride + 1 for n, p, k in zip((7, 9), around, kernel, strict=True)]
    assert out.shape == (2, 4, *shape)
    for h, w in np.ndindex(*shape):
        expected = np.zeros((2, 4))
        for i, j in np.ndindex(*kernel):
            row, column = stride * h + i - around[0], stride * w + j - around[1]
            if 0 <= row < 7 and 0 <= column < 9:
                expected += x[:, :, row, column] @ weight[:, :, i, j].T
        np.testing.assert_allclose(out[:, :, h, w], expected, atol=1e-12)


def test_pools_leave_out_what_is_beyond_the_edge() -> None:
    x = -1.0 - np.random.default_rng(1).random((1, 2, 5, 7))
    mean, largest = mean_around(x), max_around(x)
    for h, w in np.ndindex(5, 7):
        seen = x[:, :, max(h - 1, 0) : h + 2, max(w - 1, 0) : w + 2]
        np.testing.assert_allclose(mean[:, :, h, w], seen.mean((2, 3)))
        np.testing.assert_array_equal(largest[:, :, h, w], seen.max((2, 3)))
    halved = max_halved(x)
    assert halved.shape == (1, 2, 2, 3)
    np.testing.assert_array_equal(halved[:, :, 1, 2], x[:, :, 2:5, 4:7].max((2, 3)))


def test_images_are_resized_from_their_first_pixel() -> None:
    ramp = np.arange(4.0)[None, None, None]
    np.testing.assert_allclose(
        resized(ramp, (1, 8))[0, 0, 0], [0.0, 0.5, 1.0, 1.5, 2.0, 2.5, 3.0, 3.0]
    )
    np.testing.assert_array_equal(resized(ramp, (1, 2))[0, 0, 0], [0.0, 2.0])  # nothing is averaged
    turned = resized(ramp.swapaxes(2, 3), (8, 1))
    np.testing.assert_array_equal(turned, resized(ramp, (1, 8)).swapaxes(2, 3))
    x = np.random.default_rng(2).integers(0, 256, (2, 3, 5, 6)).astype(float)
    np.testing.assert_array_equal(prepared(x, (5, 6)), (x - 128.0) / 128.0)
    assert prepared(x.astype(np.float32)).shape == (2, 3, 299, 299)
    assert prepared(x.astype(np.float32)).dtype == np.float32


def test_the_published_network_has_its_size() -> None:
    """23,834,568 parameters are torchvision's, with 1,000 classes; here are 8 more, and means."""
    shapes, convs = INCEPTION.shapes, INCEPTION.convs
    assert len(convs) == 94
    learned = sum(int(np.prod(shape)) for name, shape in shapes.items() if "running" not in name)
    assert learned - 8 * 2049 == 23_834_568
    assert INCEPTION.features == sum(
        conv.out for branch in INCEPTION.blocks[-1] for conv in branch.ends or branch.convs[-1:]
    )
    inputs = {name.split(".")[0]: shape[1] for name, shape in shapes.items() if "1x1.conv" in name}
    assert (inputs["Mixed_5b"], inputs["Mixed_5d"]) == (192, 288)
    assert (inputs["Mixed_6e"], inputs["Mixed_7b"], inputs["Mixed_7c"]) == (768, 1280, 2048)
    assert shapes["Mixed_6c.branch7x7dbl_2.conv.weight"] == (160, 160, 7, 1)
    assert InceptionConfig(16).shapes["Mixed_7c.branch_pool.conv.weight"] == (12, 128, 1, 1)
    with pytest.raises(ValueError, match="divisor 3 must be 1, 2, 4, 8 or 16"):
        InceptionConfig(3)


def test_features_are_means_over_pixels() -> None:
    config, rng = InceptionConfig(16), np.random.default_rng(3)
    params = {
        name: np.full(shape, 1.0) if "running_var" in name else rng.random(shape)
        for name, shape in config.shapes.items()
    }
    x = prepared(rng.integers(0, 256, (2, 3, 9, 9)).astype(float), (75, 107))
    found = features(params, config, x)
    assert found.shape == (2, 128) and found.min() >= 0.0
    np.testing.assert_allclose(features(params, config, x[1:]), found[1:])
