"""Runs of ``Trainer`` on real folders: updates, checkpoints, resuming, averages and samples.

Everything that a run leaves on the disk is compared: ``metrics.jsonl``, the tensors of every
checkpoint and the pictures. What it sees is the table of ``draws``, what it does with it the
reference. With the network of ``small_network``, and with the U-Net in the last example below.
"""

from __future__ import annotations

import math
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
from hypothesis import example, given

from ddpm_mindspore.accelerated.reports import pictures
from ddpm_mindspore.parity.examples import fixed_runs, runs
from ddpm_mindspore.parity.examples.images import Given, give
from ddpm_mindspore.parity.examples.values import Case
from ddpm_mindspore.parity.judgement.compare import check, reproducible
from ddpm_mindspore.parity.judgement.explain import explained_by_message
from ddpm_mindspore.parity.judgement.run_divergence import of_run
from ddpm_mindspore.parity.judgement.tolerance import Arrays, deep, elementwise
from ddpm_mindspore.parity.report import budget
from ddpm_mindspore.parity.sides import door as reference
from ddpm_mindspore.parity.sides import door_device, door_run
from ddpm_mindspore.parity.sides.device import Array
from ddpm_mindspore.parity.sides.door import Door, Options
from ddpm_mindspore.parity.sides.door_batches import micro_batches, smaller


@budget.examples(0.05)
@given(case=runs.run_cases())
@example(case=fixed_runs.FROM_A_FOLDER)
@example(case=fixed_runs.SPOILED)
@example(case=fixed_runs.WITH_THE_UNET)
def test_run(case: Case) -> None:
    """a run, and the same run resumed in its middle: metrics, checkpoints, averages, samples"""
    run(**case)


@reproducible
def run(
    net: Options,
    size: tuple[int, int],
    diffusion: Options,
    data: Options,
    trainer: Options,
    resumed_after: int,
    params: int,
    spoiled: Sequence[int] = (),
    started_from: str = "",
    small: bool = True,
) -> None:
    """A run from its start to its end, and from ``resumed_after`` (0: nowhere) to its end again.

    ``spoiled``: numbers of images that are NaN; ``params``: the seed of parameters and images;
    ``started_from``: which weights of another run it starts from, "average" or "trained".
    """
    door = door_device.door(net, diffusion, trainer, size, small)
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        given = give(
            **data, shape=door.shape, seed=params, folder=folder / "images", config=door.trainer
        )
        values = door_device.parameters(door, params)
        expected, bounds = truth(door, given, values, spoiled)
        start, source = values, {}
        if started_from:
            start = door_device.parameters(door, params + 2)
            other = {"average": "ema", "trained": "model"}[started_from]
            door_run.write_run(folder / "source", door, 10, {other: values})
            source = {"from_run": str(folder / "source"), "from_weights": started_from}
        left = door_run.Left(door, folder / "run", given, spoiled, source)
        kept = door_run.graphs_kept_in(folder / "graphs")
        with explained_by_message(partial(of_run, door, given, values)), kept:
            left.train(start)
            compare(left, "", door, given, expected, bounds)
            if resumed_after:
                left.forget_after(resumed_after)
                left.train(door_device.parameters(door, params + 1), resume=True)
                compare(left, "resumed: ", door, given, expected, bounds)


def truth(
    door: Door, given: Given, values: Arrays, spoiled: Sequence[int]
) -> tuple[Arrays, dict[str, float]]:
    """What the run leaves by the reference, and the bounds."""

    def spoil(i: int, draw: Sequence[float]) -> Array:
        return given.read(i, draw) * (np.nan if i in spoiled else 1.0)

    config = door.trainer
    shown = replace(given, read=spoil)
    count = range(1, config.train_num_steps + 1)
    steps = [micro_batches(door, shown, step) for step in count]
    inputs = {
        name: np.array([[getattr(b, name) for b in batches] for batches in steps], np.float32)
        for name in ("x_0", "noise")
    }
    kept = saved(door)

    def function(arrays: Arrays) -> Arrays:
        params = {name: arrays[name] for name in values}
        drawn = [
            [
                batch._replace(x_0=arrays["x_0"][i, j], noise=arrays["noise"][i, j])
                for j, batch in enumerate(batches)
            ]
            for i, batches in enumerate(steps)
        ]
        results = reference.updates(door, params, drawn, kept)
        for step in kept:
            average = {name: results[f"ema of {name}, step {step}"] for name in values}
            indices = range(config.num_samples)
            told = told_of_samples(door, given)
            images = reference.samples(door, average, config.seed, indices, classes=told)
            results[f"samples, step {step}"] = images
        return results

    with np.errstate(invalid="ignore"):
        return deep(function, {**values, **inputs})


