"""The pictures of a run: samples beside real images, and the loss curve."""

from __future__ import annotations

import math
import threading
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..config import RunConfig
from ..diffusion import GaussianDiffusion
from ..process import to_uint8
from ..reports import pictures
from ..runs.folder import RunFolder
from ..runs.provenance import facts
from ..system.distributed import World
from ..system.say import bar

_METRICS = 2**19  # bytes read for the loss curve, however long the run: about 5,000 steps of it


def draw_samples(
    run: RunFolder,
    step: int,
    diffusion: GaussianDiffusion,
    real: NDArray[Any],
    *,
    count: int,
    batch_size: int,
    interrupted: threading.Event,
    world: World,
    config: RunConfig,
) -> None:
    """Write ``samples/step-<8 digits>.png`` (samples beside real images) and ``loss.png``.

    ``real``: (N, C, H, W) uint8 or in [0, 1], N at least ``count`` or all there are.
    ``config``: the run's, of which the picture's file tells (``provenance.py``).

    Every process draws a share, and the first one writes.

    Raises:
        InterruptedError: the event was set meanwhile.
        RuntimeError: another process did not draw its share.
    """
    drawn = _draw_together(diffusion, count, batch_size, interrupted, world)
    if not run.writes:
        return
    real = real if real.dtype == np.uint8 else to_uint8(real)
    shown = slice(None) if drawn.shape[1] in (1, 3, 4) else slice(1)
    run.samples.mkdir(exist_ok=True)
    captions = f"drawn at step {step:,} (average of the weights)", "real images"
    picture = pictures.comparison(to_uint8(drawn)[:, shown], real[:, shown], captions=captions)
    text = facts(config, step, "average", diffusion.sampling, diffusion.seed)
    text["Images"] = f"0-{count - 1}"
    pictures.save_png(picture, run.samples / f"step-{step:08d}.png", text)
    rows = run.read_metrics(_METRICS)
    losses = [np.nan if row["loss"] is None else row["loss"] for row in rows]
    pictures.loss_curve([row["step"] for row in rows], losses, run.loss_curve)


def _draw_together(
    diffusion: GaussianDiffusion,
    count: int,
    batch_size: int,
    interrupted: threading.Event,
    world: World,
) -> NDArray[np.float32]:
    """Images 0 .. count - 1, in every process; process r draws the r-th part of them."""
    each = math.ceil(count / world.size)
    own, failure = np.zeros((each, *diffusion.shape), np.float32), None
    try:
        own = _sample(diffusion, world.rank * each, each, min(each, batch_size), interrupted, world)
    except Exception as error:
        failure = error
    # Whatever happened here, the others are waiting to hear.
    fine = world.gather(np.array([failure is None], np.int32))
    if failure is not None:
        raise failure
    if not fine.all():
        raise RuntimeError(f"process {np.argmin(fine)} did not draw its share")
    return world.gather(own).reshape(-1, *diffusion.shape)[:count]


def _sample(
    diffusion: GaussianDiffusion,
    first: int,
    count: int,
    size: int,
    interrupted: threading.Event,
    world: World,
) -> NDArray[np.float32]:
    if interrupted.is_set():
        raise InterruptedError("interrupted")
    total = math.ceil(count / size) * len(diffusion.plan())
    with bar(
        total=total, desc="drawing", unit="step", leave=False, disable=not world.leads
    ) as shown:

        def on_step() -> None:
            shown.update()
            if interrupted.is_set():
                raise InterruptedError("interrupted")

        return diffusion.sample(size, num_samples=count, first=first, on_step=on_step)
