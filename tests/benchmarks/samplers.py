"""Quality against evaluations of the network, for every sampler and every spacing.

    python -m tests.benchmarks.samplers FOLDER [--run RUN] [--picture FILE.png]

draws digits with a run (--run; else one is trained into FOLDER as ``ddpm-mindspore train`` does it)
and measures the Frechet distance over pixels to the real digits (``evaluation/frechet.py``).
FOLDER keeps ``samplers.json``: a measurement that is there is not made again, so that the command
can be stopped and goes on. It prints the tables; --picture writes a plot.

Evaluations
    of the network, at most so many: heun and dpm++2s take two a step, but for the last, and plms
    one more than steps.
Repetitions
    five, with seeds that training does not use, the same for all: a distance is the mean of theirs,
    and +- their standard deviation. Each is of --samples images; the fewer they are, the larger is
    what the estimate adds (about 32 / images: ``digits_quality.py``), for all alike.
Spacings
    all of them at up to 20 evaluations; more with the one that was best at 10. T evaluations are
    those of the whole chain, with uniform times.
"""

from __future__ import annotations

import argparse
import json
import subprocess
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from ddpm_mindspore.accelerated.process import to_uint8
from ddpm_mindspore.accelerated.system.files import write_json
from ddpm_mindspore.reference.config.samplers import SPACINGS
from ddpm_mindspore.reference.evaluation.features import flat
from ddpm_mindspore.reference.evaluation.frechet import frechet_distance

Found: TypeAlias = dict[str, Any]

KINDS: dict[str, tuple[str, dict[str, Any]]] = {
    "ancestral": ("ancestral", {}),
    "ancestral, beta": ("ancestral", {"variance": "beta"}),
    "dpm++2m-sde": ("dpm++2m-sde", {}),
    "ddim, euler": ("ddim", {}),
    "heun": ("heun", {}),
    "plms": ("plms", {}),
    "deis, order 2": ("deis", {"order": 2}),
    "deis, order 3": ("deis", {"order": 3}),
    "dpm++2s": ("dpm++2s", {}),
    "dpm++2m": ("dpm++2m", {}),
    "dpm++3m": ("dpm++3m", {}),
    "unipc, order 2": ("unipc", {"order": 2}),
    "unipc, order 3": ("unipc", {"order": 3}),
}
"""What is compared; euler without churn is ddim."""

PLACES = tuple(spacing for spacing in SPACINGS if spacing not in ("trailing", "linspace"))
"""The spacings that are compared: where n divides T, trailing is uniform."""

FEW, MANY = (2, 5, 10, 20), (50, 100)
WHOLE = 1000
SEEDS = range(1001, 1006)


class Measured:
    """The measurements of a folder, and the run that they are of."""

    def __init__(self, folder: Path, samples: int) -> None:
        self.path, self.samples = folder / "samplers.json", samples
        self.found: list[Found] = []
        if self.path.exists():
            known = json.loads(self.path.read_text(encoding="utf-8"))
            if known["samples"] != samples:
                raise SystemExit(f"{self.path} is of --samples {known['samples']}")
            self.found = known["found"]

    def of(self, kind: str, spacing: str, at_most: int) -> Found | None:
        """What was measured, if it was."""
        key = (kind, spacing, at_most)
        return next((x for x in self.found if (x["kind"], x["spacing"], x["at_most"]) == key), None)

    def done(self, *key: Any) -> bool:
        """Whether all repetitions were made."""
        found = self.of(*key)
        return found is not None and len(found["distances"]) == len(SEEDS)

    def add(self, found: Found) -> None:
        """Keep one more, or one with more repetitions."""
        key = (found["kind"], found["spacing"], found["at_most"])
        self.found = [x for x in self.found if (x["kind"], x["spacing"], x["at_most"]) != key]
        self.found.append(found)
        write_json(self.path, {"samples": self.samples, "found": self.found})

    def best(self, kind: str) -> str:
        """The spacing with the smallest distance at 10 evaluations."""
        at_10 = {spacing: self.of(kind, spacing, 10) for spacing in PLACES}
        mean = {spacing: np.mean(x["distances"]) for spacing, x in at_10.items() if x}
        return min(mean, key=lambda spacing: mean[spacing])


