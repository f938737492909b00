"""``ddpm-mindspore sample``: what it writes to files, with the average of a run or one made later.

The run is a folder with checkpoints, as training leaves it. A pixel may be whatever rounding a
number within the bound of the truth gives.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from hypothesis import given
from PIL import Image

from ddpm_mindspore.accelerated.commands import sample as commands
from ddpm_mindspore.accelerated.commands.options import SampleConfig
from ddpm_mindspore.accelerated.ema import power_name
from ddpm_mindspore.accelerated.reports import pictures
from ddpm_mindspore.parity.examples import fixed_runs, runs
from ddpm_mindspore.parity.examples.samplings import SAMPLING
from ddpm_mindspore.parity.examples.values import Case, first
from ddpm_mindspore.parity.judgement.compare import check, reproducible
from ddpm_mindspore.parity.judgement.tolerance import Arrays, deep
from ddpm_mindspore.parity.report import budget
from ddpm_mindspore.parity.sides import device, door_device, door_run
from ddpm_mindspore.parity.sides import door as reference
from ddpm_mindspore.parity.sides.device import Array
from ddpm_mindspore.parity.sides.door import Door, Options
from ddpm_mindspore.parity.sides.small_network import in_place_of_the_unet
from ddpm_mindspore.reference.ema import Snapshot, reconstruct

WIDTHS = (0.05, 0.1)
AVERAGE, TRAINED = 0.0, -1.0


@first(fixed_runs.COMMANDS)
@budget.examples(0.2)
@given(case=runs.command_cases())
def test_sample(case: Case) -> None:
    """samples.npy, every PNG and the grid of a run's samples, by any average of its parameters"""
    sample(**case)


@reproducible
def sample(
    net: Options,
    size: tuple[int, int],
    diffusion: Options,
    seed: int,
    steps: Sequence[int],
    options: Options,
    params: int,
    small: bool = True,
) -> None:
    """``seed``: of the run; ``steps``: of its checkpoints; ``options``: of ``SampleConfig``."""
    trainer = {"seed": seed, "ema_sigma_rels": WIDTHS}
    door = door_device.door(net, diffusion, trainer, size, small)
    kept = averages(door, steps, params)
    expected, bound = truth(door, kept, steps[-1], options)
    with tempfile.TemporaryDirectory() as scratch, in_place_of_the_unet(small), door_run.quiet():
        run, output = Path(scratch) / "run", Path(scratch) / "drawn"
        groups = {power_name(w): w for w in WIDTHS} | {"ema": AVERAGE, "model": TRAINED}
        for step in steps:
            tensors = {group: kept[step, width] for group, width in groups.items()}
            door_run.write_run(run, door, step, tensors)
        assert (
            commands.sample(SampleConfig(run, output=output, device=device.name(), **options)) == 0
        )
        compare(output, expected, bound, labels_of(door, options))


def averages(door: Door, steps: Sequence[int], seed: int) -> dict[tuple[int, float], Arrays]:
    """Parameters for each step: of the averages by their widths, the usual average, the trained."""
    return {
        (step, width): door_device.parameters(door, seed + 10 * i + j)
        for i, step in enumerate(steps)
        for j, width in enumerate((*WIDTHS, AVERAGE, TRAINED))
    }


def truth(
    door: Door, kept: dict[tuple[int, float], Arrays], last: int, options: Options
) -> tuple[Array, float]:
    """The images in [0, 1], and the bound."""
    ema, last = options.get("ema", "default"), options.get("step") or last
    names = kept[last, AVERAGE].keys()
    told = door.net.num_classes is not None
    changed = {name: v for name, v in options.items() if name.startswith("guidance_")}
    guidance = door.sampling.but(**changed, cond_scale=options.get("guidance"))

    def function(arrays: Arrays) -> Arrays:
        def of(step: int, width: float) -> Arrays:
            return {name: arrays[f"{step} {width} {name}"] for name in names}

        average = of(last, TRAINED if options.get("weights") == "trained" else AVERAGE)
        if ema != "default":
            snapshots = [
                Snapshot(step, width, of(step, width))
                for step, width in kept
                if width in WIDTHS and step <= last
            ]
            made = reconstruct(snapshots, last, ema)
            average = {name: made[name].astype(average[name].dtype) for name in names}
        weak = None
        if earlier := options.get("autoguidance"):
            weak = of(earlier, TRAINED if options.get("weights") == "trained" else AVERAGE)
        indices = range(options["num_samples"])
        known = {
            "classes": np.resize(labels_of(door, options), len(indices)) if told else None,
            "guide": reference.class_guide(door, guidance, weak),
        }
        known |= {name: options.get(name) for name in SAMPLING}
        seed, size = options.get("seed", 0), options.get("image_size")
        images = reference.samples(door, average, seed, indices, size=size, **known)
        return {"images": images}

    inputs = {
        f"{step} {width} {name}": value
        for (step, width), arrays in kept.items()
        for name, value in arrays.items()
    }
    expected, bounds = deep(function, inputs)
    return expected["images"], bounds["images"]


def labels_of(door: Door, options: Options) -> list[int]:
    """The classes of images 0, 1, ..., over and over."""
    asked = options.get("label") or range(door.net.num_classes or 0)
    return [int(label) for label in asked]


def compare(output: Path, expected: Array, bound: float, labels: Sequence[int]) -> None:
    """samples.npy, 00000.png and so on, and grid.png."""
    low, high = door_run.levels(expected, bound)
    middle, spread = (low + high) / 2.0, (high - low) / 2.0
    check("samples.npy", np.load(output / "samples.npy"), middle, spread)
    shown = slice(None) if expected.shape[1] in (1, 3, 4) else slice(1)
    for i, (pixels, apart) in enumerate(zip(middle[:, shown], spread[:, shown], strict=True)):
        with Image.open(output / f"{i:05d}.png") as picture:
            actual = np.asarray(picture).reshape(*expected.shape[2:], -1).transpose(2, 0, 1)
        check(f"{i:05d}.png", actual, pixels, apart)
    count = len(list(output.glob("[0-9]*.png")))
    check("how many files", count, len(expected), 0.0)
    with Image.open(output / "grid.png") as picture:
        actual = np.asarray(picture)

    def page(edge: Array) -> Array:
        if 1 < len(labels) <= len(edge) // 2:
            return np.asarray(pictures.rows_of_classes(edge, [str(k) for k in labels]), np.float64)
        return np.asarray(pictures.grid(edge), np.float64)

    pages = [page(edge[:, shown].astype(np.uint8)) for edge in (low, high)]
    check("grid.png", actual, (pages[0] + pages[1]) / 2.0, (pages[1] - pages[0]) / 2.0)
