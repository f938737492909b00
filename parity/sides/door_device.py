"""The public door on the device: ``GaussianDiffusion`` and ``Trainer``, made from an example."""

from __future__ import annotations

import numpy as np

from ...accelerated.config import TrainerConfig, configurations
from ...accelerated.diffusion import GaussianDiffusion
from ...accelerated.networks.unet import Unet
from ...reference.config import UnetConfig
from ...reference.networks import unet
from ..judgement.tolerance import Arrays
from .door import Door, Options
from .small_network import SmallNetwork


def door(
    net: Options,
    diffusion: Options,
    trainer: Options,
    size: tuple[int, int],
    small: bool = True,
) -> Door:
    """The configuration of an example."""
    configs = UnetConfig(**net), *configurations(diffusion), TrainerConfig(**trainer)
    return Door(*configs, size, small)


def diffusion(door: Door, seed: int = 0) -> GaussianDiffusion:
    """The device's, at its initial parameters; ``seed``: of what it draws by itself."""
    kind = SmallNetwork if door.small else Unet
    options = {**vars(door.diffusion), **vars(door.sampling)}
    model = kind(**door.net.to_dict())
    return GaussianDiffusion(model, image_size=door.size, seed=seed, **options)


def parameters(door: Door, seed: int) -> Arrays:
    """Parameters by name that hide nothing: gains are not 1."""
    if door.small:
        return SmallNetwork(**door.net.to_dict(), seed=seed).arrays()
    rng = np.random.default_rng(seed)
    values = unet.init(door.net, rng)
    for name, value in values.items():
        if name.endswith(".g"):
            values[name] = value + 0.3 * rng.standard_normal(value.shape)
    return {name: value.astype(np.float32) for name, value in values.items()}
