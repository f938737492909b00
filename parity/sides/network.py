"""The whole network and its training on both sides, from equal parameters and equal batches."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import mindspore as ms
import numpy as np
from mindspore import Tensor, ops

from ...accelerated import optimizer
from ...accelerated import training as accelerated_training
from ...accelerated.batch import MicroBatch
from ...accelerated.config import TrainerConfig
from ...accelerated.networks.network import Network
from ...accelerated.networks.table import build_network
from ...accelerated.networks.unet import Unet
from ...accelerated.precision import set_precision
from ...reference import training
from ...reference.config import NETWORKS, AnyNetwork
from ...reference.levels import Levels
from ...reference.networks import table
from ..judgement.tolerance import Arrays
from . import device
from .device import Array
from .layers import varied

Options = Mapping[str, Any]


FLOAT32 = ("O0", "float32")
"""A level of mixed precision and its dtype: everything in float32."""


def config_of(options: Options) -> AnyNetwork:
    """The configuration of the network of these options: ``kind`` is its name, if not "unet"."""
    given = dict(options)
    return NETWORKS[given.pop("kind", "unet")](**given)


def network(options: Options, precision: tuple[str, str] = FLOAT32) -> Network:
    """The device's network of these options: one object, so that it is compiled once."""
    return _network(tuple(options.items()), precision)


@device.remembered
def _network(options: tuple[tuple[str, Any], ...], precision: tuple[str, str]) -> Network:
    given = dict(options)
    net = build_network(config_of(given)) if "kind" in given else Unet(**given)
    set_precision(net, *precision)
    return net


def parameters(options: Options, seed: int, precision: tuple[str, str] = FLOAT32) -> Arrays:
    """Give the network the parameters of this seed, whatever it had before; return them by name.

    Raises AssertionError unless names and shapes are those of the reference.
    """
    device.make_room()
    net, config = network(options, precision), config_of(options)
    shapes = {name: value.shape for name, value in net.arrays().items()}
    assert shapes == table.param_shapes(config)
    rng = np.random.default_rng(seed)
    drawn = {n: x.astype(np.float32) for n, x in table.init(config, rng).items()}
    values = {name: varied(rng, name, value) for name, value in drawn.items()}
    # As whoever has a network does it: one that was compiled has to compute with them from now on.
    net.load_arrays(values)
    return values


EACH = ("x", "x_self_cond", "condition")
"""What a network is given of each image, a class as a float: whole numbers survive rounding."""


@device.remembered
def forward(net: Network, has_self_cond: bool) -> Callable[..., Tensor]:
    """(x, time, [x_self_cond], [condition], *dropout_masks) to the output."""
    first = int(has_self_cond)
    conditional, classes = net.conditional, net.config.num_classes is not None

    def call(x, time, *rest):  # type: ignore[no-untyped-def]
        x_self_cond = rest[0] if has_self_cond else None
        if not conditional:
            masks = rest[first:]
            return net(x, time, x_self_cond, masks if len(masks) else None)
        condition = ops.cast(rest[first], ms.int32) if classes else rest[first]
        masks = rest[first + 1 :]
        return net(x, time, x_self_cond, masks if len(masks) else None, condition)

    return call


def in_reference(
    config: AnyNetwork, arrays: Arrays, time: Any, masks: Sequence[Array] | None
) -> Array:
    """The reference's output for what ``arrays`` hold by the names of EACH, and parameters."""
    x, x_self_cond, condition = (arrays.get(name) for name in EACH)
    told = condition
    if condition is not None and config.num_classes is not None:
        told = np.rint(condition).astype(np.int32)
    masks = list(masks or ()) or None
    return np.asarray(table.network(arrays, config, x, time, x_self_cond, masks, told))


def conditions(options: Options, size: Sequence[int], batch: int, seed: int) -> Arrays:
    """{"condition": the class of each image, or none, or a picture}, for a network that is told."""
    config = config_of(options)
    if config.cond_channels:
        return {"condition": device.draw(seed + 2, (batch, config.cond_channels, *size))}
    if config.num_classes is None:
        return {}
    told = (seed + np.arange(batch)) % (config.num_classes + 1)
    return {"condition": told.astype(np.float32)}


