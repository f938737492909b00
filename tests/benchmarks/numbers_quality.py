"""Train on a real table or a real series by the command line, and compare what is drawn.

    python -m tests.benchmarks.numbers_quality table  FOLDER [--steps N]
    python -m tests.benchmarks.numbers_quality series FOLDER [--steps N]

writes a CSV file, a run, a table (``.md``) and a plot (``.png``) into FOLDER.

table   569 cells of breast tissue, 30 measurements each: scikit-learn's copy of the Breast Cancer
        Wisconsin (Diagnostic) data (UCI, CC BY 4.0). Two thirds are trained on; what is drawn is
        compared with the third that was not (``two_samples.py``), and so are rows that were
        trained on, which shows what real rows would have.
series  12,000 places of a recorded membrane potential, matplotlib's sample ``membrane.dat``
        (matplotlib's licence). Windows of 128 places of the first three quarters are trained on;
        levels, steps from one place to the next and power at each frequency are compared with the
        last quarter.
"""

from __future__ import annotations

import argparse
import csv
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from . import two_samples

Array = NDArray[np.float64]
LENGTH = 128
RESOLUTION = 1 / 409.6
"""Of the recorder, by which neighbouring levels differ: finer steps cannot be compared."""


def write_csv(path: Path, columns: list[str], rows: Array) -> None:
    """Numbers with a header."""
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([columns, *rows.tolist()])


def run(folder: Path, data: Path, count: int, *options: str) -> Path:
    """Train and draw by the command line; the folder with what was drawn."""
    from ddpm_mindspore.accelerated.cli import main

    results = str(folder / "run")
    saved = ("--save-every", "1000000", "--results-folder", results)
    if main(["train", "--data", str(data), *options, *saved]):
        raise SystemExit("training failed")
    walk = ("--sampler", "ddim", "--sampling-timesteps", "100")
    if main(["sample", results, "--num-samples", str(count), *walk]):
        raise SystemExit("drawing failed")
    return folder / "run" / "drawn"


def table(folder: Path, steps: int) -> str:
    """Rows of a table."""
    from sklearn.datasets import load_breast_cancer

    data = load_breast_cancer()
    names = [str(name).replace(" ", "_") for name in data.feature_names]
    order = np.random.default_rng(0).permutation(len(data.data))
    cut = 2 * len(order) // 3
    trained_on, real = data.data[order[:cut]], data.data[order[cut:]]
    write_csv(folder / "table.csv", names, trained_on)
    given = ("--steps", str(steps), "--dropout", "0.1")
    drawn_in = run(folder, folder / "table.csv", len(trained_on), *given)
    with (drawn_in / "samples.csv").open(encoding="utf-8") as file:
        header, *rows = csv.reader(file)
    assert header == names
    drawn = np.array(rows, float)
    rng = np.random.default_rng(1)
    alone = np.stack([rng.permutation(column) for column in trained_on.T], 1)
    gauss = rng.multivariate_normal(trained_on.mean(0), np.cov(trained_on.T), len(trained_on))
    verdicts = {
        "drawn": two_samples.compare(drawn, real, trained_on),
        "real rows (trained on)": two_samples.compare(trained_on, real, trained_on),
        "a Gaussian of their mean and covariance": two_samples.compare(gauss, real, trained_on),
        "each column drawn alone": two_samples.compare(alone, real, trained_on),
    }
    _plot_table(folder / "table.png", drawn, real, names)
    return two_samples.markdown(verdicts)


def series(folder: Path, steps: int) -> str:
    """Windows of a series."""
    from matplotlib import cbook

    path = cbook.get_sample_data("membrane.dat", asfileobj=False)
    levels = np.fromfile(path, np.float32).astype(np.float64)
    cut = 3 * len(levels) // 4
    write_csv(folder / "series.csv", ["potential"], levels[:cut, None])
    given = ("--sequence-length", str(LENGTH), "--steps", str(steps), "--dim", "16")
    drawn_in = run(folder, folder / "series.csv", 128, *given)
    drawn = np.load(drawn_in / "samples.npy")[:, 0].astype(np.float64)
    parts = {"drawn": drawn, "real, held out": windows(levels[cut:])}
    parts["real, trained on"] = windows(levels[:cut])
    real = parts["real, held out"]
    lines = ["| | KS of levels | KS of steps | power, mean log ratio |", "|---|---|---|---|"]
    seen = parts["real, trained on"]
    pairs = {
        "drawn, beside what was held out": (drawn, real),
        "trained on, beside what was held out": (seen, real),
        "drawn, beside what was trained on": (drawn, seen),
    }
    for name, pair in pairs.items():
        numbers = (f"{value:.3f}" for value in compare_series(*pair))
        lines.append(f"| {name} | {' | '.join(numbers)} |")
    _plot_series(folder / "series.png", parts)
    return "\n".join(lines)


