"""Trainer: the loop around the training step, and what it leaves on disk."""

from __future__ import annotations

import os
import threading
import time
from contextlib import closing, nullcontext
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from ...reference.config import AnyNetwork
from ..batch import MicroBatch
from ..config import RunConfig, TrainerConfig
from ..data import Items, read_spread, report, write_names
from ..data.prefetch import Prefetch
from ..diffusion import GaussianDiffusion
from ..kernels.waiting import Waiter
from ..optimizer import Optimizer, step_scalars
from ..precision import needs_loss_scale, set_precision
from ..runs.checkpoint import Checkpoint
from ..runs.images import as_source, called, check_classes, noted
from ..runs.vocabulary import tokenizer_for, write_tokenizer
from ..runs.warm_up import remark
from ..system.distributed import GradientReducer
from ..system.memory import return_large_blocks
from ..system.say import bar, say
from ..system.signals import first_interrupt_waits
from ..training import TrainStep
from .batches import Batches, open_data
from .encoded import Data, encode
from .from_run import start_from, write_base
from .log import Measured, TrainLog
from .nonfinite import NonfiniteSteps
from .place import Place, take_place
from .prior import make_prior, read_prior, read_texts
from .recomputation import recompute
from .samples import Samples
from .state import Saver, check_same_run, check_same_start, other_sampling, restore_newest, snapshot
from .tensorboard import check_tensorboard

_NOTICE = "stopping after this step, with a checkpoint; once more ends at once"


