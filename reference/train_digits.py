"""A tiny diffusion model that learns to draw digits, in NumPy alone and in a few minutes.

``python -m ddpm_mindspore.reference.train_digits`` trains it, shows the drawings in the terminal
and writes them to ``digits.pgm``, a grey picture that any viewer opens. In Python:

    state = train(load_digits())
    pictures = draw(state.ema, 16, np.random.default_rng(1))
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np

from .config import UnetConfig
from .denoiser import denoiser as with_network
from .networks.layers import Array, Params
from .networks.unet import init, unet
from .samplers import ddim
from .samplers.common import Denoiser
from .schedule import Schedule, make_schedule, spaced_timesteps
from .training import MicroBatch, TrainingConfig, TrainingState, initial_state, training_step

NETWORK = UnetConfig(dim=16, dim_mults=(1, 2), channels=1, attn_heads=2, attn_dim_head=8)
SCHEDULE = make_schedule("cosine", 500)
TRAINING = TrainingConfig(lr=2e-3, warmup_steps=50, ema_update_every=1)


def load_digits() -> Array:
    """The 1,797 handwritten digits of the package (UCI optical digits): float32 (1797, 1, 8, 8).

    They lie with the accelerated half, whose code is not needed to read them.
    """
    file = Path(__file__).parents[1] / "accelerated" / "data" / "digits.npz"
    with np.load(file) as archive:
        levels: Array = archive["levels"].astype(np.float32)
    return levels[:, None] / 16.0


def train(
    images: Array,
    steps: int = 1000,
    *,
    network: UnetConfig = NETWORK,
    config: TrainingConfig = TRAINING,
    schedule: Schedule = SCHEDULE,
    batch_size: int = 32,
    seed: int = 0,
    report: Callable[[int, float], None] | None = None,
) -> TrainingState:
    """Train a network from scratch on ``images`` (N, C, H, W), floats in [0, 1].

    Computed in the images' dtype: float32 takes two thirds of the time of float64. All that is
    random comes from ``seed``. ``report(step, loss)`` is called after each step. The result's
    ``ema`` holds the parameters to draw with.
    Raises ValueError for images that are not floats in [0, 1], or do not fit the network.
    """
    if images.dtype.kind != "f" or images.min() < 0.0 or images.max() > 1.0:
        raise ValueError(
            f"images are {images.dtype}, {images.min()}..{images.max()}: give floats in [0, 1]"
        )
    rng = np.random.default_rng(seed)
    params = {name: p.astype(images.dtype) for name, p in init(network, rng).items()}
    state = initial_state(params)
    for _ in range(steps):
        x_0 = 2.0 * images[rng.integers(0, len(images), batch_size)] - 1.0
        t = rng.integers(1, schedule.T + 1, batch_size)
        noise = rng.standard_normal(x_0.shape).astype(x_0.dtype)
        state, loss, _ = training_step(
            state, config, network, schedule, [MicroBatch(x_0, t, noise)]
        )
        if report is not None:
            report(state.step, loss)
    return state


def denoiser(
    params: Params,
    network: UnetConfig,
    schedule: Schedule,
    config: TrainingConfig,
    clip: bool = True,
) -> Denoiser:
    """The U-Net as the denoiser that the samplers take, clipped to [-1, 1]: one for each walk."""
    return with_network(
        partial(unet, params, network),
        schedule,
        config.objective,
        self_condition=network.self_condition,
        clip=clip,
        sigma_data=config.sigma_data,
    )


def draw(
    params: Params,
    n: int,
    rng: np.random.Generator,
    *,
    image_size: tuple[int, int] = (8, 8),
    network: UnetConfig = NETWORK,
    config: TrainingConfig = TRAINING,
    schedule: Schedule = SCHEDULE,
    sampling_timesteps: int = 50,
) -> Array:
    """Draw n images (n, C, H, W) in [0, 1] by DDIM, from noise that ``rng`` gives."""
    dtype = params["init_conv.weight"].dtype
    x_T = rng.standard_normal((n, network.channels, *image_size)).astype(dtype)
    predict_x0 = denoiser(params, network, schedule, config)
    timesteps = spaced_timesteps(schedule.T, sampling_timesteps)
    return (ddim.sample(schedule, predict_x0, x_T, timesteps=timesteps) + 1.0) / 2.0


def grid(images: Array, columns: int) -> Array:
    """Grey images (N, 1, H, W) in [0, 1], side by side with a gap: uint8 (rows H', columns W')."""
    framed = np.pad(images[:, 0], ((0, 0), (1, 1), (1, 1)))
    n, height, width = framed.shape
    rows = framed.reshape(n // columns, columns, height, width).transpose(0, 2, 1, 3)
    picture = rows.reshape(n // columns * height, columns * width)
    return np.rint(255.0 * picture).astype(np.uint8)


def write_pgm(path: Path, picture: Array, scale: int = 8) -> None:
    """Write a uint8 picture (H, W) as a portable grey map, each pixel ``scale`` wide and high."""
    large = picture.repeat(scale, axis=0).repeat(scale, axis=1)
    height, width = large.shape
    path.write_bytes(f"P5 {width} {height} 255\n".encode() + large.tobytes())


def show(picture: Array) -> str:
    """A uint8 picture (H, W) as text, two characters to the pixel."""
    return "\n".join("".join(2 * " ░▒▓█"[p // 52] for p in row) for row in picture)


def main(steps: int = 1000) -> None:
    """Train, draw, show, write."""
    start = time.perf_counter()
    losses: list[float] = []

    def report(step: int, loss: float) -> None:
        losses.append(loss)
        if step % 50 == 0:
            mean, seconds = np.mean(losses[-50:]), time.perf_counter() - start
            print(f"step {step:5}  loss {mean:.4f}  {seconds:4.0f} s", flush=True)

    state = train(load_digits(), steps, report=report)
    picture = grid(draw(state.ema, 40, np.random.default_rng(1)), columns=8)
    print(show(picture[: picture.shape[0] // 5 * 2]))
    write_pgm(Path("digits.pgm"), picture)
    print(f"digits.pgm: 40 drawings after {time.perf_counter() - start:.0f} s")


if __name__ == "__main__":
    main()
