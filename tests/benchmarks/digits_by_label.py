"""Are digits that are asked for by label what they were asked to be?

    python tests/benchmarks/digits_by_label.py [--run RUN] [--each 100] [--picture FILE.png]

trains the digits with the shipped preset (``ddpm-mindspore train --conditional``; with --run an
earlier run is taken), draws --each images of every label at several scales of guidance, and has
them read by a classifier that has only seen real digits. Prints a table; --picture: a row a class.

Read
    By a support vector machine (radial kernel, gamma 0.001 on the 17 levels of ink, C 10) trained
    on all 1,797 real digits. Trained on half of them it reads 98.9 % of the other half, so that a
    perfect drawer is not read at 100 % either.
Spread
    Of a label's drawn images around their mean (root mean square over pixels), as a share of that
    of the real ones: guidance pays for obedience with variety.
Distance
    The Frechet distance over pixels of all drawn images to the real ones.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ddpm_mindspore.accelerated import open_run
from ddpm_mindspore.accelerated.data import digit_labels, load_digits
from ddpm_mindspore.accelerated.process import to_uint8
from ddpm_mindspore.accelerated.reports import pictures
from ddpm_mindspore.reference.evaluation.features import flat
from ddpm_mindspore.reference.evaluation.frechet import frechet_distance

Pixels = NDArray[np.uint8]
SCALES: tuple[dict[str, Any], ...] = (
    {},
    {"cond_scale": 1.5},
    {"cond_scale": 2.0},
    {"cond_scale": 3.0},
    {"cond_scale": 5.0},
    {"cond_scale": 3.0, "guidance_interval": (0.3, 3.0)},
    {"cond_scale": 3.0, "guidance_rescale": 0.7},
    {"cond_scale": 3.0, "guidance_parallel": 0.0},
)
WALK: dict[str, Any] = {"sampler": "ddim", "sampling_timesteps": 50}
"""Of all of them: where the default changes, the numbers do not."""


def reader(images: Pixels, labels: NDArray[Any]) -> Any:
    """A classifier of real digits: it takes uint8 (N, 1, 8, 8), and gives labels."""
    from sklearn.svm import SVC

    model = SVC(gamma=0.001, C=10.0).fit(levels(images), labels)
    return lambda drawn: model.predict(levels(drawn))


def levels(images: Pixels) -> NDArray[np.float64]:
    """Ink from 0 to 16, (N, 64)."""
    return images.reshape(len(images), -1) * (16.0 / 255.0)


def spread(images: Pixels, labels: NDArray[Any]) -> float:
    """Root mean square over pixels of what is left when each label's mean is taken off."""
    left = [flat(images[labels == k]) for k in range(10)]
    return float(np.sqrt(np.mean([np.mean((x - x.mean(0)) ** 2) for x in left])))


def draw(run: Path, each: int, options: dict[str, Any]) -> tuple[Pixels, NDArray[Any]]:
    """``each`` images of every label, and the labels; image i is of label i mod 10."""
    diffusion, labels = open_run(run).diffusion, np.arange(10 * each) % 10
    drawn = diffusion.sample(10 * each, classes=labels, seed=1, **WALK, **options)
    return to_uint8(drawn), labels


def measure(run: Path, each: int) -> list[dict[str, Any]]:
    """A row for each of SCALES."""
    real, own = load_digits(), digit_labels()
    read, rows = reader(real, own), []
    for options in SCALES:
        drawn, labels = draw(run, each, options)
        right = read(drawn) == labels
        shares = [float(right[labels == k].mean()) for k in range(10)]
        rows.append(
            {
                "options": options,
                "read": float(right.mean()),
                "worst": min(shares),
                "worst_label": int(np.argmin(shares)),
                "spread": spread(drawn, labels) / spread(real, own),
                "distance": frechet_distance(flat(drawn), flat(real)),
            }
        )
        print(row_of(rows[-1]), flush=True)
    return rows


def row_of(row: dict[str, Any]) -> str:
    """A row of the table."""
    said = ", ".join(f"{k} {v}" for k, v in row["options"].items()) or "no guidance"
    worst = f"{row['worst']:7.1%} ({row['worst_label']})"
    return f"{said:48} {row['read']:7.1%} {worst:>12} {row['spread']:7.2f} {row['distance']:9.3f}"


HEAD = f"{'':48} {'read':>7} {'worst label':>12} {'spread':>7} {'distance':>9}"


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--run", type=Path)
    parser.add_argument("--each", type=int, default=100)
    parser.add_argument("--picture", type=Path)
    parser.add_argument("--json", type=Path)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        run = asked.run or Path(folder) / "run"
        if asked.run is None:
            command = ["ddpm-mindspore", "train", "--conditional", "--results-folder", str(run)]
            subprocess.run(command, check=True)
        print(HEAD)
        rows = measure(run, asked.each)
        if asked.json:
            asked.json.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")
        if asked.picture:
            drawn, _ = draw(run, 12, {"cond_scale": 1.5})
            page = pictures.rows_of_classes(drawn, list("0123456789"), scale=5)
            pictures.save_png(page.convert("L"), asked.picture)


if __name__ == "__main__":
    main()
