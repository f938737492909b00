"""How far does the model that paints digit scenes obey, and does it only copy?

    python tests/benchmarks/painter.py [--run RUN] [--ask 400] [--json FILE]

has sentences painted, of all 100 pairs of digits equally many, by the model of the package (or by a
run), and read by what has seen real digits alone (``obedience.py``): a row for each scale of
guidance. Then the controls: the pictures of the last scale judged by the sentence of the one before
(rotated), and as many that were painted of the empty text.

Copies
    How far each painted digit is from the nearest of the 1,797 real ones that scenes are made of,
    root mean square over its 64 pixels of ink from 0 to 1; and how far a real digit is from the
    nearest other one. What is copied would be at 0.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ddpm_mindspore.accelerated import open_run
from ddpm_mindspore.accelerated.data.digits import load_digits
from ddpm_mindspore.accelerated.data.sayings import facts_of
from ddpm_mindspore.accelerated.process import to_uint8
from ddpm_mindspore.accelerated.weights.shipped import open_shipped

SCALES = (1.0, 1.5, 2.0, 3.0)
WHAT = ("digits", "colours", "layouts", "scenes")


def _judge() -> Any:
    """``obedience.py``, which lies beside this."""
    path = Path(__file__).with_name("obedience.py")
    spec = importlib.util.spec_from_file_location("obedience", path)
    assert spec is not None and spec.loader is not None
    module = sys.modules["obedience"] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


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
    return f"{name:32}" + "".join(f"{part[what].share:10.1%}" for what in WHAT)


def measure(diffusion: Any, count: int) -> dict[str, Any]:
    """All rows, by name."""
    judge = _judge()
    reader = judge.Reader()
    # In another order than that of pairs, whose neighbours have a digit in common.
    asked = np.random.default_rng(0).permutation(judge.sentences(count)).tolist()
    told = [facts_of(sentence) for sentence in asked]
    rows: dict[str, Any] = {}

    def draw(condition: Any, scale: float) -> Any:
        options = {"condition": condition, "cond_scale": scale, "seed": 1}
        return to_uint8(diffusion.sample(100, num_samples=count, **options))

    def add(name: str, part: dict[str, Any]) -> None:
        rows[name] = {what: part[what]._asdict() for what in WHAT}
        print(row_of(name, part), flush=True)

    print(f"{'':32}" + "".join(f"{what:>10}" for what in WHAT))
    drawn = {scale: draw(asked, scale) for scale in SCALES}
    for scale, images in drawn.items():
        result = judge.obedience(images, asked, reader)
        for pairs in ("seen pairs", "held-out pairs"):
            add(f"guidance {scale:g}, {pairs}", result[pairs])
    add("rotated by one", result["rotated captions"])
    add("the empty text", judge.obedience(draw("", 1.0), asked, reader)["all"])
    inks, real = reader.inks(drawn[2.0], told), load_digits()[:, 0]
    rows["nearest"] = {
        name: np.quantile(nearest(digits, real), (0.0, 0.05, 0.5)).tolist()
        for name, digits in (("painted", inks), ("real", real))
    }
    for name, (least, few, half) in rows["nearest"].items():
        print(f"{name} digits from the nearest: least {least:.3f}, 5 % {few:.3f}, half {half:.3f}")
    return rows


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--run", type=Path)
    parser.add_argument("--ask", type=int, default=400)
    parser.add_argument("--json", type=Path)
    asked = parser.parse_args()
    run = open_shipped() if asked.run is None else open_run(asked.run)
    rows = measure(run.diffusion, asked.ask)
    if asked.json:
        asked.json.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
