"""What each process of a test's job runs: train, be told to stop, go on, train with a bug.

    msrun ... python distributed_job.py FOLDER

Everything that is random and everything that is added up takes part. Each process writes what it
found to FOLDER/rank-<number>.json.
"""

from __future__ import annotations

import json
import signal
import sys
from pathlib import Path
from typing import Any

import numpy as np

from ddpm_mindspore.accelerated import GaussianDiffusion, Trainer, Unet
from ddpm_mindspore.accelerated.system import runtime
from ddpm_mindspore.accelerated.system.distributed import World

STEPS, STOPPED = 5, 3
NET: dict[str, Any] = {
    "dim": 8,
    "dim_mults": (1,),
    "channels": 2,
    "attn_heads": 1,
    "attn_dim_head": 8,
    "self_condition": True,
    "dropout": 0.1,
}
DIFFUSION: dict[str, Any] = {"timesteps": 20, "sampling_timesteps": 2}
TRAINING: dict[str, Any] = {
    "train_num_steps": STEPS,
    "train_lr": 3e-3,
    # Such that an update is a smooth function of the gradient, whose length is seen in it.
    "adam_eps": 1e-2,
    "max_grad_norm": 1e3,
    "ema_decay": 0.7,
    "ema_update_every": 1,
    "ema_update_after_step": 1,
    "augment_horizontal_flip": True,
    "save_and_sample_every": STEPS,
    "num_samples": 5,
    "seed": 11,
}


def make_trainer(folder: Path, **options: Any) -> Trainer:
    """Ten pictures of something smooth."""
    rng = np.random.default_rng(0)
    y, x = np.mgrid[0:4, 0:8] / 8
    phases = rng.uniform(0, 6, (10, 2, 1, 1))
    images = np.asarray(127.5 + 120 * np.sin(6 * x + 3 * y + phases), np.uint8)
    diffusion = GaussianDiffusion(Unet(**NET, seed=4), image_size=(4, 8), seed=4, **DIFFUSION)
    return Trainer(diffusion, images, results_folder=str(folder), **TRAINING | options)


def main(folder: Path) -> None:
    runtime.select_device("CPU")
    world = World.join()
    found: dict[str, Any] = {"size": world.size}
    numbers = world.gather(np.full((2, 3), world.rank, np.float32))
    found["gathered"] = numbers.tolist()
    found["the same"] = _refusal(world, {"a": b"1", "b": b"2"})
    found["not the same"] = _refusal(world, {"a": b"1", "b": bytes([world.rank])})

    options = {"distributed": True, "train_batch_size": 2, "gradient_accumulate_every": 2}
    trainer = make_trainer(folder / "two", **options)
    if world.rank == 1:
        _when(trainer, STOPPED - 1, lambda: signal.raise_signal(signal.SIGTERM))
    found["stopped"] = [trainer.train(), trainer.step]
    found["saved"] = sorted(p.name for p in folder.glob("two/checkpoints/step-*"))
    found["went on"] = [trainer.train(), trainer.step]

    trainer = make_trainer(folder / "bug", **options)
    trainer._reducer.share = 1.0  # the bug that has to be caught: sums, where there are means
    trainer.train()
    (folder / f"rank-{world.rank}.json").write_text(json.dumps(found))
    world.wait()


def _refusal(world: World, parts: dict[str, bytes]) -> str:
    try:
        world.check_same(parts)
    except ValueError as error:
        return str(error)
    return ""


def _when(trainer: Trainer, step: int, act: Any) -> None:
    """Call ``act`` when update number ``step`` begins."""
    update = trainer._update

    def acting(*args: Any) -> Any:
        if trainer.step == step - 1:
            act()
        return update(*args)

    trainer._update = acting  # type: ignore[method-assign]


if __name__ == "__main__":
    main(Path(sys.argv[1]))
