"""What a run's network is asked for its page: the way of a few images, the loss at each time."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..data import Images, Items, read_spread
from ..data.told import check_condition
from ..process import to_model_range, to_uint8
from ..runs.folder import RunFolder
from ..runs.images import open_run_images, place_of_images
from ..runs.opened import OpenedRun, open_run
from ..system.compile_cache import compiled
from ..system.say import bar
from ..trainer.batches import said_of
from .figures import Profile
from .outlines import pictures_of
from .page import Walked
from .shown import Film

IN_FILM = 4  # images
STEPS = 20  # of the film
TIMES = 20  # of the profile
_PIXELS = 2**16  # of the images that the loss is of


def walk(folder: RunFolder) -> Walked:
    """Ask the network with the weights that samples are drawn with.

    What cannot be asked (images that are gone, a network that is told what nobody knows) is left
    out, with a remark.

    Raises:
        ValueError: no run, or no checkpoint that can be read.
    """
    if folder.draws_latents():
        return Walked(remarks=("the network draws latents, whose way is not shown",))
    run = open_run(folder.path)
    remarks: list[str] = []
    items = None
    try:
        items = read_spread(_images(folder, run), _count(run))
    except (ValueError, OSError) as error:
        remarks.append(str(error))
    film = profile = None
    try:
        film = _film(run, items)
    except ValueError as error:
        remarks.append(str(error))
    if items is not None:
        profile = _profile(run, items)
    return Walked(film, profile, tuple(remarks))


def _images(folder: RunFolder, run: OpenedRun) -> Images:
    """The run's own, or what is in their place now."""
    images, _ = open_run_images(
        folder,
        place_of_images(folder),
        run.diffusion.shape,
        replace(run.config.trainer, resume=True, strict=False),
        captioned=run.diffusion.model.captioned,
        new_data=True,
        progress=True,
        bounded=run.diffusion.config.auto_normalize,
    )
    return images


def _count(run: OpenedRun) -> int:
    """How many images the loss is of: the fewer the larger they are."""
    pixels = math.prod(run.diffusion.image_size)
    return max(16, min(64, _PIXELS // pixels), run.config.trainer.num_samples)


def _told(run: OpenedRun, items: Items | None, count: int) -> NDArray[Any] | None:
    """What the network is told of images 0, 1, ...: what the real ones are, or each class in turn.

    Raises:
        ValueError: nobody knows.
    """
    model = run.diffusion.model
    if not model.conditional:
        return None
    if run.config.trainer.super_resolve is not None or model.config.cond_channels:
        raise ValueError("the network enlarges small pictures, and is given none here")
    said: Any = None
    if items is not None:
        said = said_of(model, items)
    elif model.config.num_classes:
        said = np.arange(model.config.num_classes, dtype=np.int32)
    if said is None:
        raise ValueError("nobody says what the network is to draw: its images are not here")
    told = check_condition(model, said, len(said), tokenizer=run.diffusion.tokenizer)
    return None if told is None else told[np.arange(count) % len(told)]


def _film(run: OpenedRun, items: Items | None) -> Film | None:
    """A walk without noise of its own or memory: what it led to says what it took x for."""
    diffusion, trainer = run.diffusion, run.config.trainer
    are_images = len(diffusion.image_size) == 2
    if are_images and not diffusion.config.auto_normalize:
        return None
    T = diffusion.schedule.T
    walk: dict[str, Any] = {"sampler": "ddim", "spacing": "quadratic", "eta": 0.0}
    walk["sampling_timesteps"] = min(STEPS, T)
    plan = diffusion.plan(**walk)
    # As many as training draws at a time: another number would be compiled anew.
    size = min(trainer.num_samples, trainer.train_batch_size)
    with bar(total=len(plan), desc="drawing", unit="evaluation", leave=False) as shown:
        states = diffusion.sample(
            size,
            return_all_timesteps=True,
            seed=trainer.seed,
            condition=_told(run, items, size),
            on_step=shown.update,
            **walk,
        ).swapaxes(0, 1)
    # x <- a x + b x0_hat, on the scale of what is drawn: of images 0.5 is what 0 is to the network.
    a, b, _ = (c.reshape(-1, *(1,) * (states.ndim - 1)) for c in plan.coefficients.T)
    middle = 0.5 if diffusion.config.auto_normalize else 0.0
    estimates = (states[1:] - a * states[:-1] - middle * (1.0 - a - b)) / b
    taken_for = np.append(estimates, states[-1:], axis=0)
    # One scale for all: of images from black to white, else where the states begin and end.
    low, high = (0.0, 1.0) if are_images else np.quantile(states[[0, -1]], (0.005, 0.995)).tolist()
    pixels, of_estimates = (_pictures(x, low, high) for x in (states, taken_for))
    return Film(pixels, of_estimates, tuple(np.append(plan.timesteps, 0.0).tolist()))


def _pictures(x: NDArray[np.float32], low: float, high: float) -> NDArray[np.uint8]:
    """Of some of the items at each moment; vectors are in one picture all together."""
    few = x if x.ndim == 3 else x[:, :IN_FILM]
    if x.ndim == 5:
        return to_uint8(np.clip(few, low, high))
    return np.stack([pictures_of(moment, low, high) for moment in few])


def _profile(run: OpenedRun, items: Items) -> Profile | None:
    """The loss of the same images and noise at each of a few times."""
    diffusion, model = run.diffusion, run.diffusion.model
    if run.config.trainer.super_resolve is not None:
        return None
    x_0 = to_model_range(items.x, diffusion.config.auto_normalize)
    batch = diffusion.micro_batch(
        x_0, 0, range(len(x_0)), run.config.trainer.seed, said_of(model, items)
    )
    T = diffusion.schedule.T
    times = np.unique(np.linspace(1, T, min(TIMES, T)).round().astype(np.int32))
    loss, losses = compiled(diffusion.loss), []
    for t in bar(times, desc="loss at each time", leave=False):
        at = np.full(len(x_0), t, np.int32)
        now = batch._replace(t=at, levels=diffusion.levels(at), dropout_masks=None)
        losses.append(float(loss(*now.tensors()).asnumpy()))
    return Profile(tuple(times.tolist()), tuple(losses), len(x_0), run.step)
