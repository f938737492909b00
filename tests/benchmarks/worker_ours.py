"""Trains or samples with this package, through its public door, when it is told to.

    python tests/benchmarks/worker_ours.py SPECIFICATION     (JSON: see workloads.py)

Training runs in ``Trainer.train()`` as a user's does, for ever. To stop the clock, and to let the
other side run, the diffusion holds the trainer back where it asks for the noise of its next step.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from collections.abc import Generator
from contextlib import nullcontext
from typing import Any

import numpy as np
from serving import Pipe, idle_since, serve

from ddpm_mindspore.accelerated import GaussianDiffusion, Trainer, Unet
from ddpm_mindspore.accelerated.data.texts import texts
from ddpm_mindspore.accelerated.networks.text_unet import TextUnet
from ddpm_mindspore.accelerated.precision import set_precision
from ddpm_mindspore.accelerated.system import runtime
from ddpm_mindspore.reference.text.tokenizer import shipped


class Pace:
    """Lets so many steps pass, waits until the work on them has ended, and reports the time.

    A trainer may prepare batches and start steps ahead, so only a beginning and an end in idleness
    say what steps take. What beginning and ending themselves take is in each of two measurements,
    of 1 step and of 1 + n: the difference is n steps of a trainer that runs.
    """

    def __init__(self, pipe: Pipe, parameters: int) -> None:
        self._pipe, self._parameters = pipe, parameters
        self._plan = self._blocks()
        self._left = next(self._plan)
        self._begin = time.perf_counter()
        self._lock = threading.Lock()

    def _blocks(self) -> Generator[int, float, None]:
        """Yield how many steps to let pass; be sent the seconds that they took."""
        yield 3
        self._pipe.say(parameters=self._parameters)
        while True:
            steps = self._pipe.hear()
            one = yield 1
            more = yield 1 + steps
            self._pipe.say(seconds=more - one)

    def __call__(self) -> None:
        """Return when another step may begin."""
        with self._lock:
            if not self._left:
                self._left = self._plan.send(idle_since() - self._begin)
                self._begin = time.perf_counter()
            self._left -= 1


class PacedDiffusion(GaussianDiffusion):
    """A diffusion that keeps pace."""

    pace: Pace

    def micro_batch(self, *args: Any, **kwargs: Any) -> Any:
        self.pace()
        return super().micro_batch(*args, **kwargs)


def make(spec: dict[str, Any]) -> tuple[PacedDiffusion, int]:
    """The diffusion, and how many parameters it has."""
    network = TextUnet if spec.get("captioned") else Unet
    diffusion = PacedDiffusion(
        network(**spec["unet"]), image_size=spec["image_size"], **spec["diffusion"]
    )
    return diffusion, sum(p.size for p in diffusion.model.trainable_params())


def train(spec: dict[str, Any], pipe: Pipe) -> None:
    """Train until the parent hangs up."""
    diffusion, parameters = make(spec)
    diffusion.pace = Pace(pipe, parameters)
    shape = (spec["images"], *diffusion.shape)
    images = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    if captioned := spec.get("captioned"):
        diffusion.tokenizer = shipped().only(texts("scenes"))
    level, dtype = spec.get("amp", ("O0", "float16"))
    trainer = Trainer(
        diffusion,
        "scenes" if captioned else images,
        **spec["trainer"],
        amp_level=level,
        amp_dtype=dtype,
        train_num_steps=10**9,
        save_and_sample_every=10**9,
        ema_update_after_step=0,
        results_folder="run",
    )
    if folder := spec.get("compile_cache"):
        os.environ[runtime.CACHE] = folder
    with runtime.compile_cache_allowed() if folder else nullcontext():
        trainer.train()


def sample(spec: dict[str, Any], pipe: Pipe) -> None:
    """Draw ``num_samples`` images by DDIM in as many steps as the parent says."""
    diffusion, parameters = make(spec)
    set_precision(diffusion.model, *spec.get("amp", ("O0", "float16")))

    def block(steps: int) -> float:
        begin = time.perf_counter()
        drawn = diffusion.sample(
            spec["batch_size"], num_samples=spec["num_samples"], sampling_timesteps=steps
        )
        seconds = time.perf_counter() - begin
        assert len(drawn) == spec["num_samples"]
        return seconds

    serve(pipe, parameters, block)


if __name__ == "__main__":
    specification = json.loads(sys.argv[1])
    {"train": train, "sample": sample}[specification["task"]](specification, Pipe())
