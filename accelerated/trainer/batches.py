"""What every update sees, as a function of its number alone."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from ...reference.levels import WEIGHT
from ...reference.tasks.super_resolution import shown
from ..batch import MicroBatch
from ..config import TrainerConfig
from ..data import Images, Items, read_items
from ..data.latents import LatentImages
from ..data.records import RecordImages
from ..diffusion import GaussianDiffusion
from ..latents import draw
from ..networks.network import Network
from ..process import to_model_range
from ..randomness import Purpose, batch_indices, coins, normal
from ..runs.images import open_run_images
from ..system.distributed import ALONE, World
from ..system.say import say
from ..weights.autoencoder import Coder
from .encoded import coder_of
from .place import Place
from .prior import Prior, own


class Batches:
    """Data and noise of update 1, 2, ...: called with its number, its micro-batches.

    A run resumes exactly because nothing here has a state. The processes of a ``world`` take a
    share of each micro-batch; all of them together see what one would, with their batches in one.

    Attributes:
        prior: what the model has drawn before, where it is to keep that.
    """

    def __init__(
        self,
        images: Images,
        diffusion: GaussianDiffusion,
        config: TrainerConfig,
        world: World = ALONE,
    ) -> None:
        model = diffusion.model
        if model.captioned and not images.captioned:
            raise ValueError(
                "data has no captions, and the network is told texts: give scenes, pictures, or a "
                "folder of pictures with lists of captions"
            )
        factor = config.super_resolve
        if factor is not None and not model.config.cond_channels:
            raise ValueError(
                f"super_resolve {factor} needs a network that is shown the small image: "
                f"Unet(cond_channels={model.config.channels})"
            )
        other = model.captioned or factor is not None
        if model.conditional and not other and images.labels is None:
            raise ValueError(
                "data has no classes, and the network is told what each item is: give a folder "
                "with a sub-folder for each class"
            )
        self.images, self._diffusion, self._config = images, diffusion, config
        self._world = world
        self.prior: Prior | None = None

    @property
    def images_per_step(self) -> int:
        """Images that one update sees, in all processes."""
        return self._whole * self._config.gradient_accumulate_every

    @property
    def _whole(self) -> int:
        """Images of one micro-batch, in all processes."""
        return self._config.train_batch_size * self._world.size

    def describe(self, step: int) -> dict[str, Any]:
        """What update number ``step`` is made of: the run's seed, and its images' indices.

        None stands for a picture that the model has drawn itself.
        """
        seed, count = self._config.seed, self.images_per_step
        start = (step - 1) * count
        indices: list[int | None] = list(range(start, start + count))
        if not self.images.sequential:
            indices = batch_indices(seed, self.images.places, start, count).tolist()
        if self._config.prior is not None:
            places = zip(indices, own(range(count)), strict=True)
            indices = [None if is_own else index for index, is_own in places]
        return {"seed": seed, "indices": indices}

    def __call__(self, step: int) -> list[MicroBatch]:
        """The micro-batches of update number ``step``."""
        return [self._micro_batch(step, i) for i in range(self._config.gradient_accumulate_every)]

    def _micro_batch(self, step: int, i: int) -> MicroBatch:
        seed, whole = self._config.seed, self._whole
        share = self._world.share(self._config.train_batch_size)
        positions = range(i * whole + share.start, i * whole + share.stop)
        start = (step - 1) * self.images_per_step
        items = self._read(start, positions)
        flip = np.zeros(len(positions), bool)
        if self._config.augment_horizontal_flip:
            flip = coins(seed, Purpose.FLIP, step, positions)
        if isinstance(self.images, LatentImages):
            noise = normal(seed, Purpose.LATENT, step, positions, self.images.shape)
            # Of each the moments of the picture, and those of the mirrored one where that is shown.
            moments = items.x[np.arange(len(flip)), flip.astype(int)]
            x_0 = draw(moments, noise, self.images.scale)
        else:
            x_0 = to_model_range(items.x, self._diffusion.config.auto_normalize)
        if self.prior is not None:
            x_0, items = self.prior.among(x_0, items, seed, start, positions)
        if not isinstance(self.images, LatentImages):
            x_0[flip] = x_0[flip, ..., ::-1]
        told = said_of(self._diffusion.model, items)
        if self._config.super_resolve is not None:
            told = shown(x_0, self._config.super_resolve)
        batch = self._diffusion.micro_batch(x_0, step, positions, seed, told)
        if self.prior is not None:
            levels = batch.levels.copy()
            levels[:, WEIGHT] *= self.prior.weights(positions)
            batch = batch._replace(levels=levels)
        return batch

    def _read(self, start: int, positions: range) -> Items:
        """The images at these positions of an update, whose first image is number ``start``."""
        seed, whole = self._config.seed, self._whole
        if not self.images.sequential or self._world.size == 1:
            return read_items(self.images, seed, start + positions.start, len(positions))
        # What cannot be read but in order is read whole, the shares of the others too.
        first = positions.start // whole * whole
        read = read_items(self.images, seed, start + first, whole)
        return read.part(slice(positions.start - first, positions.stop - first))


def open_data(
    place: Place,
    source: Any,
    diffusion: GaussianDiffusion,
    config: TrainerConfig,
    *,
    new_data: bool,
) -> tuple[Images, Coder | None]:
    """Open the images of a run, as ``runs.images.open_run_images``; say where they are others.

    With them the autoencoder whose latents of them are trained on, if there is one.

    Raises:
        ValueError: images that cannot be opened, or others than the run had; or no autoencoder.
    """
    coder = coder_of(place.run, config, diffusion)
    shape, bounded = diffusion.shape, diffusion.config.auto_normalize
    if coder is not None:  # each picture is read once
        shape, bounded = coder.config.picture_shape(diffusion.image_size), True
        config = replace(config, data_cache=None, data_memory_gb=0.0)
    images, differ = open_run_images(
        place.run,
        source,
        shape,
        config,
        captioned=diffusion.model.captioned,
        new_data=new_data,
        progress=place.world.leads,
        bounded=bounded,
    )
    if differ and place.world.leads:
        say(f"{differ}; going on with these, in a new order, and with all else exactly")
    if coder is None:
        return images, None
    if not isinstance(images, RecordImages) or not images.names:
        raise ValueError(
            "autoencoder needs a folder of pictures as data: name one, or leave it out"
        )
    flips = config.augment_horizontal_flip
    return LatentImages(images, diffusion.shape, flips=flips), coder


def said_of(model: Network, items: Items) -> Any:
    """What a network is told of items: their captions, their labels, or nothing (None)."""
    if model.captioned:
        return items.captions
    return items.labels if model.conditional else None
