"""One sheet with an example of every task, made by the commands that users have.

    python -m tests.benchmarks.tasks FOLDER [--picture .github/tasks.png]

trains three networks into FOLDER, those that are there already apart: on the digits, on the digits
in six colours with their labels, and one that enlarges digits four times (SR3); does every task on
images that were not drawn by them; and lays all of it out, with how far each result is from what
it should keep to. Twenty minutes on two quiet cores, most of it training.
"""

from __future__ import annotations

import argparse
import colorsys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ddpm_mindspore.accelerated.cli import main as command
from ddpm_mindspore.accelerated.data import digit_labels, load_digits
from ddpm_mindspore.reference.degradations import degradation

Pixels = NDArray[np.uint8]
HUES = 6
DRAWN = 6
"""Pictures drawn for each task."""

OPTIONS = """--conditional --image-size 8 --dim 16 --dim-mults 1 2 --attn-heads 2 --attn-dim-head 16
--steps 2000 --batch-size 64 --lr 2e-3 --warmup-steps 100 --ema-update-every 1"""
"""Of the digits in colours: what the digits' own preset is."""


def coloured(image: Pixels, number: int) -> Pixels:
    """A digit (8, 8) in one of HUES colours: (8, 8, 3)."""
    colour = np.array(colorsys.hsv_to_rgb(number % HUES / HUES, 0.85, 1.0))
    return np.rint(image[..., None] * colour).astype(np.uint8)


def write_coloured(folder: Path) -> None:
    """A sub-folder for each digit, as ``train --conditional`` takes it."""
    for i, (image, label) in enumerate(zip(load_digits()[:, 0], digit_labels(), strict=True)):
        place = folder / str(label)
        place.mkdir(parents=True, exist_ok=True)
        Image.fromarray(coloured(image, i)).save(place / f"{i:04d}.png")


def do(*words: Any) -> None:
    """A command, which has to succeed."""
    if command([str(word) for word in words]):
        raise SystemExit(f"{words[0]} failed")


def train(folder: Path) -> None:
    """The three runs, where they are not there yet."""
    saved = ("--save-every", "1000000", "--results-folder")
    if not (folder / "digits").exists():
        do("train", "--data", "digits", *saved, folder / "digits")
    if not (folder / "sr3").exists():
        steps = ("--super-resolve", 4, "--steps", 1000)
        do("train", "--data", "digits", *steps, *saved, folder / "sr3")
    if not (folder / "colours").exists():
        write_coloured(folder / "coloured")
        options = (*OPTIONS.split(), *saved, folder / "colours")
        do("train", "--data", folder / "coloured", *options)


@dataclass(frozen=True)
class Row:
    """A line of the sheet.

    Attributes:
        name: what is done, and how.
        given: what is given, each with a caption.
        drawn: what comes of it, each with a caption.
        truth: what the picture was before, where that is known.
        said: how far off it is.
    """

    name: str
    given: Sequence[tuple[str, Pixels]]
    drawn: Sequence[tuple[str, Pixels]]
    truth: Pixels | None = None
    said: str = ""


def picture(folder: Path, name: str, pixels: Pixels) -> Path:
    """A file of one picture, (H, W) or (H, W, C)."""
    path = folder / f"{name}.png"
    Image.fromarray(pixels).save(path)
    return path


def drawn(folder: Path, *words: Any) -> Pixels:
    """What a command draws: (N, H, W) or (N, H, W, C)."""
    do(*words, "--output", folder / "drawn")
    images: Pixels = np.load(folder / "drawn" / "samples.npy").transpose(0, 2, 3, 1)
    return images[..., 0] if images.shape[-1] == 1 else images


def off(images: Pixels, known: NDArray[Any], kind: str = "noise") -> str:
    """How far degraded pictures are from what was measured, of which pixels are 0 to 1."""
    x = images.astype(np.float64) / 255.0
    x = x[:, None] if x.ndim == 3 else x.transpose(0, 3, 1, 2)
    y = known.astype(np.float64) / 255.0
    y = y[None] if y.ndim == 2 else y.transpose(2, 0, 1)
    apart = degradation(kind, x.shape[1:])(x) - y
    return f"{np.sqrt(np.mean(apart**2)):.3f}"


