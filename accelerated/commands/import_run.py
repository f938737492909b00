"""``ddpm-mindspore import``: weights of another package become a run."""

from __future__ import annotations

import shlex
from pathlib import Path

from ..system.say import say
from ..weights.convert import call, import_weights
from .exit_codes import DONE
from .options import ImportConfig


def import_run(config: ImportConfig) -> int:
    """Import weights, and say what they are and what to do with them."""
    if config.weights.suffix == ".ckpt":
        from ..weights.published import import_published

        run = import_published(config.weights, Path(config.results_folder))
        folder = shlex.quote(config.results_folder)
        how = f"paint TEXT --run {folder}"
        if run.network.in_channels > run.network.channels:
            how = f"inpaint {folder} PICTURE --mask MASK --prompt TEXT"
        more = ""
        if run.network.in_channels == run.network.channels:
            more = (
                "\nor train on from it, on pictures of your own with captions:\n  ddpm-mindspore "
                f"train --from {folder} --data FOLDER --results-folder ANOTHER"
            )
        say(f"done: {folder}; paint with it:\n  ddpm-mindspore {how}{more}")
        return DONE
    run, weights = import_weights(config)
    diffusion = run.diffusion
    say(
        f"network: {call('Unet', run.network)}\n"
        f"diffusion: {diffusion.objective}, {diffusion.beta_schedule} schedule, "
        f"T = {diffusion.timesteps}, images of {' x '.join(map(str, run.sides))}\n"
        f"done: {run.trainer.results_folder} (step {weights.step:,}); draw images with\n"
        f"  ddpm-mindspore sample {run.trainer.results_folder}\n"
        "or train on from them, on images of your own, with\n"
        f"  ddpm-mindspore train --from {run.trainer.results_folder} --data FOLDER "
        "--results-folder ANOTHER"
    )
    return DONE
