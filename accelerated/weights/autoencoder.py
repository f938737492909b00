"""The frozen autoencoder of a run on latents: where its weights are, and what it makes.

RUN/autoencoder.safetensors has it with its sizes and the scale factor of the latents; in a run of a
published checkpoint (``published.py``) that file has it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import safetensors
import safetensors.numpy
from mindspore import Tensor
from numpy.typing import NDArray

from ...reference.config import AutoencoderConfig, wukong
from ..data.latents import Encode
from ..latents import undo
from ..networks.autoencoder import Autoencoder
from ..process import to_unit_range
from ..runs.config_file import read_document
from ..runs.folder import RunFolder
from ..runs.kept import digest
from ..runs.names import AUTOENCODER, PUBLISHED
from ..runs.opened import OpenedRun
from ..system.compile_cache import compiled
from ..system.files import replace_file
from .checkpoint_file import CheckpointFile
from .wukong import Part

Array = NDArray[np.float32]
Decode = Callable[[Array], Array]


@dataclass(frozen=True)
class Coder:
    """An autoencoder, of which no more than this is in memory until it is asked for.

    Attributes:
        config: its sizes.
        tensors: its parameters, by name.
        source: where they are.
        scale: what its latents are multiplied by; None: it is to be measured.
    """

    config: AutoencoderConfig
    tensors: Mapping[str, NDArray[Any]]
    source: Path
    scale: float | None = None

    def network(self) -> Autoencoder:
        """With its weights; ValueError where one is missing, or of another size."""

        def value(name: str, shape: tuple[int, ...]) -> NDArray[Any]:
            found = self.tensors.get(name, np.zeros(0))
            if found.shape != shape:
                raise ValueError(
                    f"autoencoder {str(self.source)!r} has {name!r} of shape {found.shape}, and "
                    f"{shape} is needed: these are weights of other sizes"
                )
            return found

        return Autoencoder(values=value, **self.config.to_dict())

    def with_scale(self, scale: float) -> Coder:
        """The same, with this scale factor."""
        return replace(self, scale=scale)

    @cached_property
    def digest(self) -> str:
        """A text by which weights differ."""
        return digest(self.tensors)

    def encoder(self, network: Autoencoder | None = None, *, graph: bool = False) -> Encode:
        """From pictures (C, H, W) in [-1, 1] to their moments (2 latent_channels, h, w).

        Args:
            network: of ``network()``, where there is one already.
            graph: compiled; training needs each once.
        """
        network = self.network() if network is None else network
        run = compiled(network.encode) if graph else network.encode

        def encode(picture: Array) -> Array:
            moments: Array = run(Tensor(picture[None])).asnumpy()[0]
            return moments

        return encode

    def decoder(self, network: Autoencoder | None = None, *, graph: bool = False) -> Decode:
        """From latents (N, C, h, w) to pictures in [0, 1], one at a time: they are large."""
        assert self.scale is not None
        scale, network = self.scale, self.network() if network is None else network
        run = compiled(network.decode) if graph else network.decode

        def decode(latents: Array) -> Array:
            drawn = [run(Tensor(undo(one[None], scale))).asnumpy() for one in latents]
            return to_unit_range(np.concatenate(drawn))

        return decode


def with_coder(run: OpenedRun, coder: Coder) -> OpenedRun:
    """A run whose latents become pictures, and pictures the means of their latents."""
    assert coder.scale is not None
    scale, network = np.float32(coder.scale), coder.network()
    moments = coder.encoder(network, graph=True)

    def encode(pictures: Array) -> Array:
        found = np.stack([moments(picture) for picture in pictures])
        return np.split(found, 2, axis=1)[0] * scale

    decode = coder.decoder(network, graph=True)
    return replace(run, decode=decode, encode=encode, autoencoder=coder.config)


def read_coder(source: Path) -> Coder:
    """The autoencoder of a run, or in a file.

    Args:
        source: a run of a published checkpoint or on latents; such a checkpoint (.ckpt) of the
            published sizes; or the file that a run on latents has.

    Raises:
        ValueError: there is none, or it cannot be read.
    """
    if source.suffix == ".ckpt":
        return _published(source, wukong.AUTOENCODER, wukong.SCALE_FACTOR)
    if (source / PUBLISHED).is_file():
        document = read_document(RunFolder(source).config.path)
        config = AutoencoderConfig(**document["autoencoder"])
        return _published(source / PUBLISHED, config, float(document["scale_factor"]))
    return _own(source / AUTOENCODER if source.is_dir() else source, source)


def coder_config(run: RunFolder) -> AutoencoderConfig:
    """The sizes of a run's autoencoder.

    Raises:
        ValueError: it has none, or one that cannot be read.
    """
    return read_coder(run.path).config


def write_coder(run: RunFolder, coder: Coder) -> None:
    """Leave it in a run, with the scale factor, where it stays."""
    arrays = dict(coder.tensors)
    facts = {
        "autoencoder": json.dumps(coder.config.to_dict()),
        "scale_factor": repr(coder.scale),
        "digest": digest(arrays),
    }
    replace_file(run.path / AUTOENCODER, safetensors.numpy.save(arrays, metadata=facts))


def _published(path: Path, config: AutoencoderConfig, scale: float) -> Coder:
    prefix = wukong.PREFIXES["autoencoder"]
    return Coder(config, Part(CheckpointFile(path), (prefix,), prefix), path, scale)


class _File(Mapping[str, NDArray[Any]]):
    """The tensors of a safetensors file, each read when it is asked for."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __getitem__(self, name: str) -> NDArray[Any]:
        with safetensors.safe_open(self._path, "numpy") as file:
            if name not in file.keys():  # noqa: SIM118
                raise KeyError(name)
            array: NDArray[Any] = file.get_tensor(name)
        return array

    def __iter__(self) -> Iterator[str]:
        with safetensors.safe_open(self._path, "numpy") as file:
            return iter([*file.keys()])

    def __len__(self) -> int:
        return sum(1 for _ in self)


def _own(path: Path, source: Path) -> Coder:
    try:
        with safetensors.safe_open(path, "numpy") as file:
            facts = file.metadata() or {}
        config = AutoencoderConfig(**json.loads(facts["autoencoder"]))
        coder = Coder(config, _File(path), path, float(facts["scale_factor"]))
        if coder.digest != facts["digest"]:
            raise ValueError("its checksum differs")
    except KeyError as error:
        raise ValueError(
            f"autoencoder {str(source)!r} says nothing of {error}: give a run that ddpm-mindspore "
            "has made (import wukong-huahua-ms.ckpt), or its autoencoder.safetensors"
        ) from None
    except (OSError, TypeError, ValueError, safetensors.SafetensorError) as error:
        raise ValueError(
            f"autoencoder {str(source)!r} cannot be read ({error}): give a run on latents or of a "
            "published checkpoint, or bring back its autoencoder.safetensors"
        ) from None
    return coder