def dropout_masks(options: Options, size: Sequence[int], batch: int, seed: int) -> list[Array]:
    """Zeros and ones for every residual block, or none without dropout."""
    config = config_of(options)
    if not config.dropout:
        return []
    rng = np.random.default_rng(seed)
    shapes = config.dropout_shapes(tuple(size))
    return [rng.random((batch, *shape)) >= config.dropout for shape in shapes]


Schedule = tuple[str, int, bool]
"""Name, T, and whether alpha_bar_T is 0."""


@dataclass(frozen=True, eq=False)
class Batch:
    """What one gradient is computed from.

    Attributes:
        x_0, noise: (B, C, H, W) float32.
        t: (B,) int32, or float64.
        self_cond_mask: (B,) bool, the images that are shown an estimate of their x_0.
        masks: dropout masks, or None.
        condition: (B,) int32, the class of each image, or pictures, or None.
    """

    x_0: Array
    t: Array
    noise: Array
    self_cond_mask: Array
    masks: list[Array] | None
    condition: Array | None = None

    def on_device(self, schedule: Schedule, config: training.TrainingConfig) -> MicroBatch:
        levels = Levels(device.schedule(*schedule), config)(self.t)
        shown, masks = self.self_cond_mask, self.masks
        return MicroBatch(self.x_0, self.t, self.noise, shown, masks, self.condition, levels)

    def in_reference(self, dtype: Any, self_condition: bool) -> training.MicroBatch:
        x_0, noise = self.x_0.astype(dtype), self.noise.astype(dtype)
        shown = self.self_cond_mask if self_condition else None
        return training.MicroBatch(x_0, self.t, noise, shown, self.masks, self.condition)


def batch(options: Options, size: Sequence[int], t: Sequence[float], seed: int) -> Batch:
    """x_0 in [-1, 1]; with self-conditioning every second image is shown an estimate."""
    config = config_of(options)
    shape = (len(t), config.channels, *size)
    told = conditions(options, size, len(t), seed).get("condition")
    if told is not None and config.num_classes is not None:
        told = told.astype(np.int32)
    return Batch(
        x_0=np.random.default_rng(seed).uniform(-1.0, 1.0, shape).astype(np.float32),
        t=np.array(t, np.float64 if any(isinstance(each, float) for each in t) else np.int32),
        noise=device.draw(seed + 1, shape),
        self_cond_mask=(np.arange(len(t)) % 2 == 0) & config.self_condition,
        masks=dropout_masks(options, size, len(t), seed) or None,
        condition=told,
    )


def steps_of_batches(
    options: Options,
    size: Sequence[int],
    schedule: Schedule,
    shape: tuple[int, int, int],
    seed: int,
) -> list[list[Batch]]:
    """The micro-batches of each step, at drawn t; ``shape``: steps, micro-batches, images."""
    times = np.random.default_rng(seed).integers(1, schedule[1] + 1, shape)
    return [
        [batch(options, size, t, seed + 100 * i + j) for j, t in enumerate(step)]
        for i, step in enumerate(times.tolist())
    ]


def loss(net: Network, config: training.TrainingConfig) -> Callable[..., Tensor]:
    """The device's training loss: a batch's tensors to a scalar."""
    return accelerated_training.training_loss(net, config.loss_type, net.config.self_condition)


def training_config(options: Options) -> training.TrainingConfig:
    """A ``TrainingConfig`` with Adam's betas as the device has them: in float32."""
    config = training.TrainingConfig(**options)
    beta_1, beta_2 = (float(np.float32(beta)) for beta in config.adam_betas)
    return replace(config, adam_betas=(beta_1, beta_2))


def optimizer_options(
    config: training.TrainingConfig, ema_sigma_rels: Sequence[float] = ()
) -> TrainerConfig:
    """What the device's optimiser is told to be the reference's."""
    own = {field.name for field in fields(TrainerConfig)}
    options = {name: value for name, value in vars(config).items() if name in own}
    return TrainerConfig(**options, train_lr=config.lr, ema_sigma_rels=tuple(ema_sigma_rels))


def step_scalars(
    config: training.TrainingConfig,
    step: int,
    ema_sigma_rels: Sequence[float] = (),
    skipped: int = 0,
) -> optimizer.StepScalars:
    """The host's numbers for the device's update number ``step``, ``skipped`` being left out."""
    return optimizer.step_scalars(step, optimizer_options(config, ema_sigma_rels), skipped)
