"""How good are drawn digits? Numbers to stand beside what the eye says.

    python tests/benchmarks/digits_quality.py RUN_OR_NPY [--real FILE.npy]

reads samples, uint8 (N, C, H, W): an .npy file, or a folder, of which the newest .npy file in it
at any depth is taken. It prints a table on the error stream and JSON on the output.

Frechet distance over raw pixels in [0, 1]
    |mu_1 - mu_2|^2 + tr(S_1 + S_2 - 2 (S_1 S_2)^(1/2)) between Gaussians fitted to the samples
    and to the real images (Dowson & Landau 1982; as in 1706.08500, but without its network).
    The estimate is biased: between two sets drawn from one distribution it is not 0 but about
    b (1/n_1 + 1/n_2), with b = 32 for the digits at n = 224, 449 and 898. Beside it stand
    * two random halves of the real images, from which b follows, and what N new real images
      would then have: half of it for N = 1,797;
    * N images drawn with replacement from the real ones, about b / N: the floor, for a model
      that has learned the real images' mean and covariance exactly.
Classes
    Each sample gets the class that most of its 10 nearest real images show; it is sure when all
    10 agree. Real images are judged the same way, each by the others.
Copies
    The distance of each sample to its nearest real image (Euclidean, pixels in [0, 1]) against
    the distance of each real image to its nearest other one. A share of 1 % closer than the real
    images' 1 % quantile, and equal medians, are what new real images would have; a model that
    recites its training images has far more, and a smaller median.

The mean and spread over splits are over 10 draws with fixed seeds: the same file gives the same
numbers. With --real other images take the digits' place, and classes are left out.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.distance import cdist

from ddpm_mindspore.reference.evaluation.classes import balance
from ddpm_mindspore.reference.evaluation.features import flat
from ddpm_mindspore.reference.evaluation.frechet import frechet_distance

sys.path.insert(0, str(Path(__file__).parent))
from shipped_digits import Pixels, load_digits

Array = NDArray[np.float64]

SPLITS = 10
HALF_LEVEL = 8  # of 255: the digits have 17 levels, 16 apart


def spread(values: list[float]) -> dict[str, float]:
    """Mean and standard deviation of a few draws."""
    return {"mean": float(np.mean(values)), "std": float(np.std(values, ddof=1))}


def between_halves(real: Array) -> dict[str, float]:
    """The distance between two random halves of the real images."""
    half, distances = len(real) // 2, []
    for seed in range(SPLITS):
        order = np.random.default_rng(seed).permutation(len(real))
        distances.append(frechet_distance(real[order[:half]], real[order[half:]]))
    return spread(distances)


def of_resampled(real: Array, n: int) -> dict[str, float]:
    """The distance of n real images, drawn with replacement, to all real images."""
    draws = [np.random.default_rng(seed).integers(len(real), size=n) for seed in range(SPLITS)]
    return spread([frechet_distance(real[draw], real) for draw in draws])


def classes(x: Array, y: Array, labels: NDArray[np.int64]) -> dict[str, Any]:
    """What the samples show, beside what the same judge says of the real images."""
    found = balance(x, y, labels)
    return {
        "counts": found.counts.tolist(),
        "counts_real": found.real_counts.tolist(),
        "sure": found.sure,
        "sure_real": found.sure_real,
        "right_on_real": found.judge,
    }


def copies(samples: Pixels, real: Pixels, to_real: Array, among_real: Array) -> dict[str, Any]:
    """How near the samples are to their nearest real image, beside real ones to each other."""
    nearest, nearest_real = to_real.min(1), among_real.min(1)
    quantile = float(np.quantile(nearest_real, 0.01))
    largest = cdist(samples.reshape(len(samples), -1), real.reshape(len(real), -1), "chebyshev")
    return {
        "median_nearest": float(np.median(nearest)),
        "median_nearest_real": float(np.median(nearest_real)),
        "quantile_1_percent_real": quantile,
        "closer_than_quantile": float(np.mean(nearest < quantile)),
        "exact": int((largest.min(1) == 0).sum()),
        "equal_to_half_a_level": int((largest.min(1) <= HALF_LEVEL).sum()),
    }


def report(
    samples: Pixels, real: Pixels, labels: NDArray[np.int64] | None = None
) -> dict[str, Any]:
    """All measures; classes only with the real images' labels."""
    x, y = flat(samples), flat(real)
    to_real, among_real = cdist(x, y), cdist(y, y)
    np.fill_diagonal(among_real, np.inf)
    halves, half = between_halves(y), len(y) // 2
    per_half = 1 / half + 1 / (len(y) - half)
    result: dict[str, Any] = {
        "samples": len(x),
        "real": len(y),
        "frechet": {
            "samples_to_real": frechet_distance(x, y),
            "real_halves": halves,
            "expected_of_new_real_images": halves["mean"] * (1 / len(x) + 1 / len(y)) / per_half,
            "resampled_real": of_resampled(y, len(x)),
        },
        "copies": copies(samples, real, to_real, among_real),
    }
    if labels is not None:
        result["classes"] = classes(x, y, labels)
    return result


