"""The published Chinese text-to-image weights, Wukong-Huahua, as networks.

One MindSpore checkpoint holds the U-Net, the autoencoder and the text encoder, each under a prefix;
behind it, names are those of the networks here. The inpainting checkpoint has the same names, and
another first convolution. Each tensor goes from the file into its network: besides the weights
themselves only the largest tensor is in memory.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ...reference.config import AutoencoderConfig, LatentUnetConfig, TransformerConfig, wukong
from ..networks.autoencoder import Autoencoder
from ..networks.blocks import Values
from ..networks.latent_unet import LatentUnet
from ..networks.transformer import Transformer
from .checkpoint_file import CheckpointFile

UNUSED = {
    f"first_stage_model.{name}.conv.{kind}"
    for name in ("encoder.down.3.downsample", "decoder.up.0.upsample")
    for kind in ("weight", "bias")
}
"""Published code makes them and never computes with them: a file may have them."""

FIRST = "input_blocks.0.0.conv.weight"


class Sizes(NamedTuple):
    """The configuration of each part."""

    unet: LatentUnetConfig = wukong.UNET
    autoencoder: AutoencoderConfig = wukong.AUTOENCODER
    text_encoder: TransformerConfig = wukong.TEXT_ENCODER


class Networks(NamedTuple):
    """What paints.

    Attributes:
        unused: names of the file that no part has, but those that are known to be unused.
    """

    unet: LatentUnet
    autoencoder: Autoencoder
    text_encoder: Transformer
    unused: tuple[str, ...]


def load_wukong(path: Path, sizes: Sizes | None = None) -> Networks:
    """Read ``wukong-huahua-ms.ckpt``, ``wukong-huahua-inpaint-ms.ckpt``, or one like them.

    Args:
        path: the checkpoint.
        sizes: of its networks, where they are not the published ones. How many channels the U-Net
            reads is taken from the file.

    Raises:
        ValueError: it is no checkpoint, or a tensor is missing or of another shape.
    """
    file, sizes = CheckpointFile(path), Sizes() if sizes is None else sizes
    asked: set[str] = set()

    def values(part: str) -> Values:
        prefix = wukong.PREFIXES[part]

        def value(name: str, shape: tuple[int, ...]) -> NDArray[Any]:
            asked.add(prefix + name)
            return _tensor(file, prefix + name, shape)

        return value

    unet = unet_of(file, sizes.unet)
    networks = (
        LatentUnet(values=values("unet"), **unet.to_dict()),
        Autoencoder(values=values("autoencoder"), **sizes.autoencoder.to_dict()),
        Transformer(values=values("text_encoder"), **sizes.text_encoder.to_dict()),
    )
    return Networks(*networks, tuple(sorted(file.entries.keys() - asked - UNUSED)))


class Part(Mapping[str, NDArray[Any]]):
    """The tensors of a part of a file as float32, each read when it is asked for.

    Args:
        file: the checkpoint.
        prefixes: one of these stands before their names there.
        cut: what of that is left out of them here.
    """

    def __init__(self, file: CheckpointFile, prefixes: tuple[str, ...], cut: str = "") -> None:
        self._file, self._cut = file, cut
        found = (n for n in file.entries if n.startswith(prefixes) and n not in UNUSED)
        self._names = dict.fromkeys(name.removeprefix(cut) for name in found)

    def __getitem__(self, name: str) -> NDArray[Any]:
        if name not in self._names:
            raise KeyError(name)
        return self._file.array(self._cut + name).astype(np.float32, copy=False)

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)


def tensors_of(file: CheckpointFile) -> Values:
    """The values of parameters, by their full names.

    It raises ValueError for a tensor that is missing or of another shape.
    """
    return lambda name, shape: _tensor(file, name, shape)


def unet_of(file: CheckpointFile, config: LatentUnetConfig) -> LatentUnetConfig:
    """The U-Net's configuration with as many channels as the file's first convolution reads.

    Raises:
        ValueError: the file has none.
    """
    name = wukong.PREFIXES["unet"] + FIRST
    if name not in file.entries:
        raise ValueError(_missing(file, name))
    _, channels, *_ = (*file.entries[name].shape, 0, 0)
    extra = max(0, channels - config.channels)
    return LatentUnetConfig(**{**config.to_dict(), "extra_channels": extra})


def _tensor(file: CheckpointFile, name: str, shape: tuple[int, ...]) -> NDArray[Any]:
    if name not in file.entries:
        raise ValueError(_missing(file, name))
    array = file.array(name)
    if array.shape != shape:
        raise ValueError(
            f"tensor {name!r} of {str(file.path)!r} has shape {array.shape}, and the network "
            f"{shape}: these are weights of other sizes"
        )
    return array.astype(np.float32, copy=False)


def _missing(file: CheckpointFile, name: str) -> str:
    values = sum(math.prod(entry.shape) for entry in file.entries.values())
    return (
        f"checkpoint {str(file.path)!r} has no tensor {name!r} (it has {len(file.entries):,} "
        f"tensors, {values:,} values, the first of them {next(iter(file.entries))!r}): give the "
        "whole wukong-huahua-ms.ckpt"
    )
