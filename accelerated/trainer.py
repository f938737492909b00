"""Trainer: the loop around the training step, and what it leaves on disk."""

from __future__ import annotations

import os
import threading
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

from numpy.typing import NDArray
from tqdm import tqdm

from .checkpoint import load_newest, save
from .config import RunConfig, TrainerConfig
from .data import open_images, skipped_text
from .diffusion import GaussianDiffusion
from .optimizer import Optimizer, learning_rate, step_scalars
from .run_folder import RunFolder
from .signals import first_interrupt_waits
from .train_batches import Batches
from .train_log import Launched, Patience, TrainLog
from .train_state import check_same_run, fixed_arrays, restore, snapshot
from .train_step import MicroBatch, TrainStep
from .unet import Unet


class Trainer:
    """Train a diffusion on images, keeping checkpoints, samples and metrics.

    Args:
        diffusion: what is trained.
        folder: a folder of images, ``"digits"``, an array (N, C, H, W) of uint8 or of floats in
            [0, 1], or a MindSpore dataset, as ``data.open_images`` takes them.
        device: the device this runs on, as it is to be remembered in config.json.
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
        **options: Any,
    ) -> None:
        self.diffusion = diffusion
        self.config = config = TrainerConfig(**options)
        self.step = 0
        self.run = RunFolder(Path(config.results_folder))
        self.run.prepare(resume=config.resume)
        self.images = open_images(
            folder,
            diffusion.image_size,
            diffusion.model.config.channels,
            strict=config.strict,
            progress=True,
        )
        self._batches = Batches(self.images, diffusion, config)
        self._optimizer = Optimizer(
            diffusion.model.trainable_params(),
            adam_betas=config.adam_betas,
            max_grad_norm=config.max_grad_norm,
        )
        self._train_step = TrainStep(
            diffusion.loss, self._optimizer, config.gradient_accumulate_every
        )
        self._ema_diffusion = GaussianDiffusion(
            Unet(**diffusion.model.config.to_dict()),
            image_size=diffusion.image_size,
            seed=config.seed,
            **asdict(diffusion.config),
        )
        run_config = RunConfig(
            data=str(folder) if isinstance(folder, (str, os.PathLike)) else type(folder).__name__,
            image_size=diffusion.image_size,
            device=device,
            unet=diffusion.model.config,
            diffusion=diffusion.config,
            trainer=config,
        )
        if config.resume:
            self._restore(run_config)
        self.run.rewind_metrics(self.step)
        self.run.write_config(run_config)

    @property
    def ema_diffusion(self) -> GaussianDiffusion:
        """The diffusion with the averaged parameters of now, which samples are drawn with.

        A network of its own: ``diffusion`` always holds the parameters that are being trained.
        """
        average = self._optimizer.by_name(self._optimizer.ema.asnumpy())
        self._ema_diffusion.model.load_arrays(average | fixed_arrays(self.diffusion.model))
        return self._ema_diffusion

    def train(self) -> bool:
        """Train until ``train_num_steps``; True when it got there.

        Ctrl-C (or SIGTERM) ends it after the current step with a checkpoint and False; a second one
        at once.
        """
        config = self.config
        if self.images.skipped:
            tqdm.write(skipped_text(self.images.skipped))
        with first_interrupt_waits() as interrupted:
            if self.step < config.train_num_steps:
                tqdm.write("compiling the training step, about 20 s, once")
                self._loop(interrupted)
        return self.step >= config.train_num_steps

    def _loop(self, interrupted: threading.Event) -> None:
        config = self.config
        measured = self._launch(self._batches(self.step + 1)).wait(Patience())
        with tqdm(
            total=config.train_num_steps,
            initial=self.step,
            desc="training",
            unit="step",
            dynamic_ncols=True,
        ) as bar:
            log = TrainLog(self.run, bar, self._batches.images_per_step)
            patience = Patience()
            batches = self._batches(self.step + 1)
            while True:
                log.add(measured)
                ends = interrupted.is_set() or self.step >= config.train_num_steps
                if ends or self.step % config.save_and_sample_every == 0:
                    log.write()
                    self._save()
                    self._draw(interrupted)
                if ends:
                    break
                launched = self._launch(batches)
                batches = self._batches(self.step + 1)  # while the device is at work
                measured = launched.wait(patience)

    def _launch(self, batches: list[MicroBatch]) -> Launched:
        """Start one update, without waiting for it."""
        config = self.config
        self.step += 1
        scalars = step_scalars(
            self.step,
            lr=config.train_lr,
            warmup_steps=config.warmup_steps,
            adam_betas=config.adam_betas,
            adam_eps=config.adam_eps,
            ema_decay=config.ema_decay,
            ema_update_every=config.ema_update_every,
            ema_update_after_step=config.ema_update_after_step,
        )
        begin = time.perf_counter()
        loss, norm = self._train_step(batches, scalars)
        lr = learning_rate(self.step, config.train_lr, config.warmup_steps)
        return Launched(self.step, lr, loss, norm, begin)

    def _restore(self, run_config: RunConfig) -> None:
        """Go on where the newest checkpoint is.

        Raises:
            ValueError: it is that of another network or another diffusion.
        """
        check_same_run(self.run.read_config(), run_config, str(self.run.path))
        loaded = load_newest(self.run.path)
        for reason in loaded.refused:
            tqdm.write(f"passed over a checkpoint: {reason}")
        restore(loaded.checkpoint, self.diffusion.model, self._optimizer)
        self.step = loaded.checkpoint.step

    def _save(self) -> None:
        save(self.run.path, snapshot(self.step, self.diffusion.model, self._optimizer))

    def _draw(self, interrupted: threading.Event) -> None:
        """Draw samples with the averaged parameters; failing to is no reason to stop training."""
        if interrupted.is_set():
            return
        try:
            from .train_samples import draw_samples  # matplotlib takes a while to be imported

            draw_samples(
                self.run,
                self.step,
                self.ema_diffusion,
                self.images,
                count=self.config.num_samples,
                batch_size=self.config.train_batch_size,
                interrupted=interrupted,
            )
        except Exception as error:
            tqdm.write(f"no samples at step {self.step}: {type(error).__name__}: {error}")
