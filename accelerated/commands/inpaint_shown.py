"""``ddpm-mindspore inpaint`` with a network of latents that is shown mask and picture."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...reference.config import AutoencoderConfig, LatentUnetConfig, NetworkConfig
from ...reference.tasks.inpainting import shown, without_hidden
from ..data.single import read_alpha, read_mask, read_picture
from ..diffusion import GaussianDiffusion
from ..process import to_model_range, to_uint8, to_unit_range
from ..runs.config_file import read_document
from ..runs.drawing import Drawing
from ..runs.folder import RunFolder
from ..runs.opened import OpenedRun
from ..runs.provenance import drawn_by, guidance
from ..system.say import say
from ..tasks.inpainting import Shown
from .batches import in_batches, opened, tell_the_end, what_drew
from .exit_codes import DONE, INTERRUPTED
from .given import output_of
from .remarks import remarks
from .task_options import InpaintConfig

Array = NDArray[np.float32]


def is_shown(network: NetworkConfig) -> bool:
    """Whether it is shown mask and picture behind x_t."""
    return isinstance(network, LatentUnetConfig) and network.extra_channels > 0


def inpaint_shown(config: InpaintConfig) -> int:
    """Draw pictures that are the image where the mask is black; an exit code.

    Raises:
        ValueError: wrong input, before any long work.
        OSError: a full disk.
    """
    folder = RunFolder(config.run)
    known = folder.config.read()
    if config.method not in (None, "shown") or config.label is not None:
        raise ValueError(
            f"run {str(config.run)!r} was trained to inpaint, and to do so by a text: leave method "
            "and label out"
        )
    coder = AutoencoderConfig(**read_document(folder.config.path)["autoencoder"])
    height, width = (side * coder.downsample_factor for side in known.sides)
    shape = (coder.channels, height, width)
    picture = to_model_range(read_picture(config.image, shape, fit=config.fit))
    mask = mask_of(config, (height, width))
    sampling = known.sampling.but(sampling_timesteps=config.sampling_timesteps)
    prompt = config.prompt or ""
    output = output_of(config, "inpaint")
    with Drawing(output, config.num_samples) as drawing:
        device, run = opened(config)
        tokenizer = run.diffusion.tokenizer
        assert tokenizer is not None and run.encode is not None
        for remark in remarks([prompt], tokenizer, known.network):  # type: ignore[arg-type]
            say(remark.english, error=True)
        say(f"device: {device}; weights of step {run.step:,} ({run.weights})")
        say("compiling the network: about 10 s, and less where it was compiled before")
        latents = run.encode(without_hidden(picture, mask)[None])[0]
        diffusion = _shown_to(run.diffusion, shown(mask, latents))
        plan = diffusion.plan(sampling_timesteps=config.sampling_timesteps)
        task: dict[str, Any] = {"task": "inpaint", "method": "shown", "prompt": prompt}
        task |= {**sampling.facts(known.diffusion.timesteps), **guidance(sampling)}
        files = {"image": str(config.image), "mask": config.mask}
        stopped = in_batches(
            drawing,
            1,  # what is decoded is large
            config.num_samples * len(plan),
            _drawing(config, run, diffusion, picture, mask),
            what_drew(run, config.run, config.seed, **task, **files),
            drawn_by(known, run.step, run.weights, task, config.seed),
        )
    done = f"done: {output}/grid.png, {output}/samples.npy, and each image as PNG"
    tell_the_end(drawing, stopped, done)
    return INTERRUPTED if stopped else DONE


def mask_of(config: InpaintConfig, size: tuple[int, int]) -> NDArray[np.uint8]:
    """The mask, (H, W): 1 is known, 0 is to be painted."""
    if config.mask == "alpha":
        return read_alpha(config.image, size, fit=config.fit)
    return read_mask(Path(config.mask), size, fit=config.fit)


def _shown_to(diffusion: GaussianDiffusion, beside: Array) -> GaussianDiffusion:
    """The diffusion, whose network is shown this behind every x."""
    options = asdict(diffusion.config) | asdict(diffusion.sampling)
    model = Shown(diffusion.model, beside)
    made = GaussianDiffusion(model, image_size=diffusion.image_size, **options)
    made.tokenizer = diffusion.tokenizer
    return made


def _drawing(
    config: InpaintConfig,
    run: OpenedRun,
    diffusion: GaussianDiffusion,
    picture: Array,
    mask: NDArray[np.uint8],
) -> Callable[[int, Callable[[], None]], NDArray[np.uint8]]:
    known = to_unit_range(picture)

    def draw(first: int, on_step: Callable[[], None]) -> NDArray[np.uint8]:
        drawn = diffusion.sample(
            1,
            first=first,
            seed=config.seed,
            sampling_timesteps=config.sampling_timesteps,
            condition=config.prompt or "",
            on_step=on_step,
        )
        # The autoencoder does not bring back what is known to the bit.
        return to_uint8(np.where(mask == 1, known, run.units(drawn)))

    return draw
