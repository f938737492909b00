"""A run on disk: its configuration, metrics, checkpoints and pictures, and how to open it again.

RUN/config.json      everything the run was started with, and the versions that ran it
    images.json      the names of the images' files, in their order: see images.py
    metrics.jsonl    one JSON object a training step
    progress.json    where the run is now, and where its time went: see trainer/log.py
    checkpoints/     see checkpoint.py
    samples/         a picture for each checkpoint: drawn images beside real ones
    nonfinite.jsonl  updates that were left out: see trainer/nonfinite.py
    skipped.jsonl    images that were left out: see data/left_out.py
    loss.png
    tensorboard/     the metrics once more, when asked for
    .lock            held by the process that trains

Nothing in it names the folder itself, so a run can be moved or copied, and goes on elsewhere.
"""

from __future__ import annotations

import json
import shlex
import tempfile
from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..config import RunConfig
from ..system.files import json_bytes, make_folder, replace_file, write_json
from . import metrics
from .checkpoint import Loaded, load, load_newest, newest, remove_leftovers
from .config_file import from_json, read_document, to_json
from .lock import RunLock
from .names import remove_half_written, taken
from .own import is_run

if TYPE_CHECKING:
    from ..diffusion import GaussianDiffusion


class RunFolder:
    """Paths and small files of one run; without ``writes`` one that is only read from."""

    def __init__(self, path: Path, *, writes: bool = True) -> None:
        self.path, self.writes = path, writes
        self.config = path / "config.json"
        self.metrics = path / "metrics.jsonl"
        self.progress = path / "progress.json"
        self.images = path / "images.json"
        self.samples = path / "samples"
        self.loss_curve = path / "loss.png"
        self.tensorboard = path / "tensorboard"
        self.lock = RunLock(path)

    def prepare(self, *, resume: bool) -> None:
        """Make the folder and see that it can be trained in, before any long work starts.

        Raises:
            ValueError: it cannot be written; or it holds a run, or files of others that a run would
                write over, and resume is False; or it holds no run and resume is True; or another
                process trains in it.
        """
        if not self.writes:
            return
        self.lock.check_free()
        self._check_purpose(resume)
        try:
            make_folder(self.path)
            with tempfile.TemporaryFile(dir=self.path):
                pass
            with self.lock:
                remove_leftovers(self.path)
                remove_half_written(self.path)
        except OSError as error:
            raise ValueError(
                f"results_folder {str(self.path)!r} cannot be written ({error.strerror}): choose "
                "another (--results-folder)"
            ) from None

    def _check_purpose(self, resume: bool) -> None:
        where = f"results_folder {str(self.path)!r}"
        if not resume:
            self._check_names(where)
        elif not self.checkpoints():
            raise ValueError(
                f"{where} holds no checkpoint to resume from: start without --resume, or name the "
                "folder of a run"
            )
        elif self.imported():
            raise ValueError(
                f"{where} holds imported weights without the optimiser state that training goes on "
                f"with: draw from it, or {self._start_from()}"
            )

    def _check_names(self, where: str) -> None:
        """See that a new run would write over nothing but what a run left without a checkpoint."""
        own = is_run(self.path)
        if self.checkpoints() and (own or newest(self.path)):  # damaged ones too
            imported = newest(self.path) and self.imported()
            go_on = self._start_from() if imported else "go on with it (--resume)"
            raise ValueError(
                f"{where} already holds a run: {go_on} or choose another (--results-folder)"
            )
        others = [] if own else taken(self.path)
        others += [] if self.lock.is_ours() else [".lock"]
        if others:
            raise ValueError(
                f"{where} is no run, and holds {', '.join(others)}, which a run would write over: "
                "choose another (--results-folder), or move them away"
            )

    def _start_from(self) -> str:
        path = shlex.quote(str(self.path))
        return f"start a new run from it (--from {path} --results-folder ANOTHER)"

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

    def write_config(
        self, config: RunConfig, processes: int = 1, images: Mapping[str, Any] | None = None
    ) -> None:
        """Write config.json.

        Args:
            config: what the run is made with.
            processes: how many train with ``batch_size`` images each.
            images: what is known of its images, see images.py.
        """
        if self.writes:
            facts = {"processes": processes, "images": dict(images or {})}
            write_json(self.config, to_json(config, **facts))

    def processes(self) -> int:
        """How many processes trained the run last; ValueError as from :meth:`read_config`."""
        return int(read_document(self.config).get("processes", 1))

    def read_images(self) -> dict[str, Any]:
        """What was known of its images; ValueError as from :meth:`read_config`."""
        return dict(read_document(self.config).get("images", {}))

    def read_config(self) -> RunConfig:
        """Read config.json.

        Raises:
            ValueError: this is not the folder of a run, or its configuration is damaged.
        """
        return from_json(read_document(self.config), self.config)

    def append_metrics(self, rows: Iterable[dict[str, Any]]) -> None:
        """Add lines to metrics.jsonl; OSError when the disk is full, and the file is as it was."""
        if self.writes:
            metrics.append(self.metrics, rows)

    def read_metrics(self, most: int | None = None) -> list[dict[str, Any]]:
        """The lines of metrics.jsonl, of ``most`` bytes spread over it where that is given."""
        return metrics.read(self.metrics, most)

    def last_metrics(self, count: int) -> list[dict[str, Any]]:
        """The last ``count`` lines of metrics.jsonl, or all where there are fewer."""
        return metrics.last(self.metrics, count)

    def rewind_metrics(self, step: int) -> None:
        """Drop what was measured after ``step``, where training goes on."""
        if self.writes:
            metrics.rewind(self.metrics, step)

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

    def load(self, group: str, step: int | None = None) -> Loaded:
        """One group of tensors of the newest checkpoint that can be read, or of that of ``step``.

        Raises:
            ValueError: there is none, or it cannot be read.
        """
        if step is None:
            return load_newest(self.path, [group])
        folder = self.path / "checkpoints" / f"step-{step:08d}"
        if not folder.exists():
            steps = [int(name[5:]) for name in self.checkpoints() if name[5:].isdecimal()]
            there = ", ".join(map(str, sorted(steps))) or "none"
            raise ValueError(f"{self.path} has no checkpoint of step {step}: it has {there}")
        return Loaded(load(folder, [group]), folder, [])

    def imported(self) -> bool:
        """Whether its newest checkpoint holds imported weights; ValueError without one."""
        return "imported_from" in load_newest(self.path, []).checkpoint.state


def build(config: RunConfig) -> GaussianDiffusion:
    """The diffusion that a configuration describes, its network at its initial parameters."""
    # Here, not above: reading a run's files does not need MindSpore, which takes seconds to import.
    from ..diffusion import GaussianDiffusion
    from ..networks.unet import Unet

    model = Unet(**config.network.to_dict(), seed=config.trainer.seed)
    return GaussianDiffusion(
        model,
        image_size=config.image_size,
        seed=config.trainer.seed,
        **asdict(config.diffusion),
        **asdict(config.sampling),
    )
