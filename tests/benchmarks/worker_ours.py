"""Trains or samples with this package, through its public door, when it is told to.

    python tests/benchmarks/worker_ours.py SPECIFICATION     (JSON: see workloads.py)

Training runs in ``Trainer.train()`` as a user's does, for ever. To stop the clock and to let the
other side run, the diffusion holds the trainer back when it asks for the noise of its next step,
which it does once a step.
"""

from __future__ import annotations

import json
import sys
import threading
import time
from typing import Any

import numpy as np
from serving import SKIPPED, Pipe, describe, serve, wait_until_idle

from ddpm_mindspore.accelerated import GaussianDiffusion, Trainer, Unet

PACKAGES = ("ddpm-mindspore", "mindspore", "numpy")


class Pace:
    """Lets ``SKIPPED + steps`` steps pass for each order, and times the last ``steps`` of them.

    A step's time is from one request to the next: everything that the trainer does is in it, the
    host's work and the device's.
    """

    def __init__(self, pipe: Pipe, made: dict[str, Any]) -> None:
        self._pipe, self._made = pipe, made
        self._requests: list[float] = []
        self._last = 3
        self._lock = threading.Lock()

    def __call__(self) -> None:
        with self._lock:
            self._requests.append(time.perf_counter())
            if len(self._requests) <= self._last:
                return
            idle = wait_until_idle()
            if self._made:
                self._pipe.say(**self._made)
                self._made = {}
            else:
                self._pipe.say(seconds=self._requests[-1] - self._requests[SKIPPED], idle=idle)
            self._last = SKIPPED + self._pipe.hear()
            self._requests = [time.perf_counter()]


class PacedDiffusion(GaussianDiffusion):
    """A diffusion that keeps pace."""

    pace: Pace

    def micro_batch(self, *args: Any, **kwargs: Any) -> Any:
        self.pace()
        return super().micro_batch(*args, **kwargs)


def make(spec: dict[str, Any]) -> tuple[PacedDiffusion, dict[str, Any]]:
    """The diffusion, and what is to be said of it."""
    diffusion = PacedDiffusion(
        Unet(**spec["unet"]), image_size=spec["image_size"], **spec["diffusion"]
    )
    parameters = sum(p.size for p in diffusion.model.trainable_params())
    return diffusion, describe(parameters, PACKAGES)


def train(spec: dict[str, Any], pipe: Pipe) -> None:
    """Train until the parent hangs up."""
    diffusion, made = make(spec)
    diffusion.pace = Pace(pipe, made)
    shape = (spec["images"], *diffusion.shape)
    images = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    trainer = Trainer(
        diffusion,
        spec.get("folder", images),
        **spec["trainer"],
        train_num_steps=10**9,
        save_and_sample_every=10**9,
        ema_update_after_step=0,
        results_folder="run",
    )
    trainer.train()


def sample(spec: dict[str, Any], pipe: Pipe) -> None:
    """Draw ``num_samples`` images by DDIM in as many steps as the parent says."""
    diffusion, made = make(spec)

    def block(steps: int) -> float:
        begin = time.perf_counter()
        drawn = diffusion.sample(
            spec["batch_size"], num_samples=spec["num_samples"], sampling_timesteps=steps
        )
        seconds = time.perf_counter() - begin
        assert len(drawn) == spec["num_samples"]
        return seconds

    serve(pipe, made, block)


if __name__ == "__main__":
    specification = json.loads(sys.argv[1])
    {"train": train, "sample": sample}[specification["task"]](specification, Pipe())