class Trainer:
    """Train a diffusion on images, keeping checkpoints, samples and metrics.

    Args:
        diffusion: what is trained.
        folder: a folder of images, ``"digits"``, a MindRecord file, an array (N, C, H, W) of uint8
            or of floats in [0, 1], or a MindSpore dataset, as ``data.open_images`` takes them.
        device: the device this runs on, as it is to be remembered in config.json.
        new_data: with ``resume``, go on where the images are not those that the run had, too.
        place: where ``take_place`` has prepared to train (default: it does so now).
        options: the fields of :class:`~ddpm_mindspore.accelerated.config.TrainerConfig`.

    Attributes:
        step: optimiser steps done.

    Raises:
        ValueError: options, data or a results folder that do not fit, before any long work.
    """

    def __init__(
        self,
        diffusion: GaussianDiffusion,
        folder: str | os.PathLike[str] | NDArray[Any] | Any,
        *,
        device: str = "auto",
        new_data: bool = False,
        place: Place | None = None,
        **options: Any,
    ) -> None:
        source, model = as_source(folder), diffusion.model
        config = TrainerConfig(**options)
        if config.tensorboard:
            check_tensorboard()
        place = take_place(config) if place is None else place
        self.world, self.run = place
        self.diffusion, self.step = diffusion, 0
        set_precision(model, config.amp_level, config.amp_dtype)
        if config.recompute:
            recompute(model)
        self.config, self._rows = start_from(config, self.run, model)
        config = self.config
        self._run_config = RunConfig(
            data=called(source, self.run, resume=config.resume),
            image_size=diffusion.image_size,
            device=device,
            network=cast(AnyNetwork, model.config),
            diffusion=diffusion.config,
            sampling=diffusion.sampling,
            trainer=config,
        )
        if config.resume:
            check_same_run(self.run, self._run_config)
            if changed := other_sampling(self.run, self._run_config):
                self._say(changed)
        self.images, self._coder = open_data(place, source, diffusion, config, new_data=new_data)
        diffusion.class_names = check_classes(self.images, model.config, self.run, config)
        diffusion.tokenizer = tokenizer_for(diffusion, self.run, resume=config.resume)
        self._noted = noted(source, self.images, diffusion.class_names)
        self._batches = Batches(self.images, diffusion, config, self.world)
        self._optimizer = Optimizer(model.trainable_params(), config)
        self._nonfinite = NonfiniteSteps(
            self._own_folder,
            scaled=needs_loss_scale(config.amp_level, config.amp_dtype),
            limit=config.max_nonfinite_steps,
            describe=self._batches.describe,
        )
        self._reducer = GradientReducer(self.world)
        every, scaled = config.gradient_accumulate_every, self._nonfinite.scaled
        self._train_step = TrainStep(diffusion.loss, self._optimizer, every, self._reducer, scaled)
        self._samples = Samples(place, self._run_config, diffusion, self._optimizer, self.images)
        self._save = Saver(self.run, config)
        self._saved = self.run.steps()
        self._due = False  # whether a checkpoint and samples are due, and not there yet
        if config.resume:
            self._restore()
        check_same_start(self.world, self._run_config, len(self.images), self.step, self._optimizer)
        self._kept = read_texts(config, diffusion, self._rows, self.step)

    @property
    def ema_diffusion(self) -> GaussianDiffusion:
        """The diffusion with the averaged parameters of now, which samples are drawn with.

        A network of its own: ``diffusion`` always holds the parameters that are being trained.
        """
        return self._samples.diffusion

    def train(self) -> bool:
        """Train until ``train_num_steps``; True when it got there.

        Ctrl-C (or SIGTERM) ends it after the current step with a checkpoint and False; a second one
        at once.

        Raises:
            ValueError: another process trains in the results folder, or has done so meanwhile.
            KeyboardInterrupt: Ctrl-C before the first step, while what is to be kept was drawn.
            OSError: the last checkpoint could not be saved.
            NonfiniteError: too many losses or gradients in a row were NaN or infinite.
        """
        lock = self.run.lock if self.world.leads else nullcontext()
        with lock, first_interrupt_waits(_NOTICE) as interrupted:
            if self.world.leads:
                self._write_down()
            self._ahead(interrupted)
            # Before another thread reads images, and before it is said what cannot be read.
            real = read_spread(self.images.shown, self.config.num_samples)
            if left_out := report(self.images, self._own_folder):
                self._say(left_out)
            if self._misses_samples():
                self._draw(real, interrupted)
            self._due = self._due and self._nonfinite.in_a_row > 0
            if self.step < self.config.train_num_steps:
                self._say(
                    "compiling the training step: about 20 s, and less where it was compiled before"
                )
                with self._samples.page_of_a_failure():
                    self._loop(real, interrupted)
            self._saved = self.run.steps()
            self._save.check()
        self._samples.write_page()
        self.world.wait()  # whoever ends first ends the others, and the first may still be saving
        return self._ends

    def _ahead(self, interrupted: threading.Event | None = None) -> None:
        """What is computed once, and what the model drew before (None: and will not draw now)."""
        place, stop = Place(self.world, self.run), interrupted or threading.Event()
        data = Data(self.diffusion, self.images, self._coder)
        old = read_prior(self.run, self.config) if self.step or interrupted is None else None
        texts = self._kept if old is None else old.texts
        self._samples.coder = encode(place, self.config, data, texts, stop)
        if old is None and self.config.prior is not None:  # the average is what it starts from
            old = make_prior(place, self.config, self.ema_diffusion, texts, stop)
        self._batches.prior = old

    @property
    def _own_folder(self) -> Path | None:
        """The run's folder in the process that writes into it, None in the others."""
        return self.run.path if self.world.leads else None

    def _write_down(self) -> None:
        """Write what the run is, where no one else has gone on with it meanwhile."""
        self.run.check_unchanged(self._saved)
        self.run.rewind(self.step)
        self.run.config.write(self._run_config, self.world.size, self._noted)
        write_names(self.run.images, self.images.names)
        write_tokenizer(self.run, self.diffusion.tokenizer)
        if not self.config.resume:
            write_base(self.run, self.diffusion.model, self._rows)

    @property
    def _ends(self) -> bool:
        return self.step >= self.config.train_num_steps

    def _is_due(self) -> bool:
        """Whether this step is one for a checkpoint and samples."""
        return self._ends or self.step % self.config.save_and_sample_every == 0

    def _misses_samples(self) -> bool:
        """Whether the process that saved this step was killed before its samples were drawn."""
        due = self._due and (self._ends or not self._nonfinite.in_a_row)
        misses = self.step > 0 and due and self._samples.missing(self.step)
        return bool(self.world.gather(np.array([misses], np.int32)).any())

    def _loop(self, real: Items, interrupted: threading.Event) -> None:
        with (
            bar(
                total=self.config.train_num_steps,
                initial=self.step,
                desc="training",
                unit="step",
                disable=not self.world.leads,
            ) as shown,
            closing(self._log(shown)) as log,  # before images are read: it tells which break
            Prefetch(self._batches, self.step + 1) as batches,
        ):
            return_large_blocks()
            with log.spent("compiling"):
                measured = self._update(next(batches), self._train_step.waiter())
            waiter = self._train_step.waiter()
            while True:
                log.add(measured)
                if left_out := self._nonfinite.note(self.step, measured.loss, measured.grad_norm):
                    self._say(left_out)
                stops = self._reducer.stops(interrupted.is_set())
                self._due = self._due or self._is_due()
                # What is due waits while updates are left out, but not longer than the run.
                waits = self._nonfinite.in_a_row > 0
                if stops or self._ends or (self._due and not waits):
                    log.write()
                    with log.spent("saving"):
                        taken = self._snapshot()  # all stop where it may not be saved
                        if self.world.leads:
                            self._save(taken, replaces=not waits)
                    if not stops:
                        with log.spent("drawing"):
                            self._draw(real, interrupted)
                        self._due = False
                        # Interrupted while drawing: this step is saved, and resuming draws it.
                        stops = self.world.size == 1 and interrupted.is_set()
                if stops or self._ends:
                    break
                with log.spent("data"):
                    batch = next(batches)
                with log.spent("steps"):
                    measured = self._update(batch, waiter)

    def redo(self, step: int) -> tuple[list[MicroBatch], NonfiniteSteps]:
        """Do the updates before number ``step``; its micro-batches, and the loss scale's state."""
        self._ahead()
        waiter = self._train_step.waiter()
        while self.step < step - 1:
            done = self._update(self._batches(self.step + 1), waiter)
            self._nonfinite.note(done.step, done.loss, done.grad_norm)
        return self._batches(step), self._nonfinite

    def _log(self, bar: Any) -> TrainLog:
        run, per_step = self.run if self.world.leads else None, self._batches.images_per_step
        return TrainLog(run, bar, self.config, self.images, per_step, self.step)

    def _update(self, batches: list[MicroBatch], waiter: Waiter) -> Measured:
        """Do one update."""
        self.step += 1
        scalars = step_scalars(self.step, self.config, skipped=self._nonfinite.skipped)
        begin = time.perf_counter()
        loss, norm = self._train_step(batches, scalars, self._nonfinite.scale)
        waiter.wait(loss)
        seconds = round(time.perf_counter() - begin, 4)
        loss, norm = float(loss.asnumpy()), float(norm.asnumpy())
        return Measured(self.step, loss, norm, scalars.rate, seconds)

    def _restore(self) -> None:
        """Go on where the newest checkpoint is."""
        found = restore_newest(self.run, self.diffusion.model, self._optimizer, self._say)
        self._nonfinite.restore(found.state)
        self.step = found.step
        self._due = self._is_due() or found.state.get("due", False)

    def _snapshot(self) -> Checkpoint:
        state = self._nonfinite.state() | {"due": self._due}
        taken = snapshot(self.step, self.diffusion.model, self._optimizer, state)
        return self._nonfinite.check(taken)

    def _say(self, text: str) -> None:
        if self.world.leads:
            say(text)

    def _draw(self, real: Items, interrupted: threading.Event) -> None:
        """Draw samples with the averaged parameters; failing to is no reason to stop training."""
        try:
            self._samples.draw(self.step, real, interrupted)
            if none_yet := remark(self.step, self.config):
                self._say(none_yet)
        except Exception as error:
            self._say(f"no samples at step {self.step}: {type(error).__name__}: {error}")