def plain(images: Pixels) -> list[tuple[str, Pixels]]:
    return [("", image) for image in images]


def painted(folder: Path, run: Path, image: Pixels) -> list[Row]:
    """Two ways to paint the hidden right half."""
    mask = np.zeros((8, 8), np.uint8)
    mask[:, 4:] = 255
    given, hidden = picture(folder, "digit", image), picture(folder, "mask", mask)
    shown = np.stack([image] * 3, -1)
    shown[:, 4:] = (90, 130, 190)
    rows = []
    for method, label in (("repaint", "RePaint"), ("dps", "DPS")):
        words = ("inpaint", run, given, "--mask", hidden, "--method", method)
        found = drawn(folder, *words, "--num-samples", DRAWN)
        apart = found[:, :, :4].astype(float) - image[:, :4]
        said = f"{np.sqrt(np.mean((apart / 255) ** 2)):.3f}"
        rows.append(Row(f"inpaint, {label}", [("", shown)], plain(found), image, said))
    return rows


def enlarged(folder: Path, run: Path, trained: Path, image: Pixels) -> list[Row]:
    """Four times as large: held to the picture, and by a network trained for it."""
    low = np.rint(image.reshape(2, 4, 2, 4).mean((1, 3))).astype(np.uint8)
    small, rows = picture(folder, "low", low), []
    for method, label in (("ddnm", "DDNM"), ("dps", "DPS"), ("sr3", "SR3")):
        which = trained if method == "sr3" else run
        words = ("super-resolve", which, small, "--method", method, "--num-samples", DRAWN)
        found = drawn(folder, *words)
        said = off(found, low, "downsample:4")
        rows.append(Row(f"super-resolve 4 x, {label}", [("", low)], plain(found), image, said))
    return rows


def restored(folder: Path, run: Path, colours: Path, image: Pixels, red: Pixels) -> list[Row]:
    """Each degradation undone."""
    rng, rows = np.random.default_rng(0), []
    clean = image[None, None] / 255.0
    for kind, name, sigma in (
        ("noise", "noise 0.3", 0.3),
        ("blur:1", "blur 1", 0.02),
        ("downsample:2", "half size", 0.0),
    ):
        seen = degradation(kind, (1, 8, 8))(clean)[0, 0]
        noisy = np.clip(seen + sigma * rng.standard_normal(seen.shape), 0, 1)
        y = np.rint(255 * noisy).astype(np.uint8)
        words = ("restore", run, picture(folder, "y", y), "--degradation", kind)
        found = drawn(folder, *words, "--noise", sigma, "--num-samples", DRAWN)
        said = off(found, y, kind)
        rows.append(Row(f"restore, {name}, DDNM", [("", y)], plain(found), image, said))
    of = degradation("grey", (3, 8, 8))
    grey = np.rint(of(red.transpose(2, 0, 1)[None].astype(float))[0, 0]).astype(np.uint8)
    words = ("restore", colours, picture(folder, "grey", grey), "--degradation", "grey")
    found = drawn(folder, *words, "--num-samples", DRAWN)
    rows.append(
        Row("restore, colours, DDNM", [("", grey)], plain(found), red, off(found, grey, "grey"))
    )
    return rows


