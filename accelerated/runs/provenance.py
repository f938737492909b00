"""Where a drawn picture is from: the text that its PNG file carries.

Python shows it with ``PIL.Image.open(path).text``, a shell with ``identify -verbose`` or
``exiftool``. It is a function of the run and of what was asked for, and holds no date: drawn again,
a picture is the same file.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import numpy as np

from ...reference.config import SamplingConfig
from ..config import RunConfig, Sides, sides


def run_digest(config: RunConfig) -> str:
    """16 hexadecimal digits by which runs differ: of all that a resumed run has in common with it.

    That is data, image size, network, diffusion, seed and the run that it started from, not how
    long or where it is trained.
    """
    own = {name: v for name, v in asdict(config).items() if name not in ("device", "sampling")}
    own["image_size"] = config.sides
    if not own["network"].get("freeze_text_encoder"):  # as before there was that
        own["network"].pop("freeze_text_encoder", None)
    own["trainer"] = {"seed": config.trainer.seed, "from_run": config.trainer.from_run}
    for name in ("super_resolve", "autoencoder", "scale_factor"):
        if (value := getattr(config.trainer, name)) is not None:
            own["trainer"][name] = value
    return hashlib.sha256(json.dumps(own, sort_keys=True).encode()).hexdigest()[:16]


def guidance(sampling: SamplingConfig) -> dict[str, Any]:
    """The options of guidance that are not as without it, if there is any, by short names."""
    if not sampling.guides:
        return {}
    found = {"guidance": sampling.cond_scale}
    usual = SamplingConfig()
    for name, value in asdict(sampling).items():
        if name.startswith("guidance_") and value != getattr(usual, name):
            found[name] = value
    return found


def facts(
    run: RunConfig, step: int, weights: str, sampling: SamplingConfig, seed: int
) -> dict[str, str]:
    """What all pictures of one drawing have in common, by the keywords that PNG files use.

    Args:
        run: the configuration of the run whose weights were drawn with.
        step: the training step that they are of.
        weights: "average", "average over 0.08 of training" or "trained".
        sampling: the options of this drawing.
        seed: the seed of the noise.
    """
    options = sampling.facts(run.diffusion.timesteps) | guidance(sampling)
    if not sampling.clip_denoised:
        options["clip_denoised"] = "no"
    return drawn_by(run, step, weights, options, seed)


def drawn_by(
    run: RunConfig, step: int, weights: str, options: Mapping[str, Any], seed: int
) -> dict[str, str]:
    """The same for what is not drawn as a run is sampled from: with ``options`` of its own."""
    names = {name: name.replace("_", " ").capitalize() for name in options}
    return {
        "Software": f"ddpm-mindspore {importlib.metadata.version('ddpm-mindspore')}",
        "Run": run_digest(run),
        "Step": str(step),
        "Weights": weights,
        **{{"steps": "Sampling steps"}.get(n, names[n]): _said(v) for n, v in options.items()},
        "Seed": str(seed),
    }


def asked_again(
    batch_size: int,
    run: RunConfig,
    image_size: Sides | None = None,
    autoguidance: int | None = None,
    precision: str = "",
) -> dict[str, str]:
    """What a picture's file has to say, beside ``facts``, for it to be drawn again.

    The number of images at a time: it decides in which order numbers are added. ``precision``: as
    ``precision_text`` has it.
    """
    text = {"Batch size": str(batch_size)}
    if image_size is not None and sides(image_size) != run.sides:
        text["Image size"] = " ".join(map(str, sides(image_size)))
    if autoguidance is not None:
        text["Autoguidance"] = str(autoguidance)
    if precision:
        text["Precision"] = precision
    return text


def precision_text(amp_level: str, amp_dtype: str) -> str:
    """``O1 bfloat16``, or nothing for float32."""
    return "" if amp_level == "O0" else f"{amp_level} {amp_dtype}"


def _said(value: Any) -> str:
    """A text or a number as people write it, or several numbers."""
    return value if isinstance(value, str) else " ".join(map(_number, np.atleast_1d(value)))


def _number(x: Any) -> str:
    """As short as can be, but read again it is the same."""
    return short if float(short := f"{x:g}") == float(x) else repr(float(x))