class Drawer:
    """Draws digits with a run, and says how far they are from the real ones."""

    def __init__(self, run: Path, samples: int) -> None:
        from ddpm_mindspore.accelerated import open_run
        from ddpm_mindspore.accelerated.data import load_digits

        self.diffusion, self.samples = open_run(run).diffusion, samples
        self.real = flat(load_digits())

    def measure(
        self, kind: str, spacing: str, at_most: int, known: Found | None
    ) -> Iterator[Found]:
        """The distance of each repetition that is not known yet, with those before."""
        sampler, options = KINDS[kind]
        told = {"sampler": sampler, "spacing": spacing, **options}
        steps = self._steps(at_most, told)
        distances = list(known["distances"]) if known else []
        for seed in SEEDS[len(distances) :]:
            drawn = self.diffusion.sample(self.samples, seed=seed, sampling_timesteps=steps, **told)
            distances.append(frechet_distance(flat(to_uint8(drawn)), self.real))
            yield {
                "kind": kind,
                "spacing": spacing,
                "at_most": at_most,
                "steps": steps,
                "evaluations": len(self.diffusion.plan(sampling_timesteps=steps, **told)),
                "distances": distances,
            }

    def _steps(self, at_most: int, told: dict[str, Any]) -> int:
        """As many as make no more evaluations."""
        fewest = range(at_most, 0, -1)
        plans = ((n, self.diffusion.plan(sampling_timesteps=n, **told)) for n in fewest)
        return next((n for n, plan in plans if len(plan) <= at_most), 1)


def wanted(measured: Measured) -> Iterator[tuple[str, str, int]]:
    """What is to be measured; more than a few evaluations with the best spacing of few."""
    for n, kind, spacing in product(reversed(FEW), KINDS, PLACES):
        yield kind, spacing, n
    for n, kind in product(MANY, KINDS):
        yield kind, measured.best(kind), n
    for kind in KINDS:
        yield kind, "uniform", WHOLE


def said(found: Found | None) -> str:
    """A cell of a table."""
    count = len(found["distances"]) if found else 0
    if found is None or count < 2:
        return ""
    cell = f"{np.mean(found['distances']):.3f} ± {np.std(found['distances'], ddof=1):.3f}"
    return cell if count == len(SEEDS) else f"{cell} (of {count})"


def by_evaluations(measured: Measured) -> str:
    """The Markdown table of samplers, each with its best spacing; of counts that were measured."""
    counts = sorted({found["at_most"] for found in measured.found})
    head = f"| sampler | spacing | {' | '.join(map(str, counts))} |"
    lines = [head, "|---" * (2 + len(counts)) + "|"]
    for kind in KINDS:
        best = measured.best(kind)
        cells = [said(measured.of(kind, "uniform" if n == WHOLE else best, n)) for n in counts]
        lines.append(f"| {kind} | {best} | {' | '.join(cells)} |")
    return "\n".join(lines)


def by_spacing(measured: Measured, at_most: int) -> str:
    """The Markdown table of spacings, at so many evaluations."""
    head = f"| {at_most} evaluations | {' | '.join(PLACES)} |"
    lines = [head, "|---" * (1 + len(PLACES)) + "|"]
    for kind in KINDS:
        cells = [said(measured.of(kind, spacing, at_most)) for spacing in PLACES]
        lines.append(f"| {kind} | {' | '.join(cells)} |")
    return "\n".join(lines)


def trained(folder: Path) -> Path:
    """A run of the first command of the README, made where there is none yet."""
    run = folder / "run"
    if not run.exists():
        subprocess.run(["ddpm-mindspore", "train", "--results-folder", str(run)], check=True)
    return run


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--run", type=Path)
    parser.add_argument("--samples", type=int, default=200)
    parser.add_argument("--picture", type=Path)
    parser.add_argument("--only-tables", action="store_true", help="of what was measured so far")
    asked = parser.parse_args()
    asked.folder.mkdir(parents=True, exist_ok=True)
    measured = Measured(asked.folder, asked.samples)
    if not asked.only_tables:
        drawer = Drawer(asked.run or trained(asked.folder), asked.samples)
        for key in wanted(measured):
            if not measured.done(*key):
                for found in drawer.measure(*key, measured.of(*key)):
                    measured.add(found)
                print(*key, said(measured.of(*key)), flush=True)
    print(by_evaluations(measured), *(by_spacing(measured, n) for n in FEW), sep="\n\n")
    if asked.picture:
        from .sampler_plot import save

        save(measured, asked.picture)


if __name__ == "__main__":
    main()
