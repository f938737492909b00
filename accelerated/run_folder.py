"""A run on disk: its configuration, metrics, checkpoints and pictures, and how to open it again.

RUN/config.json      everything the run was started with, and the versions that ran it
    metrics.jsonl    one JSON object a training step
    checkpoints/     see checkpoint.py
    samples/         a picture for each checkpoint: drawn images beside real ones
    loss.png
"""

from __future__ import annotations

import importlib.metadata
import json
import platform
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from ..reference.config import UnetConfig
from .checkpoint import Loaded, load_newest, remove_leftovers
from .config import DiffusionConfig, RunConfig, TrainerConfig
from .diffusion import GaussianDiffusion
from .files import make_folder, replace_file, write_json
from .unet import Unet

VERSION = 1


class RunFolder:
    """Paths and small files of one run."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.config = path / "config.json"
        self.metrics = path / "metrics.jsonl"
        self.samples = path / "samples"
        self.loss_curve = path / "loss.png"

    def prepare(self, *, resume: bool) -> None:
        """Make the folder and see that it can be written, before any long work starts.

        Raises:
            ValueError: it cannot be written; or it holds a run and resume is False; or it holds
                none and resume is True.
        """
        checkpoints = self.path / "checkpoints"
        has_run = checkpoints.is_dir() and any(checkpoints.glob("step-*"))  # damaged ones too
        if has_run and not resume:
            raise ValueError(
                f"results_folder {str(self.path)!r} already holds a run: go on with it (--resume) "
                "or choose another (--results-folder)"
            )
        if resume and not has_run:
            raise ValueError(
                f"results_folder {str(self.path)!r} holds no checkpoint to resume from: start "
                "without --resume, or name the folder of a run"
            )
        if resume and "imported_from" in load_newest(self.path, []).checkpoint.state:
            raise ValueError(
                f"results_folder {str(self.path)!r} holds imported weights without the "
                "optimiser state that training goes on with: draw from it, or train a new run"
            )
        try:
            make_folder(self.path)
            replace_file(self.path / ".writable", b"")
            (self.path / ".writable").unlink()
        except OSError as error:
            raise ValueError(
                f"results_folder {str(self.path)!r} cannot be written ({error.strerror}): choose "
                "another (--results-folder)"
            ) from None
        remove_leftovers(self.path)

    def write_config(self, config: RunConfig) -> None:
        """Write config.json."""
        packages = ("ddpm-mindspore", "mindspore", "numpy")
        versions = {name: importlib.metadata.version(name) for name in packages}
        versions["python"] = platform.python_version()
        write_json(self.config, {"version": VERSION, **asdict(config), "versions": versions})

    def read_config(self) -> RunConfig:
        """Read config.json.

        Raises:
            ValueError: this is not the folder of a run, or its configuration is damaged.
        """
        try:
            value = json.loads(self.config.read_text(encoding="utf-8"))
        except OSError as error:
            raise ValueError(
                f"{str(self.path)!r} is not a run folder (config.json: {error.strerror}): name a "
                "folder that 'ddpm-mindspore train' has written"
            ) from None
        except ValueError as error:
            raise ValueError(
                f"{self.config} is damaged ({error}): restore it from a copy"
            ) from None
        if not isinstance(value, dict) or value.get("version") != VERSION:
            raise ValueError(
                f"{self.config} is not a configuration of version {VERSION}: name a folder that "
                "'ddpm-mindspore train' has written"
            )
        try:
            return RunConfig(
                data=value["data"],
                image_size=value["image_size"],
                device=value["device"],
                unet=UnetConfig(**value["unet"]),
                diffusion=DiffusionConfig(**value["diffusion"]),
                trainer=TrainerConfig(**value["trainer"]),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(
                f"{self.config} is damaged ({error}): restore it from a copy"
            ) from None

    def append_metrics(self, rows: Iterable[dict[str, Any]]) -> None:
        """Add lines to metrics.jsonl. A number that is not finite is written as null."""
        with self.metrics.open("a", encoding="utf-8") as file:
            for row in rows:
                finite = {k: v if np.isfinite(v) else None for k, v in row.items()}
                file.write(json.dumps(finite, allow_nan=False) + "\n")

    def read_metrics(self) -> list[dict[str, Any]]:
        """The lines of metrics.jsonl; a last line that a killed process left unfinished is not."""
        rows = []
        for line in self.metrics.read_text(encoding="utf-8").splitlines():
            try:
                rows.append(json.loads(line))
            except ValueError:
                break
        return rows

    def rewind_metrics(self, step: int) -> None:
        """Drop what was measured after ``step``, where training goes on."""
        if self.metrics.exists():
            kept = [row for row in self.read_metrics() if row["step"] <= step]
            lines = "".join(json.dumps(row) + "\n" for row in kept)
            replace_file(self.metrics, lines.encode())

    def open(self) -> tuple[GaussianDiffusion, Loaded]:
        """The run's diffusion with its averaged parameters, and the checkpoint they are from.

        Raises:
            ValueError: not a run folder, or no checkpoint that can be read.
        """
        config = self.read_config()
        loaded = load_newest(self.path, ["ema"])
        diffusion = build(config)
        diffusion.model.load_arrays(loaded.checkpoint.tensors["ema"])
        return diffusion, loaded


def build(config: RunConfig) -> GaussianDiffusion:
    """The diffusion that a configuration describes, its network at its initial parameters."""
    model = Unet(**config.unet.to_dict(), seed=config.trainer.seed)
    return GaussianDiffusion(
        model,
        image_size=config.image_size,
        seed=config.trainer.seed,
        **asdict(config.diffusion),
    )