def windows(levels: Array) -> Array:
    """(N, LENGTH), side by side."""
    return levels[: len(levels) // LENGTH * LENGTH].reshape(-1, LENGTH)


def power(x: Array) -> Array:
    """Mean power at each frequency, of windows without their mean."""
    found: Array = (np.abs(np.fft.rfft(x - x.mean(1, keepdims=True))) ** 2).mean(0)[1:]
    return found


def compare_series(x: Array, y: Array) -> tuple[float, float, float]:
    """KS of levels, KS of steps in the recorder's units, and mean |log ratio| of the powers."""
    from scipy.stats import ks_2samp

    return (
        float(ks_2samp(x.ravel(), y.ravel()).statistic),
        float(ks_2samp(*(np.rint(np.diff(a) / RESOLUTION).ravel() for a in (x, y))).statistic),
        float(np.abs(np.log(power(x) / power(y))).mean()),
    )


def _plot_table(path: Path, drawn: Array, real: Array, names: list[str]) -> None:
    from ddpm_mindspore.accelerated.reports.plots import DRAWN, REAL

    figure, save = _figure(path, 12, 8)
    left, right = figure.subfigures(1, 2)
    grid = left.add_gridspec(3, 2)
    shown = (0, 1, 4, 6, 13, 20)
    for i, column in enumerate(shown):
        axes = left.add_subplot(grid[i // 2, i % 2])
        both = np.concatenate((drawn[:, column], real[:, column]))
        shape: dict[str, Any] = {"bins": np.linspace(both.min(), both.max(), 31), "density": True}
        axes.hist(real[:, column], color=REAL, alpha=0.45, label="real, held out", **shape)
        axes.hist(drawn[:, column], color=DRAWN, histtype="step", lw=1.5, label="drawn", **shape)
        axes.set_title(names[column], fontsize=9)
        axes.set_yticks([])
        if i == 0:
            axes.legend(frameon=False, fontsize=8)
    kinds = (("drawn", drawn, DRAWN), ("real, held out", real, REAL))
    grid = right.add_gridspec(3, 2)
    for i, (title, rows, colour) in enumerate(kinds):
        axes = right.add_subplot(grid[0, i])
        axes.imshow(two_samples.correlations(rows), vmin=-1, vmax=1, cmap="RdBu_r")
        axes.set_title(f"correlations, {title}", fontsize=9)
        axes.set_xticks([])
        axes.set_yticks([])
        axes = right.add_subplot(grid[1, i])
        axes.plot(rows[:, 0], rows[:, 6], ".", ms=4, mew=0, alpha=0.6, color=colour)
        axes.set(xlim=(5, 30), ylim=(-0.05, 0.45), xlabel=names[0], ylabel=names[6])
        axes.set_title(title, fontsize=9)
    axes = right.add_subplot(grid[2, :])
    upper = np.triu_indices(len(names), 1)
    pair = (two_samples.correlations(rows)[upper] for rows in (real, drawn))
    axes.plot(*pair, ".", ms=3, color=DRAWN, alpha=0.6)
    axes.plot((-0.5, 1), (-0.5, 1), lw=0.8, color="grey")
    axes.set(xlabel="correlation, real", ylabel="drawn")
    save()


def _plot_series(path: Path, parts: dict[str, Array]) -> None:
    from ddpm_mindspore.accelerated.reports.plots import DRAWN, REAL

    figure, save = _figure(path, 11, 7)
    left, right = figure.subfigures(1, 2, width_ratios=(2, 1))
    grid = left.add_gridspec(5, 2)
    colours = {"drawn": DRAWN, "real, held out": REAL, "real, trained on": "grey"}
    for column, name in enumerate(("drawn", "real, held out")):
        x = parts[name]
        for row, place in enumerate(np.linspace(0, len(x) - 1, 5).astype(int)):
            axes = left.add_subplot(grid[row, column])
            axes.plot(x[place], lw=0.9, color=colours[name])
            axes.set_ylim(-0.72, 0.08)
            axes.tick_params(labelbottom=row == 4, labelleft=column == 0)
            if row == 0:
                axes.set_title(name, fontsize=10)
    axes, below = right.subplots(2, 1)
    for name, x in parts.items():
        axes.loglog(
            np.arange(1, LENGTH // 2 + 1), power(x), lw=1.2, color=colours[name], label=name
        )
    axes.set(title="power at each frequency", xlabel="cycles a window")
    axes.legend(frameon=False, fontsize=8)
    every = np.concatenate([x.ravel() for x in parts.values()])
    for name, x in parts.items():
        edges = np.linspace(every.min(), every.max(), 61)
        below.hist(x.ravel(), edges, density=True, histtype="step", color=colours[name])
    below.set(title="levels", yscale="log")
    save()


def _figure(path: Path, width: float, height: float) -> Any:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), dpi=90, layout="constrained")
    return figure, lambda: FigureCanvasAgg(figure).print_png(str(path))


KINDS = {"table": (table, 6000), "series": (series, 1500)}


def main() -> None:
    """Do one of both."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("kind", choices=KINDS)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--steps", type=int)
    given = parser.parse_args()
    made, steps = KINDS[given.kind]
    given.folder.mkdir(parents=True, exist_ok=True)
    text = made(given.folder, given.steps or steps)
    (given.folder / f"{given.kind}.md").write_text(text + "\n", encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