def told_of_samples(door: Door, given: Given) -> Array | None:
    """The class of each sample, or what it is shown: of the real images beside them, repeated."""
    count = door.trainer.num_samples
    if door.net.cond_channels:
        real = np.stack([given.read(i, ()) for i in looked_at(door, given)])
        return smaller(door, 2.0 * real[np.arange(count) % len(real)] - 1.0)
    if door.net.num_classes is None or given.labels is None:
        return None
    told = given.labels[looked_at(door, given)]
    return np.resize(told, count)


def looked_at(door: Door, given: Given) -> list[int]:
    """The images that are shown beside samples: spread evenly over all."""
    count = min(door.trainer.num_samples, given.count)
    return [(2 * i + 1) * given.count // (2 * count) for i in range(count)]


def saved(door: Door) -> list[int]:
    """The updates after which a checkpoint is written."""
    last = door.trainer.train_num_steps
    return sorted({*range(0, last, door.trainer.save_and_sample_every), last} - {0})


def left_in_the_end(door: Door) -> list[int]:
    """Those whose checkpoint is not removed again."""
    config, steps = door.trainer, saved(door)
    newest = steps if config.keep_last is None else steps[-config.keep_last :]
    kept = [s for s in steps if config.keep_every and s % config.keep_every == 0]
    return sorted({*newest, *kept})


def compare(
    left: door_run.Left,
    prefix: str,
    door: Door,
    given: Given,
    expected: Arrays,
    bounds: dict[str, float],
) -> None:
    """Everything that the run has left, against the truth."""
    config = door.trainer
    actual = left.arrays()
    rates = [row["lr"] for row in left.metrics()]
    wanted = [door.training.learning_rate(i + 1) for i in range(config.train_num_steps)]
    # See ``test_optimizer.scalars``.
    check(f"{prefix}learning rates", rates, wanted, elementwise(36, wanted, dtype="float64"))
    steps = left_in_the_end(door)
    check(f"{prefix}steps of the checkpoints", left.steps, steps, 0.0)
    trained = {p.name for p in left.trainer.diffusion.model.trainable_params()}
    for name, value in expected.items():
        step = int(name.rpartition(" ")[2])
        group, _, parameter = name.rpartition(", ")[0].partition(" of ")
        if name.startswith("samples"):
            if step == config.train_num_steps:
                drawn = left.samples(told_of_samples(door, given))
                check(f"{prefix}{name}", drawn, value, bounds[name])
            compare_picture(
                left, f"{prefix}the picture of step {step}", step, door, given, value, bounds[name]
            )
        elif parameter and (
            step not in steps or (group[:4] == "adam" and parameter not in trained)
        ):
            assert name not in actual, f"{prefix}{name} is there"
        else:
            check(f"{prefix}{name}", actual.pop(name, np.empty(0)), value, bounds[name])
    check(f"{prefix}what else is there: {sorted(actual)[:3]}", len(actual), 0.0, 0.0)
    network = left.trainer.diffusion.model.arrays()
    for name, array in network.items():
        key = f"model of {name}, step {config.train_num_steps}"
        check(f"{prefix}{name} in the end", array, expected[key], bounds[key])


def compare_picture(
    left: door_run.Left,
    name: str,
    step: int,
    door: Door,
    given: Given,
    samples: Array,
    bound: float,
) -> None:
    """Each pixel is one that rounding a number within the bound of the truth may give."""
    count = min(door.trainer.num_samples, given.count)
    real = np.stack([given.read(i, ()) for i in looked_at(door, given)])
    shown = slice(None) if door.net.channels in (1, 3, 4) else slice(1)
    levels = {"drawn": door_run.levels(samples, bound), "real": (np.rint(255.0 * real),) * 2}
    if door.net.cond_channels:
        levels["small"] = door_run.levels(smaller(door, real), 1e-6)
    page, columns = left.picture(step), math.ceil(math.sqrt(max(len(samples), count)))
    grids = {
        part: [
            np.asarray(pictures.grid(edge.astype(np.uint8)[:, shown], columns).convert("RGB"))
            for edge in edges
        ]
        for part, edges in levels.items()
    }
    top = len(page) - max(len(low) for low, _ in grids.values())
    for part, (low, high) in grids.items():
        middle, apart = (low / 2.0 + high / 2.0), (high / 2.0 - low / 2.0)
        check(f"{name}: {part}", door_run.placed(page, top, low, high), middle, apart)
