"""The pictures of a run: samples beside real images, and the loss curve."""

from __future__ import annotations

import math
import threading

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from . import pictures
from .data import Images
from .diffusion import GaussianDiffusion
from .process import to_uint8
from .run_folder import RunFolder


def draw_samples(
    run: RunFolder,
    step: int,
    diffusion: GaussianDiffusion,
    images: Images,
    *,
    count: int,
    batch_size: int,
    interrupted: threading.Event,
) -> None:
    """Write ``samples/step-<8 digits>.png`` (samples beside real images) and ``loss.png``.

    Raises:
        InterruptedError: the event was set meanwhile.
    """
    drawn = _sample(diffusion, count, min(count, batch_size), interrupted)
    real = images.batch(np.arange(min(len(drawn), len(images))))
    real = real if real.dtype == np.uint8 else to_uint8(real)
    shown = slice(None) if drawn.shape[1] in (1, 3, 4) else slice(1)
    run.samples.mkdir(exist_ok=True)
    picture = pictures.comparison(to_uint8(drawn)[:, shown], real[:, shown])
    pictures.save_png(picture, run.samples / f"step-{step:08d}.png")
    rows = run.read_metrics()
    losses = [np.nan if row["loss"] is None else row["loss"] for row in rows]
    pictures.loss_curve([row["step"] for row in rows], losses, run.loss_curve)


def _sample(
    diffusion: GaussianDiffusion, count: int, size: int, interrupted: threading.Event
) -> NDArray[np.float32]:
    total = math.ceil(count / size) * len(diffusion.plan())
    with tqdm(total=total, desc="drawing", unit="step", leave=False, dynamic_ncols=True) as bar:

        def on_step() -> None:
            bar.update()
            if interrupted.is_set():
                raise InterruptedError("interrupted")

        return diffusion.sample(size, num_samples=count, on_step=on_step)