def changed(folder: Path, run: Path, image: Pixels, other: Pixels) -> list[Row]:
    """Edited, inverted, and between two."""
    sketch = np.zeros((8, 8), np.uint8)
    sketch[1, 2:6] = sketch[1:7, 5] = 255  # a seven, by ruler
    given, strengths = picture(folder, "sketch", sketch), (0.2, 0.35, 0.5, 0.65, 0.8, 1.0)
    edits = []
    for strength in strengths:
        words = ("edit", run, given, "--strength", strength, "--num-samples", 1)
        edits.append((f"{strength:g}", drawn(folder, *words)[0]))
    one, two = picture(folder, "one", image), picture(folder, "two", other)
    again = drawn(folder, "invert", run, one)[0]
    noise = np.load(folder / "drawn" / "noise.npy")[0, 0]
    seen = np.rint(255 * np.clip(0.5 + noise / 6, 0, 1)).astype(np.uint8)
    said = f"{np.sqrt(np.mean(((again.astype(float) - image) / 255) ** 2)):.3f}"
    between = drawn(folder, "interpolate", run, one, two, "--frames", DRAWN)
    return [
        Row("edit, by strength", [("", sketch)], edits),
        Row("invert", [("", image)], [("its noise", seen), ("drawn again", again)], image, said),
        Row("interpolate", [("", image), ("", other)], plain(between)),
    ]


def labelled(folder: Path, run: Path) -> list[Row]:
    """The same noise, asked for by label."""
    rows = []
    for scale in (1, 3):
        labels = [str(k) for k in range(DRAWN)]
        words = ("sample", run, "--label", *labels, "--guidance", scale, "--num-samples", DRAWN)
        found = drawn(folder, *words)
        told = list(zip(labels, found, strict=True))
        rows.append(Row(f"sample, guidance {scale}", [], told))
    return rows


def sheet(rows: Sequence[Row], path: Path) -> None:
    """A row a task: what is given, what is drawn, and what it was."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    wide, lefts = 2.9, {"given": 2.9, "drawn": 5.2, "truth": 5.5 + DRAWN}
    width, height = lefts["truth"] + wide, 1.12 * len(rows) + 0.8
    figure = Figure(figsize=(0.72 * width, 0.72 * height), dpi=110)
    figure.patch.set_facecolor("white")

    def write(x: float, y: float, text: str, **how: Any) -> None:
        figure.text(x / width, 1 - y / height, text, color="#303030", **how)

    def show(x: float, y: float, image: Pixels) -> None:
        axes = figure.add_axes((x / width, 1 - (y + 0.9) / height, 0.9 / width, 0.9 / height))
        axes.imshow(image, cmap="gray", vmin=0, vmax=255, interpolation="nearest")
        axes.set_xticks([])
        axes.set_yticks([])
        for spine in axes.spines.values():
            spine.set_color("#b0b0b0")

    heads = (("given", "given"), ("drawn", "drawn"), ("truth", "was"))
    for place, head in heads:
        write(lefts[place], 0.45, head, fontsize=10, fontweight="bold")
    write(lefts["truth"] + 1.1, 0.45, "off by", fontsize=10, fontweight="bold")
    for i, row in enumerate(rows):
        y = 0.65 + 1.12 * i
        write(0.15, y + 0.55, row.name, fontsize=10, va="center")
        for place, images in (("given", row.given), ("drawn", row.drawn)):
            for j, (told, image) in enumerate(images):
                show(lefts[place] + j, y, image)
                if told:
                    write(lefts[place] + j + 0.45, y - 0.02, told, fontsize=7, ha="center")
        if row.truth is not None:
            show(lefts["truth"], y, row.truth)
        write(lefts["truth"] + 1.1, y + 0.55, row.said, fontsize=10, va="center")
    FigureCanvasAgg(figure).print_png(str(path))


def main() -> None:
    """Train, do all of it, and write the sheet."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--picture", type=Path, default=Path(".github/tasks.png"))
    asked = parser.parse_args()
    folder, digits = asked.folder, load_digits()[:, 0]
    folder.mkdir(parents=True, exist_ok=True)
    train(folder)
    run, colours = folder / "digits", folder / "colours"
    rows = [
        *painted(folder, run, digits[3]),
        *enlarged(folder, run, folder / "sr3", digits[0]),
        *restored(folder, run, colours, digits[5], coloured(digits[8], 0)),
        *changed(folder, run, digits[3], digits[0]),
        *labelled(folder, colours),
    ]
    sheet(rows, asked.picture)


if __name__ == "__main__":
    main()
