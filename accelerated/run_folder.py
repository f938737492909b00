"""A run on disk: its configuration, metrics, checkpoints and pictures, and how to open it again.

RUN/config.json      everything the run was started with, and the versions that ran it
    metrics.jsonl    one JSON object a training step
    progress.json    where the run is now, and where its time went: see train_log.py
    checkpoints/     see checkpoint.py
    samples/         a picture for each checkpoint: drawn images beside real ones
    loss.png
    tensorboard/     the metrics once more, when asked for
    .lock            held by the process that trains

Nothing in it names the folder itself, so a run can be moved or copied, and goes on elsewhere.
"""

from __future__ import annotations

import errno
import importlib.metadata
import json
import os
import platform
from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np

from ..reference.config import UnetConfig
from .checkpoint import Loaded, load_newest, remove_leftovers
from .config import DiffusionConfig, RunConfig, TrainerConfig
from .files import json_bytes, make_folder, replace_file, write_json
from .run_lock import RunLock

if TYPE_CHECKING:
    from .diffusion import GaussianDiffusion

VERSION = 1

_STRETCHES = 256
_BLOCK = 2**16


class RunFolder:
    """Paths and small files of one run; without ``writes`` one that is only read from."""

    def __init__(self, path: Path, *, writes: bool = True) -> None:
        self.path, self.writes = path, writes
        self.config = path / "config.json"
        self.metrics = path / "metrics.jsonl"
        self.progress = path / "progress.json"
        self.samples = path / "samples"
        self.loss_curve = path / "loss.png"
        self.tensorboard = path / "tensorboard"
        self.lock = RunLock(path)

    def prepare(self, *, resume: bool) -> None:
        """Make the folder and see that it can be trained in, before any long work starts.

        Raises:
            ValueError: it cannot be written; or it holds a run and resume is False; or it holds
                none and resume is True; or another process trains in it.
        """
        if not self.writes:
            return
        self.lock.check_free()
        self._check_purpose(resume)
        try:
            make_folder(self.path)
            replace_file(self.path / ".writable", b"")
            (self.path / ".writable").unlink()
            with self.lock:
                remove_leftovers(self.path)
        except OSError as error:
            raise ValueError(
                f"results_folder {str(self.path)!r} cannot be written ({error.strerror}): choose "
                "another (--results-folder)"
            ) from None

    def _check_purpose(self, resume: bool) -> None:
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

    def held(self) -> AbstractContextManager[object]:
        """Within it no other process may train in this folder."""
        return self.lock if self.writes else nullcontext()

    def checkpoints(self) -> list[str]:
        """The names of all checkpoints, damaged ones too."""
        return sorted(path.name for path in self.path.glob("checkpoints/step-*"))

    def check_unchanged(self, checkpoints: list[str]) -> None:
        """See that no one else has trained in this folder since it had these checkpoints.

        Raises:
            ValueError: someone has.
        """
        if self.writes and self.checkpoints() != checkpoints:
            raise ValueError(
                f"results_folder {str(self.path)!r} has got other checkpoints since this Trainer "
                "was made: make it anew, with resume=True"
            )

    def write_config(self, config: RunConfig, processes: int = 1) -> None:
        """Write config.json; ``processes``: how many train with ``batch_size`` images each."""
        if not self.writes:
            return
        packages = ("ddpm-mindspore", "mindspore", "numpy")
        versions = {name: importlib.metadata.version(name) for name in packages}
        versions["python"] = platform.python_version()
        write_json(self.config, _config_json(config, processes, versions))

    def processes(self) -> int:
        """How many processes trained the run last; ValueError as from :meth:`read_config`."""
        self.read_config()
        return int(json.loads(self.config.read_text(encoding="utf-8")).get("processes", 1))

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
        """Add lines to metrics.jsonl. A number that is not finite is written as null.

        Raises:
            OSError: the disk is full. The file is as it was.
        """
        if not self.writes:
            return
        finite = ({k: v if np.isfinite(v) else None for k, v in row.items()} for row in rows)
        data = "".join(json.dumps(row, allow_nan=False) + "\n" for row in finite).encode()
        with self.metrics.open("ab", buffering=0) as file:
            size = file.tell()
            try:
                if file.write(data) != len(data):
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            except OSError:
                file.truncate(size)  # half a line would hide those that follow
                raise

    def read_metrics(self, most: int | None = None) -> list[dict[str, Any]]:
        """The lines of metrics.jsonl; a last line that a killed process left unfinished is not.

        Args:
            most: bytes to read. Of a larger file only stretches that are spread over it evenly, the
                first and the last lines among them.
        """
        if not self.metrics.exists():
            return []
        size = self.metrics.stat().st_size
        with self.metrics.open("rb") as file:
            if most is None or size <= most:
                return list(_rows(file))
            rows: list[dict[str, Any]] = []
            for start in np.linspace(0, size - most // _STRETCHES, _STRETCHES).astype(int):
                file.seek(start)
                if start:
                    file.readline()  # the end of a line
                rows += _rows(file.readlines(most // _STRETCHES))
            return rows

    def rewind_metrics(self, step: int) -> None:
        """Drop what was measured after ``step``, where training goes on."""
        if self.writes and self.metrics.exists():
            with self.metrics.open("r+b") as file:
                start = _before(file, step, self.metrics.stat().st_size)
                file.seek(start)
                kept = sum(len(line) for line, row in _lines(file) if row["step"] <= step)
                file.truncate(start + kept)

    def write_progress(self, progress: Mapping[str, Any]) -> None:
        """Replace progress.json.

        Raises:
            OSError: the disk is full. What was there is unharmed.
        """
        if self.writes:
            replace_file(self.progress, json_bytes(self.progress.name, progress), flush=False)

    def read_progress(self) -> dict[str, Any]:
        """What progress.json says; nothing where it is not there or damaged."""
        try:
            return dict(json.loads(self.progress.read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError):
            return {}

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


def _before(file: BinaryIO, step: int, size: int) -> int:
    """Where a line begins up to which all are of ``step`` or before it, looking from the end."""
    for position in range(size - _BLOCK, 0, -_BLOCK):
        file.seek(position)
        file.readline()  # the end of a line
        start = file.tell()
        row = next(_rows(file), None)
        if row is not None and row["step"] <= step:
            return start
    return 0


def _lines(file: Iterable[bytes]) -> Iterator[tuple[bytes, dict[str, Any]]]:
    """Lines and their values, up to the first that is not whole."""
    for line in file:
        try:
            yield line, json.loads(line if line.endswith(b"\n") else b"")
        except ValueError:
            return


def _rows(file: Iterable[bytes]) -> Iterator[dict[str, Any]]:
    return (row for _, row in _lines(file))


def _config_json(config: RunConfig, processes: int, versions: dict[str, str]) -> dict[str, Any]:
    return {"version": VERSION, **asdict(config), "processes": processes, "versions": versions}


def build(config: RunConfig) -> GaussianDiffusion:
    """The diffusion that a configuration describes, its network at its initial parameters."""
    # Here, not above: reading a run's files does not need MindSpore, which takes seconds to import.
    from .diffusion import GaussianDiffusion
    from .unet import Unet

    model = Unet(**config.unet.to_dict(), seed=config.trainer.seed)
    return GaussianDiffusion(
        model,
        image_size=config.image_size,
        seed=config.trainer.seed,
        **asdict(config.diffusion),
    )
