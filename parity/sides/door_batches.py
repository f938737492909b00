"""What each update of a run has to see, by the table of random numbers."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ...reference.noise import assigned
from ...reference.times import real_times
from ...reference.training import MicroBatch
from ..examples.images import Given
from . import random_table
from .device import Array
from .door import Door


def noised(
    door: Door,
    x_0: Array,
    seed: int,
    step: int,
    positions: Sequence[int],
    labels: Array | None = None,
    processes: int = 1,
) -> MicroBatch:
    """What is random about a gradient: t, noise, and where there are any, coins and masks.

    ``labels``: the class of each image; coins decide which of them are told, and which are shown
    as they are many times smaller. ``processes``: each has its share of the images, among which it
    assigns noise.
    """
    config = door.diffusion
    t = random_table.times(seed, step, positions, door.schedule.T)
    if config.time_distribution != "steps":
        shares = random_table.shares(seed, step, positions)
        t = real_times(door.schedule, config, shares)
    noise = random_table.normal(seed, "noise", step, positions, door.shape)
    if config.offset_noise:
        each = (door.shape[0], 1, 1)
        offset = random_table.normal(seed, "offset", step, positions, each)
        noise = noise + np.float32(config.offset_noise) * offset
    if config.immiscible:
        parts = zip(np.split(x_0, processes), np.split(noise, processes), strict=True)
        noise = np.concatenate([assigned(*part) for part in parts])
    shown = masks = None
    if door.net.self_condition:
        shown = random_table.coins(seed, "self_condition", step, positions)
    if door.net.dropout:
        masks = random_table.masks(seed, step, positions, door.dropout_shapes, door.net.dropout)
    told = None
    if door.net.num_classes is not None and labels is not None:
        share = door.net.cond_drop_prob
        dropped = random_table.coins(seed, "class", step, positions, share)
        told = np.where(dropped, door.net.num_classes, labels)
    if door.trainer.super_resolve is not None:
        dropped = random_table.coins(seed, "class", step, positions, door.net.cond_drop_prob)
        told = smaller(door, x_0) * ~dropped.reshape(-1, 1, 1, 1)
    return MicroBatch(x_0, t, noise, shown, masks, told)


def smaller(door: Door, images: Array) -> Array:
    """Images (B, C, H, W) of which every pixel is the mean of its square of ``super_resolve``."""
    factor = door.trainer.super_resolve
    assert factor is not None
    means = np.zeros_like(images)
    for y in range(0, images.shape[2], factor):
        for x in range(0, images.shape[3], factor):
            square = (..., slice(y, y + factor), slice(x, x + factor))
            means[square] = images[square].mean(axis=(2, 3), keepdims=True)
    return means


def micro_batches(door: Door, given: Given, step: int, processes: int = 1) -> list[MicroBatch]:
    """What update number ``step`` sees, x_0 in float64; ``processes``: that share its images."""
    config = door.trainer
    whole = config.train_batch_size * processes
    first = (step - 1) * whole * config.gradient_accumulate_every
    batches = []
    for i in range(config.gradient_accumulate_every):
        positions = range(i * whole, (i + 1) * whole)
        seen = [first + p for p in positions]
        x_0 = 2.0 * read(door, given, seen) - 1.0
        if config.augment_horizontal_flip:
            flip = random_table.coins(config.seed, "flip", step, positions)
            x_0[flip] = x_0[flip][..., ::-1]
        labels = None if given.labels is None else given.labels[shown(door, given, seen)]
        batches.append(noised(door, x_0, config.seed, step, positions, labels, processes))
    return batches


def read(door: Door, given: Given, positions: Sequence[int]) -> Array:
    """Images at these positions of the endless stream of shuffled epochs, in [0, 1]."""
    numbers, cuts = shown(door, given, positions), random_table.crops(door.trainer.seed, positions)
    return np.stack([given.read(i, draw) for i, draw in zip(numbers, cuts, strict=True)])


def shown(door: Door, given: Given, positions: Sequence[int]) -> list[int]:
    """Which images are at these positions; others where they are broken."""
    seed, count = door.trainer.seed, given.count
    numbers = random_table.images(seed, count, positions)
    return [
        random_table.replaced(seed, count, position, number, given.broken)
        for position, number in zip(positions, numbers, strict=True)
    ]