def table(result: dict[str, Any]) -> str:
    """The report for a person."""
    frechet, near = result["frechet"], result["copies"]
    halves, again = frechet["real_halves"], frechet["resampled_real"]
    rows = [
        ("samples, real images", f"{result['samples']}, {result['real']}"),
        ("Frechet distance, raw pixels", f"{frechet['samples_to_real']:.4f}"),
        ("  two halves of the real images", f"{halves['mean']:.4f} +- {halves['std']:.4f}"),
        ("  expected of new real images", f"{frechet['expected_of_new_real_images']:.4f}"),
        ("  real images drawn again", f"{again['mean']:.4f} +- {again['std']:.4f}"),
        ("median distance to nearest real", f"{near['median_nearest']:.3f}"),
        ("  of real ones to each other", f"{near['median_nearest_real']:.3f}"),
        ("nearer than 1 % of the real ones", f"{near['closer_than_quantile']:.1%}"),
        ("copies: exact, to half a level", f"{near['exact']}, {near['equal_to_half_a_level']}"),
    ]
    if shown := result.get("classes"):
        rows += [
            ("digits 0 1 ... 9", " ".join(map(str, shown["counts"]))),
            ("  of the real images", " ".join(map(str, shown["counts_real"]))),
            ("sure (10 of 10 neighbours)", f"{shown['sure']:.1%}"),
            ("  of the real images", f"{shown['sure_real']:.1%}"),
        ]
    return "\n".join(f"{name:<34}{value}" for name, value in rows)


def read(path: Path) -> Pixels:
    """Read uint8 (N, C, H, W) from a file, or from the newest .npy file below a folder."""
    if path.is_dir():
        found = sorted(path.rglob("*.npy"), key=lambda file: file.stat().st_mtime)
        if not found:
            raise ValueError(f"{path} holds no .npy file: draw samples first")
        path = found[-1]
    images: Pixels = np.load(path, allow_pickle=False)
    if images.dtype != np.uint8 or images.ndim != 4 or len(images) < 2:
        raise ValueError(f"{path} is {images.dtype} {images.shape}: uint8 (N, C, H, W) is needed")
    print(f"read {len(images)} images from {path}", file=sys.stderr)
    return images


def main() -> None:
    """Read the command line, measure, print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("samples", type=Path, help="an .npy file or a folder that holds one")
    parser.add_argument("--real", type=Path, help="other real images than the digits (.npy)")
    options = parser.parse_args()
    try:
        samples = read(options.samples)
        real, labels = (read(options.real), None) if options.real else load_digits()
        if samples.shape[1:] != real.shape[1:]:
            raise ValueError(f"samples are {samples.shape[1:]} and real images {real.shape[1:]}")
    except (OSError, ValueError) as error:
        parser.error(str(error))
    result = report(samples, real, labels)
    print(table(result), file=sys.stderr)
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
