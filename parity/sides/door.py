"""What the public door has to give, by the reference: updates of ``Trainer``, and ``sample``.

The random numbers are those of ``random_table``; all arithmetic is that of ``reference``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from functools import cached_property, partial
from typing import Any

import numpy as np

from ...accelerated.config import TrainerConfig
from ...accelerated.ema import power_name
from ...reference import ema, training
from ...reference.config import DiffusionConfig, SamplingConfig, UnetConfig
from ...reference.denoiser import Denoiser, estimates
from ...reference.denoiser import denoiser as reference_denoiser
from ...reference.denoiser import given as given_condition
from ...reference.guidance import ANYWHERE, guided
from ...reference.networks import unet
from ...reference.networks.layers import Array as Value
from ...reference.networks.layers import Params
from ...reference.optimizer import ema_update
from ...reference.samplers import SAMPLERS, ancestral
from ...reference.schedule import Schedule
from ...reference.spacing import make_timesteps
from ...reference.training import MicroBatch, TrainingConfig, TrainingState
from ..judgement.tolerance import Arrays
from . import device, random_table, small_network
from .device import Array

Options = Mapping[str, Any]
Guide = Callable[[Denoiser], Denoiser]


@dataclass(frozen=True, eq=False)
class Door:
    """What a run is configured with.

    Attributes:
        net, diffusion, sampling, trainer: the options.
        size: (H, W).
        small: whether ``small_network`` takes the place of the U-Net.
    """

    net: UnetConfig
    diffusion: DiffusionConfig
    sampling: SamplingConfig
    trainer: TrainerConfig
    size: tuple[int, int]
    small: bool = True

    @property
    def shape(self) -> tuple[int, int, int]:
        """(C, H, W)."""
        return (self.net.channels, *self.size)

    @cached_property
    def schedule(self) -> Schedule:
        d = self.diffusion
        return device.schedule(d.beta_schedule, d.timesteps, d.zero_terminal_snr)

    @cached_property
    def training(self) -> TrainingConfig:
        """The same options as the reference has them; the device holds Adam's betas in float32."""
        options = {**vars(self.diffusion), **vars(self.trainer)}
        options |= {"lr": self.trainer.train_lr}
        options["adam_betas"] = tuple(float(np.float32(b)) for b in self.trainer.adam_betas)
        names = (field.name for field in fields(TrainingConfig))
        return TrainingConfig(**{name: options[name] for name in names})

    @property
    def network(self) -> Callable[..., Any]:
        """The reference's network."""
        return small_network.small_network if self.small else unet.unet

    @property
    def dropout_shapes(self) -> list[tuple[int, ...]]:
        """(C, H, W) of each residual block's mask."""
        if self.small:
            return small_network.dropout_shapes(self.net, self.size)
        return self.net.dropout_shapes(self.size)


def loss(door: Door, params: Params, batch: MicroBatch) -> Value:
    """The training loss of one micro-batch, in the dtype of its arrays; differentiable."""
    with small_network.in_place_of_the_unet(door.small):
        return training.training_loss(params, door.training, door.net, door.schedule, batch)


def updates(
    door: Door, params: Arrays, steps: Sequence[Sequence[MicroBatch]], kept: Sequence[int]
) -> Arrays:
    """Loss and norm of each update, and after those that are ``kept`` all that a checkpoint has."""
    state = training.initial_state(params)
    powers = {power_name(width): (width, params) for width in door.trainer.ema_sigma_rels}
    results: Arrays = {}
    with small_network.in_place_of_the_unet(door.small):
        for step, batches in enumerate(steps, start=1):
            before = state.skipped
            state, value, norm = training.training_step(
                state, door.training, door.net, door.schedule, batches
            )
            results |= numbers(step, value, norm)
            if state.skipped == before:
                for name, (width, average) in powers.items():
                    weight = ema.power_weight(step, width)
                    powers[name] = width, ema_update(average, state.params, weight)
            if step in kept:
                averages = {name: average for name, (_, average) in powers.items()}
                results |= checkpoint(step, _groups(state) | averages)
    return results


def _groups(state: TrainingState) -> dict[str, Mapping[str, Array]]:
    return {"model": state.params, "adam_m": state.m, "adam_v": state.v, "ema": state.ema}


def numbers(step: int, loss: float, norm: float) -> Arrays:
    """Whether a step was left out, and if not its loss and norm."""
    left_out = not np.isfinite(loss + norm)
    results = {f"left out, step {step}": np.array(float(left_out))}
    if not left_out:
        results |= {f"loss, step {step}": np.array(loss), f"norm, step {step}": np.array(norm)}
    return results


def checkpoint(step: int, groups: Mapping[str, Mapping[str, Array]]) -> Arrays:
    """A checkpoint's arrays, each under one name."""
    return {
        f"{group} of {name}, step {step}": array
        for group, arrays in groups.items()
        for name, array in arrays.items()
    }


