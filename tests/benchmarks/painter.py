"""How far does the model that paints digit scenes obey, and does it only copy?

    python tests/benchmarks/painter.py [--run RUN] [--ask 400] [--json FILE]

has sentences painted, of all 100 pairs of digits equally many, by the model of the package (or by a
run), and read by who has seen real digits alone (``accelerated/obedience``): a row for each scale
of guidance. Then the controls: the pictures of the last scale judged by the sentence of the one
before (rotated), and as many that were painted of the empty text; and real scenes.

Copies
    How far each painted digit is from the nearest of the 1,797 real ones that scenes are made of,
    root mean square over its 64 pixels of ink from 0 to 1; and how far a real digit is from the
    nearest other one. What is copied would be at 0.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ddpm_mindspore.accelerated import open_run
from ddpm_mindspore.accelerated.data.digits import load_digits
from ddpm_mindspore.accelerated.data.scenes import HELD_OUT
from ddpm_mindspore.accelerated.obedience.scenes import Reader, Scenes, sentences, told_of
from ddpm_mindspore.accelerated.process import to_uint8
from ddpm_mindspore.accelerated.weights.shipped import SHIPPED, open_shipped

SCALES = (1.0, 1.5, 2.0, 3.0)


def nearest(inks: NDArray[np.uint8], real: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Of each of (N, 8, 8) how far it is from the nearest real digit (M, 8, 8) but itself."""
    one, other = (x.reshape(len(x), -1) / 255.0 for x in (inks, real))
    squares = (one**2).sum(1)[:, None] + (other**2).sum(1) - 2 * one @ other.T
    if inks is real:
        np.fill_diagonal(squares, np.inf)
    found: NDArray[np.float64] = np.sqrt(np.maximum(squares, 0.0).min(1) / 64)
    return found


def row_of(name: str, part: dict[str, Any]) -> str:
    """A row of the table."""
    return f"{name:32}" + "".join(f"{share.value:10.1%}" for share in part.values())


def measure(diffusion: Any, count: int) -> dict[str, Any]:
    """All rows, by name."""
    judge = Scenes(reader := Reader())
    # In another order than that of pairs, whose neighbours have a digit in common.
    asked = np.random.default_rng(0).permutation(sentences(count)).tolist()
    told = [told_of(sentence) for sentence in asked]
    unseen = np.array([facts.digits in HELD_OUT for facts in told])
    parts = {"seen pairs": ~unseen, "held-out pairs": unseen}
    rows: dict[str, Any] = {}

    def draw(condition: Any, scale: float) -> Any:
        options = {"condition": condition, "cond_scale": scale, "seed": 1}
        return to_uint8(diffusion.sample(100, num_samples=count, **options))

    def add(name: str, images: Any, captions: list[str]) -> None:
        shares = judge.shares(images, captions)
        if not rows:
            print(f"{'':32}" + "".join(f"{what:>10}" for what in shares))
        rows[name] = {what: share._asdict() for what, share in shares.items()}
        print(row_of(name, shares), flush=True)

    drawn = {scale: draw(asked, scale) for scale in SCALES}
    for scale, images in drawn.items():
        for pairs, there in parts.items():
            captions = [asked[i] for i in np.flatnonzero(there)]
            add(f"guidance {scale:g}, {pairs}", images[there], captions)
    add("rotated by one", images, np.roll(asked, 1).tolist())
    add("the empty text", draw("", 1.0), asked)
    rows["real scenes"] = {what: s._asdict() for what, s in judge.of_real()["real"].items()}
    print(row_of("real scenes", judge.of_real()["real"]))
    inks, real = reader.inks(drawn[2.0], told), load_digits()[:, 0]
    rows["nearest"] = {
        name: np.quantile(nearest(digits, real), (0.0, 0.05, 0.5)).tolist()
        for name, digits in (("painted", inks), ("real", real))
    }
    for name, (least, few, half) in rows["nearest"].items():
        print(f"{name} digits from the nearest: least {least:.3f}, 5 % {few:.3f}, half {half:.3f}")
    return rows


def painter(run: Path) -> Any:
    """The diffusion of a run, or of a model that comes with the package."""
    opened = open_shipped(SHIPPED[run]) if run in SHIPPED else open_run(run)
    return opened.diffusion


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--run", type=Path, default=Path("painter-scenes"))
    parser.add_argument("--ask", type=int, default=400)
    parser.add_argument("--json", type=Path)
    asked = parser.parse_args()
    rows = measure(painter(asked.run), asked.ask)
    if asked.json:
        asked.json.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
