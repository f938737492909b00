"""Where a drawn picture is from: the text that its PNG file carries.

Python shows it with ``PIL.Image.open(path).text``, a shell with ``identify -verbose`` or
``exiftool``. It is a function of the run and of what was asked for, and holds no date: drawn again,
a picture is the same file.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
from dataclasses import asdict

from ..config import DiffusionConfig, RunConfig


def run_digest(config: RunConfig) -> str:
    """16 hexadecimal digits by which runs differ: of all that a resumed run has in common with it.

    That is data, image size, network, diffusion, seed and the run that it started from, not how
    long or where it is trained.
    """
    own = {name: value for name, value in asdict(config).items() if name != "device"}
    own["image_size"] = config.height_width
    own["trainer"] = {"seed": config.trainer.seed, "from_run": config.trainer.from_run}
    return hashlib.sha256(json.dumps(own, sort_keys=True).encode()).hexdigest()[:16]


def facts(
    run: RunConfig, step: int, weights: str, sampling: DiffusionConfig, seed: int
) -> dict[str, str]:
    """What all pictures of one drawing have in common, by the keywords that PNG files use.

    Args:
        run: the configuration of the run whose weights were drawn with.
        step: the training step that they are of.
        weights: "average", "average over 0.08 of training" or "trained".
        sampling: the diffusion's configuration with the sampling options of this drawing.
        seed: the seed of the noise.
    """
    steps = sampling.sampling_timesteps or sampling.timesteps
    ancestral = steps == sampling.timesteps
    return {
        "Software": f"ddpm-mindspore {importlib.metadata.version('ddpm-mindspore')}",
        "Run": run_digest(run),
        "Step": str(step),
        "Weights": weights,
        "Sampler": "ancestral" if ancestral else "ddim",
        "Sampling steps": str(steps),
        **({} if ancestral else {"Eta": f"{sampling.ddim_sampling_eta:g}"}),
        "Seed": str(seed),
    }