def sample(
    door: Door,
    params: Arrays,
    seed: int,
    indices: Sequence[int],
    size: tuple[int, int] | None = None,
    classes: Array | None = None,
    guide: Guide | None = None,
    **options: Any,
) -> Array:
    """The states (n, 1 + evaluations, C, H, W) of images with these numbers, from x_T to x_0.

    Only x_0 is cut to [0, 1]. ``size``, and options of sampling: instead of the configuration's;
    ``classes``: of each image; ``guide``: as ``reference.denoiser`` takes it.
    """
    config = door.sampling.but(**options)
    path = make_timesteps(door.schedule, config.steps(door.diffusion.timesteps), config.rule)
    dtype = next(iter(params.values())).dtype
    shape = (door.net.channels, *(door.size if size is None else size))
    x_T = random_table.normal(seed, "sample_start", 0, indices, shape).astype(dtype)
    noise = sampling_noise(seed, len(path), indices, shape).astype(dtype)
    states: list[Array] = []
    guide = class_guide(door, config) if guide is None else guide
    x_0 = SAMPLERS[config.name](
        door.schedule,
        denoiser(door, params, states, classes, guide, config),
        x_T,
        timesteps=path,
        noise=noise,
        **config.options,
    )
    return np.stack([*(0.5 * (x + 1.0) for x in states), to_unit_range(x_0)], axis=1)


def class_guide(door: Door, config: SamplingConfig, weak: Arrays | None = None) -> Guide | None:
    """Guidance as it is configured, by no class or by a network with ``weak`` parameters."""
    if not config.guides:
        return None
    other = None
    if weak is not None:
        learned = door.diffusion.objective, door.diffusion.sigma_data
        other = estimates(network(door, weak), door.schedule, *learned)
    return partial(
        guided,
        schedule=door.schedule,
        null=door.net.num_classes,
        scale=config.cond_scale,
        weak=other,
        interval=config.guidance_interval or ANYWHERE,
        rescale=config.guidance_rescale,
        parallel=config.guidance_parallel,
        norm=np.inf if config.guidance_norm is None else config.guidance_norm,
        momentum=config.guidance_momentum,
    )


def samples(door: Door, params: Arrays, seed: int, indices: Sequence[int], **options: Any) -> Array:
    """The last of these states: the images in [0, 1]; arguments as those of ``sample``."""
    return sample(door, params, seed, indices, **options)[:, -1]


def interpolation(
    door: Door,
    params: Arrays,
    images: tuple[Array, Array],
    t: int,
    lam: float,
    seed: int,
    classes: Array | None = None,
) -> Array:
    """Both sets of images, in [-1, 1], noised to t by one noise, mixed, and sampled back to 0."""
    first, second = images
    indices = range(len(first))
    noise = random_table.normal(seed, "sample_start", 0, indices, door.shape).astype(first.dtype)
    a, b = (
        float(table[t])
        for table in (door.schedule.sqrt_alpha_bar, door.schedule.sqrt_one_minus_alpha_bar)
    )
    x_t = a * ((1.0 - lam) * first + lam * second) + b * noise
    x_0 = ancestral.sample(
        door.schedule,
        denoiser(door, params, classes=classes),
        x_t,
        timesteps=range(t, 0, -1),
        noise=sampling_noise(seed, t, indices, door.shape).astype(first.dtype),
    )
    return to_unit_range(x_0)


def sampling_noise(
    seed: int, steps: int, indices: Sequence[int], shape: tuple[int, int, int]
) -> Array:
    """(n, B, C, H, W): the i-th of the n steps has a stream of its own."""
    return np.stack(
        [random_table.normal(seed, "sample_noise", i, indices, shape) for i in range(steps)]
    )


def denoiser(
    door: Door,
    params: Arrays,
    states: list[Array] | None = None,
    classes: Array | None = None,
    guide: Guide | None = None,
    config: SamplingConfig | None = None,
) -> Denoiser:
    """The reference's, of the network with these parameters; every x_t is added to ``states``.

    ``config``: instead of the door's, of what is done to estimates.
    """
    config = door.sampling if config is None else config
    denoise = reference_denoiser(
        network(door, params),
        door.schedule,
        door.diffusion.objective,
        self_condition=door.net.self_condition,
        clip=config.clip_denoised,
        threshold=config.dynamic_threshold,
        guide=guide,
        learned_variance=config.variance == "learned",
        sigma_data=door.diffusion.sigma_data,
    )
    known = denoise if classes is None else given_condition(denoise, classes)

    def noting(x_t: Array, t: Array, condition: Any = None, *shown: Any) -> Array:
        if states is not None:
            states.append(x_t)
        return known(x_t, t)

    return noting


def network(door: Door, params: Arrays) -> Callable[..., Array]:
    """The reference's network with these parameters, as its denoiser asks it."""

    def output(x_t: Array, time: Array, x_self_cond: Array | None, known: Any = None) -> Array:
        return np.asarray(door.network(params, door.net, x_t, time, x_self_cond, condition=known))

    return output


def to_unit_range(x_0: Array) -> Array:
    """[-1, 1] to [0, 1]; beyond it clipped."""
    return np.clip(0.5 * (x_0 + 1.0), 0.0, 1.0)
