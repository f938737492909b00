"""Where a run of ``Trainer`` first differs: in its formulas, in what it sees, or in the trainer."""

from __future__ import annotations

from functools import partial

import numpy as np

from ...accelerated.data import open_images
from ...accelerated.trainer.batches import Batches
from ...reference.training import value_and_grad
from ..examples.images import Given as Images
from ..sides import door_device
from ..sides.door import Door, loss
from ..sides.door_batches import micro_batches
from . import update_formulas
from .explain import Finding, source
from .tolerance import Arrays
from .training_divergence import Given, of_loss


def of_run(door: Door, images: Images, values: Arrays, message: str) -> Finding | None:
    """The formulas of the update and the loss, with the reference's values; then what differs."""
    d, config = door.diffusion, door.training
    schedule = (d.beta_schedule, d.timesteps, d.zero_terminal_snr)
    (batch, *_) = micro_batches(door, images, 1)
    batch = batch._replace(noise=batch.noise.astype(np.float64))
    params = {name: value.astype(np.float64) for name, value in values.items()}
    grads = value_and_grad(partial(loss, door, batch=batch), params)[1]
    moved = {n: np.asarray(g, np.float32) for n, g in grads.items() if np.any(g)}
    starts = {name: values[name] for name in moved}
    finding = update_formulas.first_wrong(
        config,
        starts,
        moved,
        min(3, config.train_num_steps),
        door.trainer.gradient_accumulate_every,
        door.trainer.ema_sigma_rels,
    )
    if finding is None:
        given = Given(batch.x_0, batch.t, batch.noise, 0.5 * batch.noise)
        finding = of_loss(given, schedule, config)
    name = message.splitlines()[0]
    if finding is None and name.startswith(("loss", "left out", "norm")) and _sees(door, images):
        name = "model of it"
    return finding or _by_what_differs(name)


def _sees(door: Door, images: Images) -> bool:
    """Whether the updates see what they should; of images in memory, as folders have gone."""
    if not isinstance(images.source, np.ndarray):
        return False
    opened = open_images(images.source, door.size, door.net.channels)
    batches = Batches(opened, door_device.diffusion(door), door.trainer)
    for step in range(1, door.trainer.train_num_steps + 1):
        for one, other in zip(batches(step), micro_batches(door, images, step), strict=True):
            same = np.allclose(one.x_0, other.x_0, 0.0, 1e-5) and np.array_equal(one.t, other.t)
            if not same or not np.array_equal(one.noise, other.noise):
                return False
    return True


PLACES = (
    ("resumed: ", "what a checkpoint gives back", "trainer/state.py", "^def restore"),
    (
        "learning rates",
        "what the trainer tells the update",
        "trainer/loop.py",
        r"scalars = step_scalars",
    ),
    ("steps of the checkpoints", "which checkpoints are kept", "trainer/state.py", "^class Saver"),
    ("samples", "what the average draws", "diffusion.py", r"def sample\("),
    ("the picture", "what samples are drawn with", "trainer/samples.py", r"def draw\("),
    ("loss, step", "what an update sees", "trainer/batches.py", r"def _micro_batch\("),
    ("left out", "what an update sees", "trainer/batches.py", r"def _micro_batch\("),
    ("model of", "what the trainer tells the update", "trainer/loop.py", r"scalars = step_scalars"),
    ("ema", "what the trainer tells the update", "trainer/loop.py", r"scalars = step_scalars"),
)
"""How the name of what differs begins, what that depends on, and where it is."""


def _by_what_differs(name: str) -> Finding | None:
    for beginning, what, file, pattern in PLACES:
        if name.startswith(beginning):
            text = f"every formula is right by itself: {what} ({name.partition(' of ')[0]} differs)"
            return Finding(text, source(file, pattern))
    return Finding("every formula is right by itself", source("trainer/loop.py", "^class Trainer"))
