"""A colour that the model of the package does not know is taught to it with five pictures.

    python tests/benchmarks/lora.py FOLDER [--picture FILE.png] [--json FILE.json]

writes five scenes with one purple digit each into FOLDER/five, what is said of them, and texts of
what the model knows (prior.txt); trains low-rank factors on them (``ddpm-mindspore train
--lora-rank``), which takes minutes; and has sentences painted before and after: with purple in
them, and without. What was painted is read by who has seen real digits alone
(``accelerated/obedience``), with five colours to choose from.

purple asked for    sentences of a purple digit and one of another colour, of all pairs of digits
                    but those of the five pictures: is that digit purple, is the other one as it was
                    asked for, are the digits right?
as before           sentences of the four colours: are digits and colours still right, and how many
                    of the digits are purple, which was not asked for?

Given again, it goes on where it was stopped.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from ddpm_mindspore.accelerated.choices import SCENE_PAINTER
from ddpm_mindspore.accelerated.cli import main as command
from ddpm_mindspore.accelerated.data.digits import digit_labels, load_digits
from ddpm_mindspore.accelerated.data.sayings import COLOURS, LAYOUTS, SAYINGS, Facts, saying
from ddpm_mindspore.accelerated.data.scenes import RGB, SIDE, place_of
from ddpm_mindspore.accelerated.obedience.scenes import Reader, sentences, told_of
from ddpm_mindspore.accelerated.process import to_uint8
from ddpm_mindspore.accelerated.reports import pictures
from ddpm_mindspore.accelerated.runs.opened import OpenedRun
from ddpm_mindspore.accelerated.weights.lora import add_lora, read_lora
from ddpm_mindspore.accelerated.weights.shipped import SHIPPED, open_shipped

PURPLE = {"purple": (200, 60, 230)}
SIGN = "紫"

FIVE = (
    Facts(LAYOUTS[0], (3, 8), ("purple", "green")),
    Facts(LAYOUTS[0], (7, 2), ("yellow", "purple")),
    Facts(LAYOUTS[1], (5, 0), ("purple", "red")),
    Facts(LAYOUTS[1], (6, 4), ("blue", "purple")),
    Facts(LAYOUTS[0], (1, 9), ("purple", "blue")),
)
"""Every digit once, both places of both layouts, beside each of the other colours."""

OPTIONS = ("--lora-rank", "8", "--lora-text-encoder", "--steps", "1000")
HEAD = 24  # pixels above the pictures


class Asked(NamedTuple):
    """Sentences, and what they ask for."""

    texts: list[str]
    told: list[Facts]


def said(facts: Facts, number: int) -> str:
    """One of the sentences about a scene, purple or not."""
    if "purple" not in facts.colours:
        return saying(facts, number)
    # As of a colour that stands nowhere else in the scene.
    other = next(name for name in COLOURS if name not in facts.colours)
    first, second = (other if name == "purple" else name for name in facts.colours)
    plain = saying(facts._replace(colours=(first, second)), number)
    return plain.replace(COLOURS[other], SIGN)


def scene(facts: Facts, rng: np.random.Generator) -> NDArray[np.uint8]:
    """A picture (3, 16, 16) of real digits."""
    image = np.zeros((3, SIDE, SIDE), np.uint8)
    for place, digit, colour in zip(*facts, strict=True):
        ink = load_digits()[rng.choice(np.flatnonzero(digit_labels() == digit)), 0]
        level = np.array((RGB | PURPLE)[colour]) / 255.0
        place_of(image, place)[...] = np.rint(level[:, None, None] * ink)
    return image


def write_five(folder: Path, known: list[str]) -> None:
    """The pictures, what may be said of each, and texts of what the model knows."""
    rng = np.random.default_rng(0)
    folder.mkdir(parents=True, exist_ok=True)
    lines = ["dir,text"]
    for number, facts in enumerate(FIVE):
        picture = scene(facts, rng).transpose(1, 2, 0)
        Image.fromarray(np.ascontiguousarray(picture)).save(folder / f"{number}.png")
        lines += [f'{number}.png,"{said(facts, way)}"' for way in range(SAYINGS)]
    (folder / "texts.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    (folder / "prior.txt").write_text("\n".join(known) + "\n", encoding="utf-8")


def with_purple(count: int, seed: int = 0) -> Asked:
    """Of all pairs of digits but the five, in turn; the rest at random."""
    rng = np.random.default_rng(seed)
    pairs = [(a, b) for a in range(10) for b in range(10)]
    pairs = [pair for pair in pairs if pair not in [facts.digits for facts in FIVE]]
    told = []
    for number in range(count):
        colours = ["purple", str(rng.choice([*RGB]))]
        first, second = colours if rng.integers(2) else colours[::-1]
        layout = LAYOUTS[rng.integers(2)]
        told.append(Facts(layout, pairs[number * 7 % len(pairs)], (first, second)))
    return Asked([said(facts, int(rng.integers(SAYINGS))) for facts in told], told)


def painted(run: OpenedRun, texts: list[str], seed: int = 1) -> NDArray[np.uint8]:
    """A picture of each text, by the run's own guidance."""
    return to_uint8(run.diffusion.sample(100, num_samples=len(texts), condition=texts, seed=seed))


