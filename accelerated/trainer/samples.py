"""The pictures of a run: samples beside real images, and the loss curve."""

from __future__ import annotations

import io
import math
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...reference.tasks import super_resolution
from ..config import RunConfig
from ..data import Images, Items
from ..data.told import check_condition
from ..diffusion import GaussianDiffusion
from ..networks.text_unet import TextUnet
from ..optimizer import Optimizer
from ..process import to_model_range, to_uint8, to_unit_range
from ..reports import pictures
from ..reports.page import write_page
from ..runs.forms import Sequences, Vectors
from ..runs.names import REPORT, sample_picture
from ..runs.provenance import facts
from ..system.files import replace_file
from ..system.memory import give_back
from ..system.say import bar, say
from ..weights.autoencoder import Coder
from .batches import said_of
from .evaluations import Evaluations
from .nonfinite import NonfiniteError
from .place import Place
from .state import fixed_arrays

_METRICS = 2**19  # bytes read for the loss curve, however long the run: about 5,000 steps of it


class Samples:
    """What the averaged parameters draw as training goes on, beside real images.

    Args:
        place: where the run is trained. Every process draws a share, and the first one writes.
        config: the run's, of which the pictures' files tell (``provenance.py``).
        diffusion: the one that is trained.
        optimizer: which has the average.
        images: what is trained on, in whose units items are shown that are no images.

    Attributes:
        coder: decodes what is drawn, where that are latents.
    """

    coder: Coder | None = None

    def __init__(
        self,
        place: Place,
        config: RunConfig,
        diffusion: GaussianDiffusion,
        optimizer: Optimizer,
        images: Images | None = None,
    ) -> None:
        self._world, self._run = place
        self._config, self._trained, self._optimizer = config, diffusion, optimizer
        self._averaged: GaussianDiffusion | None = None
        self._scaling = None if images is None else images.scaling
        self._small = config.trainer.super_resolve
        self._evaluations: Evaluations | None = None
        if images is not None:
            self._evaluations = Evaluations(self._run, config.trainer, images.shown)

    @property
    def diffusion(self) -> GaussianDiffusion:
        """The diffusion with the averaged parameters of now, in a network of its own."""
        trained = self._trained
        average = self._optimizer.by_name(self._optimizer.ema.asnumpy())
        if self._averaged is None:
            self._averaged = GaussianDiffusion(
                trained.model.beside(),
                image_size=trained.image_size,
                seed=self._config.trainer.seed,
                **asdict(trained.config),
                **asdict(trained.sampling),
            )
            if trained.states is not None and isinstance(self._averaged.model, TextUnet):
                self._averaged.model.without_text_encoder()
            self._averaged.model.load_arrays(average | fixed_arrays(trained.model))
        else:  # what is not trained is there
            self._averaged.model.set_arrays(average)
        self._averaged.tokenizer, self._averaged.states = trained.tokenizer, trained.states
        return self._averaged

    def missing(self, step: int) -> bool:
        """Whether the samples of a step are this process's to write, and not there."""
        return self._world.leads and not self._file(step).exists()

    def draw(self, step: int, real: Items, interrupted: threading.Event) -> None:
        """Write ``samples/step-<8 digits>.png`` (samples beside real images) and ``loss.png``.

        Where an evaluation is due, more are drawn for it.

        What is no image is written as an array too, ``.npy``, in the units of the data. A network
        that is told what each item is draws what the real ones are; captions are in ``.txt``, and
        small pictures shown beside what was drawn of them.

        ``real``: at least ``num_samples`` of them, or all there are.

        Raises:
            InterruptedError: the event was set meanwhile.
            RuntimeError: another process did not draw its share.
        """
        diffusion = self.diffusion
        said = said_of(diffusion.model, real)
        if self._small is not None:
            normalize = diffusion.config.auto_normalize
            x = to_unit_range(to_model_range(real.x, normalize), normalize=normalize)
            said = super_resolution.shown(x, self._small)
        told = check_condition(diffusion.model, said, len(real.x), tokenizer=diffusion.tokenizer)
        trainer = self._config.trainer
        due = self._evaluations is not None and self._evaluations.due(step)
        count = max(trainer.num_samples, trainer.evaluate_samples * due)
        whole = self._draw_together(diffusion, count, told, interrupted)
        if not self._world.leads:
            return
        if self.coder is not None:
            whole = self.coder.decoder()(whole)
            give_back()
        drawn = whole[: trainer.num_samples]
        self._run.samples.mkdir(exist_ok=True)
        if drawn.ndim == 4:
            self._write_picture(step, drawn, real.x, told)
            self._write_captions(step, real.captions if diffusion.model.captioned else None)
        else:
            self._write_array(step, drawn, real.x)
        rows = self._run.metrics.read(_METRICS)
        losses = [np.nan if row["loss"] is None else row["loss"] for row in rows]
        pictures.loss_curve([row["step"] for row in rows], losses, self._run.loss_curve)
        if self._evaluations is not None and due:
            captions = real.captions if diffusion.model.captioned else None
            self._evaluations.add(step, whole, captions)

    def write_page(self) -> None:
        """Leave the run's page; failing to is no reason to fail."""
        if self._world.leads:
            try:
                write_page(self._run, self._run.path / REPORT)
            except Exception as error:
                say(f"no page of the run: {error}")

    @contextmanager
    def page_of_a_failure(self) -> Iterator[None]:
        """Leave the page too where updates without a number end what is within: it shows why."""
        try:
            yield
        except NonfiniteError:
            self.write_page()
            raise

    def _file(self, step: int) -> Path:
        """Where the samples of a step are written to."""
        ending = ".png" if len(self._trained.shape) == 3 else ".npy"
        return sample_picture(self._run.path, step).with_suffix(ending)

    def _write_array(self, step: int, drawn: NDArray[np.float32], real: NDArray[Any]) -> None:
        """The array, and a plot of it beside real items."""
        form = Sequences(self._scaling) if drawn.ndim == 3 else Vectors(self._scaling)
        data = io.BytesIO()
        values, shown = form.units(drawn), form.units(real)
        np.save(data, values)
        plot = form.plot(values, shown)
        replace_file(self._file(step).with_suffix(".png"), plot, flush=False)
        replace_file(self._file(step), data.getvalue(), flush=False)

    def _write_captions(self, step: int, captions: Sequence[str] | None) -> None:
        """What was asked for, a line for each picture, beside them."""
        if captions is not None:
            text = "".join(f"{caption}\n" for caption in captions)
            replace_file(self._file(step).with_suffix(".txt"), text.encode(), flush=False)

    def _write_picture(
        self, step: int, drawn: NDArray[np.float32], real: NDArray[Any], told: NDArray[Any] | None
    ) -> None:
        real = real if real.dtype == np.uint8 else to_uint8(real)
        groups = {f"drawn at step {step:,} (average of the weights)": to_uint8(drawn)}
        if told is not None and self._small is not None:
            groups = {f"{self._small} times smaller": to_uint8(told), **groups}
        groups["real images"] = real
        shown = slice(None) if drawn.shape[1] in (1, 3, 4) else slice(1)
        parts = (images[:, shown] for images in groups.values())
        picture = pictures.comparison(*parts, captions=tuple(groups))
        diffusion = self._trained
        text = facts(self._config, step, "average", diffusion.sampling, self._config.trainer.seed)
        text["Images"] = f"0-{len(drawn) - 1}"
        pictures.save_png(picture, self._file(step), text)

    def _draw_together(
        self,
        diffusion: GaussianDiffusion,
        count: int,
        told: NDArray[Any] | None,
        interrupted: threading.Event,
    ) -> NDArray[np.float32]:
        """All images, in every process; process r draws the r-th part of them."""
        world = self._world
        each = math.ceil(count / world.size)
        own, failure = np.zeros((each, *diffusion.shape), np.float32), None
        try:
            own = self._draw_part(diffusion, each, told, interrupted)
        except Exception as error:
            failure = error
        # Whatever happened here, the others are waiting to hear.
        fine = world.gather(np.array([failure is None], np.int32))
        if failure is not None:
            raise failure
        if not fine.all():
            raise RuntimeError(f"process {np.argmin(fine)} did not draw its share")
        return world.gather(own).reshape(-1, *diffusion.shape)[:count]

    def _draw_part(
        self,
        diffusion: GaussianDiffusion,
        count: int,
        told: NDArray[Any] | None,
        interrupted: threading.Event,
    ) -> NDArray[np.float32]:
        size = min(count, self._config.trainer.train_batch_size)
        total = math.ceil(count / size) * len(diffusion.plan())
        hidden = not self._world.leads
        options: dict[str, Any] = {"leave": False, "disable": hidden}
        with bar(total=total, desc="drawing", unit="evaluation", **options) as shown:

            def on_step() -> None:
                shown.update()
                if interrupted.is_set():
                    raise InterruptedError("interrupted")

            if interrupted.is_set():
                raise InterruptedError("interrupted")
            first = self._world.rank * count
            own = None if told is None else told[np.arange(first, first + count) % len(told)]
            return diffusion.sample(
                size, num_samples=count, first=first, condition=own, on_step=on_step
            )
