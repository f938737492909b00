"""Trainer: the loop around the training step, and what it leaves on disk."""

from __future__ import annotations

import math
import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, fields, is_dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from .checkpoint import Checkpoint, load_newest, save
from .config import RunConfig, TrainerConfig
from .data import open_images, read_batch, skipped_text
from .diffusion import GaussianDiffusion
from .optimizer import Optimizer, learning_rate, step_scalars
from .process import to_model_range, to_uint8
from .randomness import Purpose, coins
from .run_folder import RunFolder
from .train_log import Launched, Patience, TrainLog
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
        self._ema_diffusion.model.load_arrays(average | self._fixed())
        return self._ema_diffusion

    def train(self) -> bool:
        """Train until ``train_num_steps``; True when it got there.

        Ctrl-C (or SIGTERM) ends it after the current step with a checkpoint and False; a second one
        at once.
        """
        config = self.config
        if self.images.skipped:
            tqdm.write(skipped_text(self.images.skipped))
        with _first_interrupt_waits() as interrupted:
            if self.step < config.train_num_steps:
                tqdm.write("compiling the training step, about 20 s, once")
                self._loop(interrupted)
        return self.step >= config.train_num_steps

    def _loop(self, interrupted: threading.Event) -> None:
        config = self.config
        measured = self._launch(self._micro_batches(self.step + 1)).wait(Patience())
        with tqdm(
            total=config.train_num_steps,
            initial=self.step,
            desc="training",
            unit="step",
            dynamic_ncols=True,
        ) as bar:
            log = TrainLog(self.run, bar, self._images_per_step)
            patience = Patience()
            batches = self._micro_batches(self.step + 1)
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
                batches = self._micro_batches(self.step + 1)  # while the device is at work
                measured = launched.wait(patience)

    @property
    def _images_per_step(self) -> int:
        return self.config.train_batch_size * self.config.gradient_accumulate_every

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

    def _micro_batches(self, step: int) -> list[MicroBatch]:
        """Data and noise of update number ``step``."""
        config = self.config
        size = config.train_batch_size
        batches = []
        for i in range(config.gradient_accumulate_every):
            positions = range(i * size, (i + 1) * size)
            start = (step - 1) * self._images_per_step + i * size
            x_0 = to_model_range(read_batch(self.images, config.seed, start, size))
            if config.augment_horizontal_flip:
                flip = coins(config.seed, Purpose.FLIP, step, positions)
                x_0[flip] = x_0[flip, ..., ::-1]
            batches.append(self.diffusion.micro_batch(x_0, step, positions, config.seed))
        return batches

    def _fixed(self) -> dict[str, NDArray[np.float32]]:
        """The parameters that are not trained, which the average therefore shares."""
        parameters = self.diffusion.model.get_parameters()
        return {p.name: p.asnumpy() for p in parameters if not p.requires_grad}

    def _save(self) -> None:
        optimizer, fixed = self._optimizer, self._fixed()
        vectors = {name: optimizer.by_name(v) for name, v in optimizer.vectors().items()}
        tensors = {
            "model": vectors["params"] | fixed,
            "ema": vectors["ema"] | fixed,
            "adam_m": vectors["m"],
            "adam_v": vectors["v"],
        }
        save(self.run.path, Checkpoint(self.step, tensors, {}))

    def _restore(self, run_config: RunConfig) -> None:
        """Go on where the newest checkpoint is.

        Raises:
            ValueError: it is that of another network or another diffusion.
        """
        before = self.run.read_config()
        for part in ("image_size", "unet", "diffusion"):
            if difference := _difference(part, getattr(before, part), getattr(run_config, part)):
                raise ValueError(
                    f"{difference} in the run in {str(self.run.path)!r}: resume without changing "
                    "it, or choose another --results-folder"
                )
        loaded = load_newest(self.run.path)
        for reason in loaded.refused:
            tqdm.write(f"passed over a checkpoint: {reason}")
        tensors = loaded.checkpoint.tensors
        self.step = loaded.checkpoint.step
        self.diffusion.model.load_arrays(tensors["model"])
        named = {
            "params": tensors["model"],
            "ema": tensors["ema"],
            "m": tensors["adam_m"],
            "v": tensors["adam_v"],
        }
        self._optimizer.restore(
            {name: self._optimizer.as_vector(arrays) for name, arrays in named.items()}
        )

    def _draw(self, interrupted: threading.Event) -> None:
        """Draw samples with the averaged parameters; failing to is no reason to stop training."""
        from . import pictures

        if interrupted.is_set():
            return
        try:
            drawn = self._sample(interrupted)
            real = self.images.batch(np.arange(min(len(drawn), len(self.images))))
            real = real if real.dtype == np.uint8 else to_uint8(real)
            shown = slice(None) if drawn.shape[1] in (1, 3, 4) else slice(1)
            self.run.samples.mkdir(exist_ok=True)
            pictures.save_png(
                pictures.comparison(to_uint8(drawn)[:, shown], real[:, shown]),
                self.run.samples / f"step-{self.step:08d}.png",
            )
            rows = self.run.read_metrics()
            pictures.loss_curve(
                [row["step"] for row in rows],
                [np.nan if row["loss"] is None else row["loss"] for row in rows],
                self.run.loss_curve,
            )
        except Exception as error:
            tqdm.write(f"no samples at step {self.step}: {type(error).__name__}: {error}")

    def _sample(self, interrupted: threading.Event) -> NDArray[np.float32]:
        diffusion, count = self.ema_diffusion, self.config.num_samples
        size = min(count, self.config.train_batch_size)
        total = math.ceil(count / size) * len(diffusion.plan())
        with tqdm(total=total, desc="drawing", unit="step", leave=False, dynamic_ncols=True) as bar:

            def on_step() -> None:
                bar.update()
                if interrupted.is_set():
                    raise InterruptedError("interrupted")

            return diffusion.sample(size, num_samples=count, on_step=on_step)


def _difference(name: str, old: Any, new: Any) -> str | None:
    """Say where two configurations first differ."""
    if is_dataclass(old):
        values = ((f.name, getattr(old, f.name), getattr(new, f.name)) for f in fields(old))
        return next(filter(None, (_difference(*value) for value in values)), None)
    return None if old == new else f"{name} is {old}, not {new},"


@contextmanager
def _first_interrupt_waits() -> Iterator[threading.Event]:
    """Turn the first Ctrl-C or SIGTERM into an event; the second one acts as usual.

    MindSpore's threads replace Python's answer to Ctrl-C by one of their own, which sends SIGTERM
    to the process. So SIGTERM has to be caught for Ctrl-C's sake; job schedulers send it too.
    """
    event = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield event  # signals reach the main thread only
        return
    previous = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def restore() -> None:
        for number, handler in previous.items():
            signal.signal(number, handler)

    def note(*_: Any) -> None:
        event.set()
        restore()

    for number in previous:
        signal.signal(number, note)
    try:
        yield event
    finally:
        restore()
