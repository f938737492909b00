"""What each update of a run sees: images, classes or small pictures, and all that is random."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from hypothesis import given

from ddpm_mindspore.accelerated.batch import MicroBatch
from ddpm_mindspore.accelerated.data import Crop, open_images
from ddpm_mindspore.accelerated.system.distributed import World
from ddpm_mindspore.accelerated.trainer.batches import Batches
from ddpm_mindspore.parity.examples import fixed_runs, runs
from ddpm_mindspore.parity.examples.images import give
from ddpm_mindspore.parity.examples.values import Case, first
from ddpm_mindspore.parity.judgement.compare import check, reproducible
from ddpm_mindspore.parity.judgement.tolerance import elementwise
from ddpm_mindspore.parity.report import budget
from ddpm_mindspore.parity.sides import door_device
from ddpm_mindspore.parity.sides.door import Options
from ddpm_mindspore.parity.sides.door_batches import micro_batches
from ddpm_mindspore.reference import training


@first(fixed_runs.BATCHES)
@budget.examples()
@given(case=runs.batch_cases())
def test_batches(case: Case) -> None:
    """the micro-batches of an update: its images, and everything that is random about them"""
    batches(**case)


@reproducible
def batches(
    net: Options,
    size: tuple[int, int],
    diffusion: Options,
    data: Options,
    trainer: Options,
    steps: Sequence[int],
    world: tuple[int, int],
    images: int,
    broken: Sequence[int] = (),
) -> None:
    """``world``: number of this process, and how many there are; ``images``: seed of the images.

    ``broken``: numbers of files that break once the folder is open.
    """
    door = door_device.door(net, diffusion, trainer, size)
    rank, processes = world
    with tempfile.TemporaryDirectory() as folder:
        given = give(
            **data, shape=door.shape, seed=images, folder=Path(folder), config=door.trainer
        )
        opened = open_images(
            given.source,
            door.size,
            door.net.channels,
            crop=Crop(door.trainer.crop, door.trainer.crop_min_share),
            only_class=door.trainer.only_class,
            memory_limit=int(door.trainer.data_memory_gb * 1e9),
        )
        given = given.break_files(broken)
        make = Batches(opened, door_device.diffusion(door), door.trainer, World(rank, processes))
        size_of_one = door.trainer.train_batch_size
        share = slice(rank * size_of_one, (rank + 1) * size_of_one)
        for step in steps:
            actual = make(step)
            expected = micro_batches(door, given, step, processes)
            check(f"micro-batches of step {step}", len(actual), len(expected), 0.0)
            for i, (one, other) in enumerate(zip(actual, expected, strict=True)):
                compare(f"of micro-batch {i} of step {step}", one, other, share)


def compare(where: str, actual: MicroBatch, expected: training.MicroBatch, share: slice) -> None:
    """x_0 up to rounding, all else exactly."""
    x_0 = expected.x_0[share]
    # The factor of the levels, its product and a difference.
    bound = elementwise(3, x_0 + 1.0, 1.0)
    check(f"x_0 {where}", actual.x_0, x_0, bound)
    check(f"t {where}", actual.t, expected.t[share], 0.0)
    check(f"noise {where}", actual.noise, expected.noise[share], 0.0)
    shown = np.zeros(len(x_0), bool)
    if expected.self_cond_mask is not None:
        shown = expected.self_cond_mask[share]
    check(f"self-conditioned {where}", actual.self_cond_mask, shown, 0.0)
    if expected.condition is None:
        assert actual.condition is None, f"a condition {where}"
    else:
        told = np.empty(0) if actual.condition is None else actual.condition
        wanted = expected.condition[share]
        # A small picture: x_0's roundings, and those of a mean of four.
        off = elementwise(3 + 4, np.ones_like(wanted)) if wanted.ndim > 1 else 0.0
        check(f"conditions {where}", told, wanted, off)
    masks = expected.dropout_masks or []
    check(f"dropout masks {where}", len(actual.dropout_masks or []), len(masks), 0.0)
    for layer, mask in enumerate(masks):
        own = (actual.dropout_masks or [])[layer]
        check(f"dropout mask {layer} {where}", own, mask[share], 0.0)
