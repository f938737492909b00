"""How far does the model that paints animals, plants, food and faces obey, and what does it copy?

    python -m tests.benchmarks.painter_pictures [--ask 400] [--picture FILE.png] [--json FILE]

has captions of the data painted by the model of the package (or by --run RUN), and as many of
things in the style in which training never shows them; read by who knows the real pictures alone
(``accelerated/obedience``): a row for each scale of guidance. Then the controls: the pictures of
guidance 2 judged by the caption of the one before (rotated), and as many that were painted of the
empty text; real pictures; and chance.

Copies
    How far a painted picture is from the nearest that training shows, root mean square of values
    from 0 to 1, all of them laid over the background that was asked for; how often that is the one
    that the caption asks for, in its style or in the other one; and how far a real picture is from
    the nearest other one. ``--picture`` lays painted pictures over the nearest of training: the
    upper rows of what was shown, the lower ones of what was not.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ddpm_mindspore.accelerated.data import read_spread
from ddpm_mindspore.accelerated.data.pictures import (
    STYLES,
    PictureImages,
    Shown,
    concepts,
    held_out,
    pictures,
)
from ddpm_mindspore.accelerated.obedience.judge import Pixels
from ddpm_mindspore.accelerated.obedience.pictures import Asked, Pictures, asked_of
from ddpm_mindspore.accelerated.process import to_uint8
from ddpm_mindspore.accelerated.reports.pictures import grid, save_png
from ddpm_mindspore.reference.evaluation.neighbours import nearest

from .painter import SCALES, painter, row_of

COLUMNS = 12
"""Pictures in a row of the sheet, which has four."""


def rows_of(images: Pixels) -> NDArray[np.float64]:
    """Each picture as a row, so that distances are root mean squares of values from 0 to 1."""
    return images.reshape(len(images), -1) / 255.0 / np.sqrt(images[0].size)


def on(background: str) -> tuple[list[Shown], Pixels]:
    """What training shows on a background."""
    shown = [
        Shown(number, style, background)
        for number in range(len(concepts()))
        for style in STYLES
        if (number, style) not in held_out()
    ]
    return shown, pictures(shown)


def copied(drawn: Pixels, asked: list[Asked]) -> tuple[dict[str, Any], Pixels]:
    """How near pictures are to those of training; and the nearest of each."""
    found, distance = np.zeros_like(drawn), np.zeros(len(drawn))
    own, thing = np.zeros(len(drawn), bool), np.zeros(len(drawn), bool)
    for background in sorted({each.background for each in asked}):
        shown, real = on(background)
        places = [i for i, each in enumerate(asked) if each.background == background]
        near = nearest(rows_of(drawn[places]), rows_of(real))
        found[places], distance[places] = real[near.which], near.distance
        for place, which in zip(places, near.which, strict=True):
            thing[place] = shown[which].concept in asked[place].things
            own[place] = thing[place] and shown[which].style == asked[place].style
    return {
        "least": float(distance.min()),
        "half": float(np.median(distance)),
        "the one asked for": float(own.mean()),
        "or in the other style": float(thing.mean()),
    }, found


def measure(diffusion: Any, count: int, picture: Path | None) -> dict[str, Any]:
    """All rows, by name."""
    judge = Pictures()
    # In another order than that of things, whose neighbours are alike.
    order = np.random.default_rng(0).permutation(count)
    parts = {
        "shown": np.array(read_spread(PictureImages(), count).captions)[order].tolist(),
        "held-out": np.array(judge.never_shown(count))[order].tolist(),
    }
    rows: dict[str, Any] = {}

    def draw(condition: Any, scale: float) -> Pixels:
        options = {"condition": condition, "cond_scale": scale, "seed": 1}
        return np.asarray(to_uint8(diffusion.sample(100, num_samples=count, **options)))

    def add(name: str, shares: Any) -> None:
        if not rows:
            print(f"{'':32}" + "".join(f"{what:>12}" for what in shares))
        rows[name] = {what: share._asdict() for what, share in shares.items()}
        print(row_of(name, shares), flush=True)

    sheet, near = [], {}
    for scale in SCALES:
        for part, captions in parts.items():
            drawn = draw(captions, scale)
            add(f"guidance {scale:g}, {part}", judge.shares(drawn, captions))
            if scale == 2.0:
                if part == "shown":
                    add("rotated by one", judge.shares(drawn, np.roll(captions, 1).tolist()))
                near[part], found = copied(drawn, [asked_of(caption) for caption in captions])
                sheet += [drawn[:COLUMNS], found[:COLUMNS]]
    add("the empty text", judge.shares(draw("", 1.0), parts["shown"]))
    for name, shares in judge.of_real().items():
        add(f"real pictures: {name}", shares)
    print(f"{'by chance':32}", judge.by_chance(parts["shown"]))
    _, real = on("white")
    among = nearest(rows_of(real), rows_of(real), others=True).distance
    near["real"] = {"least": float(among.min()), "half": float(np.median(among))}
    for name, figures in near.items():
        print(f"nearest of training, {name}:", {what: round(v, 3) for what, v in figures.items()})
    if picture is not None:
        save_png(grid(np.concatenate(sheet), COLUMNS), picture)
    return rows | {"nearest": near}


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--run", type=Path, default=Path("painter-pictures"))
    parser.add_argument("--ask", type=int, default=400)
    parser.add_argument("--picture", type=Path)
    parser.add_argument("--json", type=Path)
    asked = parser.parse_args()
    rows = measure(painter(asked.run), asked.ask, asked.picture)
    if asked.json:
        asked.json.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
