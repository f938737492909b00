"""A run on disk: what is where, and whether it can be trained in.

RUN/config.json      all that the run was started with, and what ran it: see config_file.py
    images.json      the names of the images' files, in their order: see images.py
    vocabulary.txt   the pieces of texts, where the network is told any: see vocabulary.py
    base.safetensors the weights that are not trained: see base.py
    autoencoder.safetensors   of latents, which the network draws: see weights/autoencoder.py
    encoded/         the latents of its images, and the states of its texts: trainer/encoded.py
    metrics.jsonl    one JSON object a training step: see metrics.py
    evaluations.jsonl   how good samples were, with evaluate_every
    progress.json    where the run is now, and where its time went: see progress.py
    checkpoints/     see checkpoint.py
    samples/         a picture for each checkpoint: drawn images beside real ones
    nonfinite.jsonl  updates that were left out: see trainer/nonfinite.py
    skipped.jsonl    images that were left out: see data/left_out.py
    prior/           what the model drew before it was taught a concept: see trainer/prior.py
    loss.png
    report.html      all of it as a page: see reports/page.py
    tensorboard/     the metrics once more, when asked for
    .lock            held by the process that trains

Nothing in it names the folder itself, so a run can be moved or copied, and goes on elsewhere.
"""

from __future__ import annotations

import shlex
import tempfile
from pathlib import Path

from ..system.files import make_folder
from .checkpoint import Loaded, load, load_newest, newest, remove_leftovers
from .config_file import ConfigFile
from .lock import RunLock
from .metrics import MetricsFile
from .names import (
    PUBLISHED,
    SAMPLES,
    TENSORBOARD,
    VOCABULARY,
    checkpoint_folder,
    checkpoints,
    remove_half_written,
    taken,
)
from .own import is_run
from .progress import ProgressFile


class RunFolder:
    """The files of one run, which are read and written where they are defined."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.config = ConfigFile(path / "config.json")
        self.metrics = MetricsFile(path / "metrics.jsonl")
        self.evaluations = MetricsFile(path / "evaluations.jsonl")
        self.progress = ProgressFile(path / "progress.json")
        self.images = path / "images.json"
        self.vocabulary = path / VOCABULARY
        self.samples = path / SAMPLES
        self.loss_curve = path / "loss.png"
        self.tensorboard = path / TENSORBOARD
        self.lock = RunLock(path)

    def prepare(self, *, resume: bool) -> None:
        """Make the folder and see that it can be trained in, before any long work starts.

        Raises:
            ValueError: it cannot be written; or it holds a run, or files of others that a run would
                write over, and resume is False; or it holds no run and resume is True; or another
                process trains in it.
        """
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
        elif not self.steps():
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
        if self.steps() and (own or newest(self.path)):  # damaged ones too
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

    def rewind(self, step: int) -> None:
        """Drop what was measured after ``step``."""
        self.metrics.rewind(step)
        self.evaluations.rewind(step)

    def steps(self) -> list[int]:
        """Of which steps there are checkpoints, damaged ones too."""
        return sorted(set(checkpoints(self.path).values()))

    def check_unchanged(self, steps: list[int]) -> None:
        """See that no one else has trained in this folder since it had checkpoints of these.

        Raises:
            ValueError: someone has.
        """
        if self.steps() != steps:
            raise ValueError(
                f"results_folder {str(self.path)!r} has got other checkpoints since this Trainer "
                "was made: make it anew, with resume=True"
            )

    def load(self, group: str, step: int | None = None) -> Loaded:
        """One group of tensors of the newest checkpoint that can be read, or of that of ``step``.

        Raises:
            ValueError: there is none, or it cannot be read.
        """
        if step is None:
            return load_newest(self.path, [group])
        folder = checkpoint_folder(self.path, step)
        if not folder.exists():
            there = ", ".join(map(str, self.steps())) or "none"
            raise ValueError(f"{self.path} has no checkpoint of step {step}: it has {there}")
        return Loaded(load(folder, [group]), folder, [])

    def draws_latents(self) -> bool:
        """Whether its network draws latents, which an autoencoder decodes."""
        published = (self.path / PUBLISHED).is_file()
        return published or self.config.read().trainer.autoencoder is not None

    def imported(self) -> bool:
        """Whether its newest checkpoint holds imported weights; ValueError without one."""
        return "imported_from" in load_newest(self.path, []).checkpoint.state
