"""Write a checkpoint of the published layout and size, tensor by tensor."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np

from ddpm_mindspore.reference.config import wukong
from ddpm_mindspore.reference.networks import autoencoder, text_unet

SHAPES = text_unet.param_shapes(wukong.PAINTER) | {
    wukong.PREFIXES["autoencoder"] + name: shape
    for name, shape in autoencoder.param_shapes(wukong.AUTOENCODER).items()
}
SIZE = 4 * sum(math.prod(shape) for shape in SHAPES.values())
"""Bytes of the weights: 4.26 GB."""


def write_published(path: Path, value: Callable[[str, tuple[int, ...]], np.ndarray]) -> None:
    """A file as ``mindspore.save_checkpoint`` writes it, of one tensor after another.

    Args:
        value: from the full name and the shape of a tensor to its content, float32.
    """
    with path.open("wb") as file:
        for name, shape in SHAPES.items():
            content = value(name, shape).astype("<f4", copy=False).tobytes()
            dims = b"".join(b"\x08" + varint(side) for side in shape)
            tensor = dims + field(2, b"Float32") + b"\x1a" + varint(len(content))
            start = field(1, name.encode())
            size = len(start) + 1 + len(varint(len(tensor) + len(content)))
            file.write(b"\x0a" + varint(size + len(tensor) + len(content)) + start)
            file.write(b"\x12" + varint(len(tensor) + len(content)) + tensor)
            file.write(content)


def field(number: int, content: bytes) -> bytes:
    return bytes([number << 3 | 2]) + varint(len(content)) + content


def varint(number: int) -> bytes:
    written = bytearray()
    while number > 127:
        written.append(number & 127 | 128)
        number >>= 7
    return bytes([*written, number])
