"""Which streams updates and sampling draw from: those of the table, and none of them twice."""

from __future__ import annotations

import itertools
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from hypothesis import given

from ddpm_mindspore.accelerated.data import Crop, open_images
from ddpm_mindspore.accelerated.system.distributed import World
from ddpm_mindspore.accelerated.trainer.batches import Batches
from ddpm_mindspore.parity.examples import runs
from ddpm_mindspore.parity.examples.images import give
from ddpm_mindspore.parity.examples.values import Case
from ddpm_mindspore.parity.judgement.compare import check, reproducible
from ddpm_mindspore.parity.report import budget
from ddpm_mindspore.parity.sides import door_device, random_table, small_network
from ddpm_mindspore.parity.sides.door import Door, Options
from ddpm_mindspore.parity.sides.random_table import Stream
from ddpm_mindspore.parity.sides.recording import Recorder, overlaps

INIT = random_table.PURPOSES["init"]
"""Parameters are drawn when a network is made, of one seed as often as it is made."""


@budget.examples(0.2)
@given(case=runs.streams_of_a_run())
def test_streams(case: Case) -> None:
    """updates, samples and interpolations of a run: each number of the table is used once"""
    streams(**case)


@reproducible
def streams(
    net: Options,
    size: tuple[int, int],
    diffusion: Options,
    data: Options,
    trainer: Options,
    steps: Sequence[int],
    processes: int,
    samples: tuple[int, int],
    images: int,
) -> None:
    """Updates ``steps`` of all ``processes``; ``samples``: number of the first, and how many."""
    door = door_device.door(net, diffusion, trainer, size)
    recorder = Recorder()
    with (
        tempfile.TemporaryDirectory() as folder,
        small_network.in_place_of_the_unet(),
        recorder.watching(),
    ):
        given = give(
            **data, shape=door.shape, seed=images, folder=Path(folder), config=door.trainer
        )
        crop = Crop(door.trainer.crop, door.trainer.crop_min_share)
        opened = open_images(
            given.source,
            door.size,
            door.net.channels,
            crop=crop,
            only_class=door.trainer.only_class,
        )
        device = door_device.diffusion(door, door.trainer.seed)
        for rank in range(processes):
            for step in steps:
                Batches(opened, device, door.trainer, World(rank, processes))(step)
        first, count = samples
        told: dict[str, Any] = {} if door.net.num_classes is None else {"classes": 0}
        if door.net.cond_channels:
            told = {"condition": np.zeros((count, *door.shape))}
        device.sample(2, num_samples=count, first=first, **told)
    uses = [use for use in recorder.uses() if use.stream.seed == door.trainer.seed]
    # The order of an epoch is drawn by whoever comes to it and does not remember it.
    order = random_table.PURPOSES["shuffle"]
    alone = [use for use in uses if use.stream.word not in (INIT, order)]
    twice = overlaps(alone)
    check(f"draws that repeat another: {twice[:3]}", len(twice), 0.0, 0.0)
    expected = table(door, given.count, crop.draws > 0, steps, processes, samples)
    seen = {use.stream for use in uses if use.stream.word != INIT}
    left_out = {stream for stream in expected - seen if stream.word != order}
    for name, difference in (("not of the table", seen - expected), ("left out", left_out)):
        check(f"streams {name}: {sorted(difference)[:3]}", len(difference), 0.0, 0.0)
    most = max(use.first + use.blocks for use in uses)
    check("numbers drawn from one stream, as a share of it", most / 2.0**64, 0.0, 2.0**-32)


def table(
    door: Door,
    images: int,
    crops: bool,
    steps: Sequence[int],
    processes: int,
    samples: tuple[int, int],
) -> set[Stream]:
    """All streams that a run of these updates and samples has."""
    config, seed = door.trainer, door.trainer.seed
    per_step = config.train_batch_size * config.gradient_accumulate_every * processes
    places: set[Stream] = set()
    for step, position in itertools.product(steps, range(per_step)):
        whole = door.diffusion.time_distribution == "steps"
        time = "time" if whole else "real_time"
        places.add(random_table.stream(seed, time, step, position))
        if door.diffusion.offset_noise:
            places.add(random_table.stream(seed, "offset", step, position))
        places.add(random_table.stream(seed, "noise", step, position))
        if config.augment_horizontal_flip:
            places.add(random_table.stream(seed, "flip", step, position))
        if door.net.self_condition:
            places.add(random_table.stream(seed, "self_condition", step, position))
        if door.net.takes_condition and door.net.cond_drop_prob:
            places.add(random_table.stream(seed, "class", step, position))
        for layer in range(len(door.dropout_shapes) if door.net.dropout else 0):
            places.add(random_table.stream(seed, "dropout", step, position, layer))
        number = (step - 1) * per_step + position
        places.add(random_table.stream(seed, "shuffle", number // images))
        if crops:
            places.add(random_table.stream(seed, "crop", 0, number))
    first, count = samples
    walk, sampling = door.sampling.steps(door.diffusion.timesteps), door.sampling
    # The last batch is filled up; the last step adds no noise, and most samplers none at all.
    filled = -(-count // 2) * 2 if count > 2 else count
    noisy = sampling.name in ("ancestral", "dpm++2m-sde") or (sampling.eta or 0.0) > 0.0
    for index in range(first, first + filled):
        places.add(random_table.stream(seed, "sample_start", 0, index))
        for i in range(walk - 1 if noisy else 0):
            places.add(random_table.stream(seed, "sample_noise", i, index))
    return places
