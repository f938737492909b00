"""Digits that look wrong, each for a reason that is known: the pictures of the manual's table.

    python -m tests.benchmarks.symptoms FOLDER [--steps N] [--picture FILE.png]

trains what is not there yet into FOLDER: the shipped preset (``ddpm-mindspore train``, seed 0), the
same with labels, for 60 steps only, with too large a learning rate, and on 16 digits; and draws a
row for each reason, all from the same noise.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ddpm_mindspore.accelerated import open_run
from ddpm_mindspore.accelerated.data import load_digits
from ddpm_mindspore.accelerated.process import to_uint8
from ddpm_mindspore.accelerated.reports import pictures

from .objectives import page_of, train

Pixels = NDArray[np.uint8]
SHOWN, FEW, EARLY = 12, 16, 60


class Reason(NamedTuple):
    """A row.

    Attributes:
        name: what is wrong.
        run: which of RUNS draws it.
        options: of ``diffusion.sample``.
    """

    name: str
    run: str
    options: dict[str, Any]


PRESET = (
    *("--image-size", "8", "--dim", "16", "--dim-mults", "1", "2", "--channels", "1"),
    *("--attn-heads", "2", "--attn-dim-head", "16", "--batch-size", "16", "--lr", "2e-3"),
    *("--warmup-steps", "100", "--ema-update-every", "1"),
)
"""The digits' preset, for a folder of them."""

RUNS: dict[str, tuple[str, ...]] = {
    "digits": (),
    "early": ("--save-every", str(EARLY)),
    "rate": ("--lr", "0.05", "--warmup-steps", "0"),
    "labels": ("--conditional",),
    "few": PRESET,
}
"""What ``train`` is told."""

REASONS = (
    Reason("nothing is wrong", "digits", {}),
    Reason(f"{EARLY} steps of training", "early", {}),
    Reason("learning rate 0.05", "rate", {}),
    Reason("heun, 5 evaluations", "digits", {"sampler": "heun", "sampling_timesteps": 3}),
    Reason("ddim, 2 evaluations", "digits", {"sampler": "ddim", "sampling_timesteps": 2}),
    Reason("guidance 8, label 3", "labels", {"cond_scale": 8.0}),
    Reason(f"learned from {FEW}", "few", {}),
)


def trained(folder: Path, name: str, steps: int) -> Path:
    """The run of this name, made if it is not there."""
    options = RUNS[name]
    if name == "few":
        data = folder / "few-digits"
        data.mkdir(parents=True, exist_ok=True)
        for i, digit in enumerate(load_digits()[:FEW]):
            Image.fromarray(digit[0]).save(data / f"{i:02}.png")
        options = ("--data", str(data), *options)
    return train(folder / name, options, EARLY if name == "early" else steps)


def draw(run: Path, reason: Reason) -> Pixels:
    """SHOWN images, from the same noise for all reasons."""
    diffusion = open_run(run).diffusion
    told = {"classes": [3] * SHOWN} if reason.run == "labels" else {}
    return to_uint8(diffusion.sample(SHOWN, seed=1, **told, **reason.options))


def nearest(drawn: Pixels, real: Pixels) -> Pixels:
    """For each image the real one that is closest to it."""
    apart = drawn.reshape(len(drawn), 1, -1).astype(float) - real.reshape(1, len(real), -1)
    return real[np.argmin((apart**2).sum(-1), axis=1)]


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--steps", type=int, default=2000)
    parser.add_argument("--picture", type=Path)
    asked = parser.parse_args()
    names, rows = [], []
    for reason in REASONS:
        rows.append(draw(trained(asked.folder, reason.run, asked.steps), reason))
        names.append(reason.name)
        print(f"{reason.name}: mean {rows[-1].mean():.0f}, deviation {rows[-1].std():.0f} of 255")
    names.append(f"the nearest of the {FEW}")
    rows.append(nearest(rows[-1], load_digits()[:FEW]))
    if asked.picture:
        pictures.save_png(page_of(rows, names).convert("L"), asked.picture)


if __name__ == "__main__":
    main()
