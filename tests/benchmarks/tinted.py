"""Samples that are too bright, for a reason that is known, and what helps: a picture of the manual.

    python -m tests.benchmarks.tinted FOLDER [--steps N] [--picture FILE.png]

makes a folder of digits before a sky, mostly a night one, and trains on it what is not there yet
into FOLDER: with the schedule of latent diffusion, which leaves 7 % of the picture at t = T, and
with the same one rescaled to leave nothing. Both draw from the same noise; ``evaluate`` measures
both.
"""

from __future__ import annotations

import argparse
import subprocess
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ddpm_mindspore.accelerated import open_run
from ddpm_mindspore.accelerated.data import load_digits
from ddpm_mindspore.accelerated.process import to_uint8
from ddpm_mindspore.accelerated.reports import pictures

from .objectives import page_of, train

Pixels = NDArray[np.uint8]
SHOWN, COUNT, SIDE, STEPS = 14, 1000, 16, 800
DRAWN = 280
"""Pictures of which SHOWN are shown: every twentieth, from the darkest to the brightest."""
NIGHT, DAY, INK = (8, 12, 64), (255, 220, 130), (230, 50, 50)

NETWORK = (
    *("--image-size", str(SIDE), "--dim", "16", "--dim-mults", "1", "2"),
    *("--attn-heads", "2", "--attn-dim-head", "16", "--batch-size", "16", "--lr", "2e-3"),
    *("--warmup-steps", "100", "--ema-update-every", "1", "--beta-schedule", "scaled_linear"),
)
RUNS: dict[str, tuple[str, ...]] = {
    "7 % is left at T": ("--objective", "pred_noise"),
    "nothing is left": ("--objective", "pred_v", "--zero-terminal-snr"),
}
"""Names of the rows, and what ``train`` is told besides."""


def skies(count: int = COUNT, seed: int = 0) -> Pixels:
    """Digits before a sky, (count, 3, 16, 16): mostly night, seldom day, and all between."""
    light = np.random.default_rng(seed).random((count, 1)) ** 3
    ground = (1.0 - light) * NIGHT + light * DAY
    ink = np.zeros((count, SIDE, SIDE))
    ink[:, 4:12, 4:12] = load_digits()[:count, 0]
    share = ink[:, None] / 255.0
    mixed = (1.0 - share) * ground[..., None, None] + share * np.array(INK)[:, None, None]
    drawn: Pixels = np.rint(mixed).astype(np.uint8)
    return drawn


def trained(folder: Path, name: str, steps: int) -> Path:
    """The run of this name, made if it is not there."""
    data = folder / "skies"
    if not data.exists():
        data.mkdir(parents=True)
        for i, sky in enumerate(skies()):
            Image.fromarray(sky.transpose(1, 2, 0)).save(data / f"{i:04}.png")
    options = ("--data", str(data), *NETWORK, *RUNS[name])
    return train(folder / name.replace(" ", "-").replace("%", "percent"), options, steps)


def spread(images: Pixels) -> Pixels:
    """SHOWN of them, evenly spread from the darkest to the brightest."""
    order = np.argsort(images.mean(axis=(1, 2, 3)), kind="stable")
    places = (np.arange(SHOWN) + 0.5) * len(images) / SHOWN
    return images[order[places.astype(int)]]


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--steps", type=int, default=STEPS)
    parser.add_argument("--picture", type=Path)
    asked = parser.parse_args()
    names, rows = ["pictures to learn from"], [spread(skies())]
    for name in RUNS:
        run = trained(asked.folder, name, asked.steps)
        rows.append(spread(to_uint8(open_run(run).diffusion.sample(DRAWN, seed=1))))
        names.append(name)
        subprocess.run(["ddpm-mindspore", "evaluate", str(run)], check=True)
    if asked.picture:
        pictures.save_png(page_of(rows, names, scale=2), asked.picture)


if __name__ == "__main__":
    main()