def shares(seen: list[Facts], told: list[Facts]) -> dict[str, Any]:
    """How much of what was asked for is seen, purple and the others apart."""
    pairs = [(a, b, k) for a, b in zip(seen, told, strict=True) for k in (0, 1)]
    purple = [a.colours[k] == "purple" for a, b, k in pairs if b.colours[k] == "purple"]
    others = [a.colours[k] == b.colours[k] for a, b, k in pairs if b.colours[k] != "purple"]
    unasked = [a.colours[k] == "purple" for a, b, k in pairs if b.colours[k] != "purple"]
    return {
        "digits": float(np.mean([a.digits[k] == b.digits[k] for a, b, k in pairs])),
        "layouts": float(np.mean([a.places == b.places for a, b in zip(seen, told, strict=True)])),
        "purple": float(np.mean(purple)) if purple else None,
        "other colours": float(np.mean(others)),
        "purple unasked": float(np.mean(unasked)),
        "of": len(told),
    }


def sheet(texts: list[str], runs: dict[str, OpenedRun]) -> Image.Image:
    """A row for each text: what each run paints of it, three times."""
    three = [text for text in texts for _ in range(3)]
    drawn = [painted(run, three, seed=5).reshape(len(texts), 3, -1) for run in runs.values()]
    apart = np.full((len(texts), 1, drawn[0].shape[2]), 255, np.uint8)
    columns = np.concatenate((drawn[0], apart, drawn[1]), axis=1).swapaxes(0, 1)
    each = columns.reshape(-1, 3, SIDE, SIDE)
    page, narrow = pictures.rows_of_classes(each, texts), pictures.grid(each, len(columns))
    whole = Image.new("RGB", (page.width, page.height + HEAD), "white")
    whole.paste(page, (0, HEAD))
    font = ImageFont.load_default(size=15)
    for name, middle in zip(runs, (1.5, 5.5), strict=True):
        at = (page.width - narrow.width * (1 - middle / len(columns)), HEAD / 2)
        ImageDraw.Draw(whole).text(at, name, fill="#404040", font=font, anchor="mm")
    return whole


def measure(folder: Path, count: int, picture: Path | None) -> dict[str, Any]:
    """Teach it, paint, read."""
    known = sentences(100, seed=11)
    write_five(folder / "five", known)
    run, began = folder / "run", time.perf_counter()
    words = ["train", "--resume"] if (run / "checkpoints").exists() else ["train", *OPTIONS]
    if words[-1] != "--resume":
        words += ["--data", str(folder / "five"), "--caption-encoding", "utf-8"]
        words += ["--prior", str(folder / "five" / "prior.txt")]
    if command([*words, "--results-folder", str(run)]):
        raise SystemExit("training did not come to its end")
    seconds = round(time.perf_counter() - began)
    if command(["export", str(run)]):
        raise SystemExit("the factors could not be exported")
    file = run / "lora.safetensors"
    before, after = (open_shipped(SHIPPED[Path(SCENE_PAINTER)]) for _ in range(2))
    config: Any = after.diffusion.model.config
    after = add_lora(after, read_lora(file, config))
    reader = Reader(colours=RGB | PURPLE)
    old = Asked(asked := sentences(count, seed=3), [told_of(text) for text in asked])
    found: dict[str, Any] = {"seconds": seconds, "bytes": file.stat().st_size}
    for name, opened in (("before", before), ("after", after)):
        for what, part in (("purple asked for", with_purple(count)), ("as before", old)):
            seen = reader.read(painted(opened, part.texts), part.told)
            found[f"{what}, {name}"] = shares(seen, part.told)
            print(f"{what}, {name}", found[f"{what}, {name}"], flush=True)
    rng = np.random.default_rng(2)
    told = with_purple(400).told
    real = np.stack([scene(facts, rng) for facts in told])
    found["real scenes"] = shares(reader.read(real, told), told)
    if picture is not None:
        shown = with_purple(5, seed=9).texts + asked[:2]
        print(*shown, sep="\n")
        sheet(shown, {"before": before, "after": after}).save(picture)
    return found


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--ask", type=int, default=400)
    parser.add_argument("--picture", type=Path)
    parser.add_argument("--json", type=Path)
    asked = parser.parse_args()
    found = measure(asked.folder, asked.ask, asked.picture)
    text = json.dumps(found, indent=1, ensure_ascii=False)
    print(text)
    if asked.json:
        asked.json.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
