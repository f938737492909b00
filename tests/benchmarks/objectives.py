"""The digits, learned once with each objective.

    python -m tests.benchmarks.objectives FOLDER [--steps N] [--only NAME ...] [--picture FILE.png]

trains the shipped preset (``ddpm-mindspore train``, seed 0) with each row of ROWS into
FOLDER/NAME; a run that is there already is not trained again. Each draws five times as many images
as there are real ones, with seeds of its own, by the sampler that is used when none is asked for
(of the run's preset). Prints a Markdown table; --picture: a row of images for each.

Distance
    The Frechet distance over pixels of N drawn images to the N = 1,797 real ones
    (``digits_quality.py``), mean and spread of the five. It is about 0.035 for new real images.
"""

from __future__ import annotations

import argparse
import subprocess
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ddpm_mindspore.accelerated import open_run
from ddpm_mindspore.accelerated.data import load_digits
from ddpm_mindspore.accelerated.process import to_uint8
from ddpm_mindspore.accelerated.reports import pictures

from .digits_quality import flat, frechet_distance

Pixels = NDArray[np.uint8]

ROWS: dict[str, tuple[str, ...]] = {
    "pred_v": (),
    "flow": ("--objective", "flow"),
    "edm": ("--objective", "edm"),
    "x0_v_loss": ("--objective", "x0_v_loss"),
    "pred_noise": ("--objective", "pred_noise"),
    "pred_x0": ("--objective", "pred_x0"),
    "edm, log-normal times": ("--objective", "edm", "--time-distribution", "log_normal"),
    "pred_v, learned variance": ("--learned-variance",),
    "pred_v, immiscible": ("--immiscible",),
}
"""Names of the table, and what ``train`` is told."""

SEEDS = range(1, 6)


def train(folder: Path, options: tuple[str, ...], steps: int) -> Path:
    """Train the preset with these options, if that is not done."""
    if not (folder / "checkpoints" / f"step-{steps:08d}").exists():
        given = ["--steps", str(steps), "--results-folder", str(folder)]
        subprocess.run(["ddpm-mindspore", "train", *options, *given], check=True)
    return folder


def draw(run: Path, count: int) -> list[Pixels]:
    """``count`` images for each of SEEDS."""
    diffusion = open_run(run).diffusion
    return [to_uint8(diffusion.sample(599, num_samples=count, seed=seed)) for seed in SEEDS]


def row_of(name: str, options: tuple[str, ...], distances: list[float]) -> str:
    """A row of the table."""
    mean, spread = np.mean(distances), np.std(distances, ddof=1)
    return f"| {name} | `{' '.join(options)}` | {mean:.3f} ± {spread:.3f} |"


def page_of(rows: Sequence[Pixels], names: Sequence[str], scale: int = 5) -> Image.Image:
    """Rows of as many images each, with their names."""
    mixed = np.stack(rows, axis=1)  # image i is of row i mod n
    return pictures.rows_of_classes(mixed.reshape(-1, *rows[0].shape[1:]), names, scale)


HEAD = "| objective | `train` | Fréchet distance over pixels |\n|---|---|---|"


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--only", nargs="*", choices=tuple(ROWS), default=tuple(ROWS))
    parser.add_argument("--steps", type=int, default=2000)
    parser.add_argument("--picture", type=Path)
    asked = parser.parse_args()
    real, first = load_digits(), []
    lines: list[str] = []
    for name in asked.only:
        run = train(
            asked.folder / name.replace(", ", "-").replace(" ", "-"), ROWS[name], asked.steps
        )
        drawn = draw(run, len(real))
        distances = [frechet_distance(flat(images), flat(real)) for images in drawn]
        lines.append(row_of(name, ROWS[name], distances))
        print(lines[-1], flush=True)
        first.append(drawn[0][:12])
    print("\n".join((HEAD, *lines)))
    if asked.picture:
        pictures.save_png(page_of(first, asked.only).convert("L"), asked.picture)


if __name__ == "__main__":
    main()
