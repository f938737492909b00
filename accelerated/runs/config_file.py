"""config.json of a run: its configuration as JSON, and what is known of it besides."""

from __future__ import annotations

import importlib.metadata
import json
import math
import platform
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ...reference.config import (
    NETWORKS,
    AnyNetwork,
    DiffusionConfig,
    SamplingConfig,
    network_name,
)
from ...reference.plain import check_choice
from ..config import RunConfig, TrainerConfig
from ..system.files import write_json

VERSION = 2

NAME = "name"
"""What tells in "network" which network it is; where that is missing it is the U-Net."""


class ConfigFile:
    """The file; ValueError where it is read and is not there, is not a run's, or is damaged."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def write(
        self,
        config: RunConfig,
        processes: int = 1,
        images: Mapping[str, Any] | None = None,
        **more: Any,
    ) -> None:
        """Write it.

        Args:
            config: what the run is made with.
            processes: how many train with ``batch_size`` images each.
            images: what is known of its images, see images.py.
            more: other facts, by name.
        """
        facts = {"processes": processes, "images": dict(images or {}), **more}
        write_json(self.path, to_json(config, **facts))

    def read(self) -> RunConfig:
        """The configuration."""
        return from_json(read_document(self.path), self.path)

    def processes(self) -> int:
        """How many processes trained the run last."""
        return int(read_document(self.path).get("processes", 1))

    def images(self) -> dict[str, Any]:
        """What was known of its images."""
        return dict(read_document(self.path).get("images", {}))


def to_json(config: RunConfig, **facts: Any) -> dict[str, Any]:
    """The document of a configuration, with other facts and the versions of what runs it."""
    document = _finite(asdict(config))
    document["network"] = {NAME: network_name(config.network), **document["network"]}
    return {"version": VERSION, **document, **facts, "versions": versions()}


def versions() -> dict[str, str]:
    """What computes here: this package, and what its results depend on."""
    packages = ("ddpm-mindspore", "mindspore", "numpy")
    found = {name: importlib.metadata.version(name) for name in packages}
    return found | {"python": platform.python_version()}


def _finite(value: Any) -> Any:
    """Infinity as the text "inf", which JSON has and a configuration takes."""
    if isinstance(value, dict):
        return {name: _finite(part) for name, part in value.items()}
    return str(value) if isinstance(value, float) and math.isinf(value) else value


def read_document(path: Path) -> dict[str, Any]:
    """Read a config.json.

    Raises:
        ValueError: it is not there, or is not a run's.
    """
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ValueError(
            f"{str(path.parent)!r} is not a run folder (config.json: {error.strerror}): name a "
            "folder that 'ddpm-mindspore train' has written"
        ) from None
    except ValueError as error:
        raise ValueError(f"{path} is damaged ({error}): restore it from a copy") from None
    version = value.get("version") if isinstance(value, dict) else None
    if version not in (1, VERSION):
        raise ValueError(
            f"{path} is not a configuration of version 1 or {VERSION}: name a folder that "
            "'ddpm-mindspore train' has written"
        )
    document = _of_version_1(value) if version == 1 else value
    return {**document, "sampling": _with_sampler(document)}


def _of_version_1(document: dict[str, Any]) -> dict[str, Any]:
    """What version 1 says, as version 2 says it: there sampling was a part of the diffusion."""
    diffusion = dict(document.get("diffusion", {}))
    names = {"sampling_timesteps": "sampling_timesteps", "clip_denoised": "clip_denoised"}
    names["ddim_sampling_eta"] = "eta"
    sampling = {names[name]: diffusion.pop(name) for name in names if name in diffusion}
    network = document.get("unet")
    return {**document, "network": network, "diffusion": diffusion, "sampling": sampling}


def _with_sampler(document: dict[str, Any]) -> Any:
    """How a run is drawn from that knows no name of a sampler: as it was.

    All steps were ancestral ones, and fewer were DDIM's, evenly spaced.
    """
    sampling, diffusion = document.get("sampling"), document.get("diffusion")
    if not isinstance(sampling, dict) or "sampler" in sampling or not isinstance(diffusion, dict):
        return sampling
    steps, T = sampling.get("sampling_timesteps"), diffusion.get("timesteps", 1000)
    if steps in (None, T):
        return {**sampling, "sampler": "ancestral", "eta": None}
    return {**sampling, "sampler": "ddim", "spacing": "uniform"}


def from_json(document: Mapping[str, Any], path: Path) -> RunConfig:
    """The configuration in the document of ``path``.

    Raises:
        ValueError: it is damaged.
    """
    try:
        return RunConfig(
            data=document["data"],
            image_size=document["image_size"],
            device=document["device"],
            network=_network(document["network"]),
            diffusion=DiffusionConfig(**document["diffusion"]),
            sampling=SamplingConfig(**document["sampling"]),
            trainer=TrainerConfig(**document["trainer"]),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{path} is damaged ({error}): restore it from a copy") from None


def _network(document: Mapping[str, Any]) -> AnyNetwork:
    options = dict(document)
    name = options.pop(NAME, "unet")
    check_choice("network", name, tuple(NETWORKS))
    return NETWORKS[name](**options)
