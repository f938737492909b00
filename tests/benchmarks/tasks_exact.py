"""How far are inpainting and restoration from the exact answer, where there is one?

    python -m tests.benchmarks.tasks_exact [--draws 1000] [--output FILE.md]

For Gaussian data the best denoiser is a formula, and so is the distribution that every method
should draw from: x_0 given what was measured (``reference.oracle.conditional``). Images of 3 x 4 x
4 pixels, whose neighbours and channels are alike, are degraded and restored by the reference; what
is off is the method's own doing. Prints a table:

mean    distance of the mean of all draws to the exact one, as a share of the data's deviation
spread  distance of their covariance to the exact one, as a share of the data's covariance
        (Frobenius norms)

"exact draws" are as many from the exact distribution: less than that nobody can be off.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from functools import partial
from pathlib import Path

import autograd.numpy as np

from ddpm_mindspore.reference.degradations import Degradation, degradation, masked
from ddpm_mindspore.reference.oracle import conditional
from ddpm_mindspore.reference.samplers import ancestral
from ddpm_mindspore.reference.schedule import Array, levels_at, make_schedule, spaced_timesteps
from ddpm_mindspore.reference.tasks.inpainting import repaint
from ddpm_mindspore.reference.tasks.posterior_sampling import dps
from ddpm_mindspore.reference.tasks.restoration import ddnm

T, SHAPE = 1000, (3, 4, 4)
SIZE = int(np.prod(SHAPE))
SCHEDULE = make_schedule("cosine", T)
MASK = np.ones((4, 4))
MASK[:, 2:] = 0.0

Draw = Callable[..., Array]
Error = tuple[float, float]


def covariance() -> Array:
    """Neighbours e^(-distance / 2) alike, channels 0.6."""
    places = np.stack(np.meshgrid(*map(np.arange, SHAPE[1:]), indexing="ij"), -1).reshape(-1, 2)
    apart = np.linalg.norm(places[:, None] - places[None], axis=-1)
    channels = 0.6 + 0.4 * np.eye(SHAPE[0])
    found: Array = 0.25 * np.kron(channels, np.exp(-apart / 2.0))
    return found


COV = covariance()
MEAN = 0.3 * np.random.default_rng(8).standard_normal(SHAPE)
# By Cholesky's factor, alike on every machine: eigenvectors of equal eigenvalues are not.
_DRAWN = np.linalg.cholesky(COV) @ np.random.default_rng(9).standard_normal(SIZE)
TRUTH = MEAN + np.reshape(_DRAWN, (1, *SHAPE))
SPREADS, AXES = np.linalg.eigh(COV)

TASKS: dict[str, tuple[Degradation, float]] = {
    "inpainting, the right half": (masked(MASK, SHAPE), 0.0),
    "2 times smaller": (degradation("downsample:2", SHAPE), 0.0),
    "2 times smaller, noise 0.3": (degradation("downsample:2", SHAPE), 0.3),
    "grey": (degradation("grey", SHAPE), 0.0),
    "blurred": (degradation("blur:0.5", SHAPE), 0.0),
    "blurred, noise 0.3": (degradation("blur:0.5", SHAPE), 0.3),
    "noise 0.5": (degradation("noise", SHAPE), 0.5),
}


def predict(x_t: Array, t: Array) -> Array:
    """E[x_0 | x_t], as ``oracle.Mixture.predict_x0`` has it, at one t for all."""
    signal, sigma = levels_at(SCHEDULE, t[0])
    gain = (AXES * (signal * SPREADS / (signal**2 * SPREADS + sigma**2))) @ AXES.T
    flat = np.reshape(x_t, (-1, SIZE)) - signal * MEAN.ravel()
    x0_hat: Array = np.reshape(MEAN.ravel() + np.dot(flat, gain), x_t.shape)
    return x0_hat


def noise(shape: tuple[int, ...], i: int) -> Array:
    return np.random.default_rng(1000 + i).standard_normal(shape)


def nothing(x_T: Array, y: Array, of: Degradation, sigma_y: float, steps: list[int]) -> Array:
    every = (noise(x_T.shape, i) for i in range(len(steps)))
    return ancestral.sample(SCHEDULE, predict, x_T, timesteps=steps, noise=np.stack([*every]))


def painted(
    x_T: Array, y: Array, of: Degradation, sigma_y: float, steps: list[int], repeats: int
) -> Array:
    draws = partial(noise, x_T.shape)
    return repaint(
        SCHEDULE, predict, x_T, y, MASK, timesteps=steps, noise=draws, jump_repeats=repeats
    )


def restored(
    x_T: Array, y: Array, of: Degradation, sigma_y: float, steps: list[int], repeats: int
) -> Array:
    draws = partial(noise, x_T.shape)
    how = {"timesteps": steps, "noise": draws, "sigma_y": sigma_y, "jump_repeats": repeats}
    return ddnm(SCHEDULE, predict, x_T, y, of, **how)  # type: ignore[arg-type]


def followed(
    x_T: Array, y: Array, of: Degradation, sigma_y: float, steps: list[int], scale: float
) -> Array:
    draws = partial(noise, x_T.shape)
    return dps(SCHEDULE, predict, x_T, y, of, timesteps=steps, noise=draws, scale=scale)


METHODS: dict[str, tuple[Draw, int]] = {
    "not looking at it": (nothing, 100),
    "RePaint, 20 steps": (partial(painted, repeats=1), 20),
    "RePaint, 20 steps, repeated 5 times": (partial(painted, repeats=5), 20),
    "RePaint, 100 steps, repeated 10 times": (partial(painted, repeats=10), 100),
    "DDNM, 20 steps": (partial(restored, repeats=1), 20),
    "DDNM, 20 steps, repeated 5 times": (partial(restored, repeats=5), 20),
    "DDNM, 100 steps": (partial(restored, repeats=1), 100),
    "DPS, 100 steps, scale 0.1": (partial(followed, scale=0.1), 100),
    "DPS, 100 steps, scale 0.3": (partial(followed, scale=0.3), 100),
    "DPS, 100 steps, scale 1": (partial(followed, scale=1.0), 100),
    "DPS, 1000 steps, scale 0.3": (partial(followed, scale=0.3), 1000),
}


def measure(
    task: str, count: int, methods: dict[str, tuple[Draw, int]] | None = None
) -> dict[str, Error]:
    """The errors of every method that can do it."""
    of, sigma_y = TASKS[task]
    y = of(TRUTH)
    y = y + sigma_y * np.random.default_rng(11).standard_normal(y.shape)
    mean, cov = conditional(MEAN.ravel(), COV, of.matrix, y.ravel(), sigma_y)

    def errors(drawn: Array) -> Error:
        flat = drawn.reshape(len(drawn), -1)
        of_mean = np.linalg.norm(flat.mean(0) - mean) / np.sqrt(np.trace(COV))
        return float(of_mean), float(np.linalg.norm(np.cov(flat.T) - cov) / np.linalg.norm(COV))

    values, axes = np.linalg.eigh(cov)
    z = np.random.default_rng(12).standard_normal((count, SIZE))
    found = {"exact draws": errors(mean + (z * np.sqrt(np.maximum(values, 0.0))) @ axes.T)}
    x_T = np.random.default_rng(10).standard_normal((count, *SHAPE))
    for name, (draw, steps) in (methods or METHODS).items():
        if of.name == "mask" or not name.startswith("RePaint"):
            walk = list(spaced_timesteps(T, steps))
            found[name] = errors(draw(x_T, np.repeat(y, count, 0), of, sigma_y, walk))
    return found


def table(found: dict[str, dict[str, Error]]) -> str:
    """A row a method, a column a task: mean / spread, in percent."""
    lines = ["| mean / spread, % | " + " | ".join(found) + " |", "|---|" + "---|" * len(found)]
    for name in ("exact draws", *METHODS):
        cells = [
            " / ".join(f"{100 * e:.0f}" for e in of[name]) if name in of else ""
            for of in found.values()
        ]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def main() -> None:
    """Measure, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--draws", type=int, default=1000)
    parser.add_argument("--output", type=Path)
    asked = parser.parse_args()
    text = table({task: measure(task, asked.draws) for task in TASKS})
    print(text)
    if asked.output:
        asked.output.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
