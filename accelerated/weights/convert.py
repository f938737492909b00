"""Weights to and from ``denoising-diffusion-pytorch`` 2.3.4: its parameters have the same names."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import Any, Literal

import safetensors.numpy

from ...reference.config import (
    AnyNetwork,
    SamplingConfig,
    Unet1DConfig,
    UnetConfig,
    network_name,
)
from ..commands.options import ImportConfig
from ..config import RunConfig, TrainerConfig
from ..runs.checkpoint import Checkpoint, load_newest, save
from ..system.files import replace_file
from .config import diffusion_config, unet_config
from .read import PEER, Weights, read_weights


def import_weights(config: ImportConfig) -> tuple[RunConfig, Weights]:
    """Write ``config.results_folder``, a run that can be sampled and started from, not resumed.

    Returns:
        The run's configuration, and what the file holds.

    Raises:
        ValueError: weights that cannot be read, or are of another network; options that contradict
            them, or are missing; a folder that already holds a run.
    """
    if config.image_size is None:
        raise ValueError("image_size is missing, and weights do not tell it: say it (--image-size)")
    weights = read_weights(config.weights)
    network = unet_config(weights.ema, config.sinusoidal_pos_emb_theta)
    _check_parameters(network, weights)
    size = config.image_size
    run_config = RunConfig(
        data=str(config.weights),
        image_size=(size, size) if isinstance(size, int) else size,  # as a training run has it
        device="auto",
        network=network,
        diffusion=diffusion_config(
            weights.tables, config.timesteps, config.objective, config.beta_schedule
        ),
        sampling=SamplingConfig(),
        trainer=TrainerConfig(results_folder=config.results_folder),
    )
    _write_run(run_config, weights)
    return run_config, weights


def _check_parameters(config: UnetConfig, weights: Weights) -> None:
    from ..networks.unet import Unet

    network = Unet(**config.to_dict())
    try:
        for arrays in (weights.model, weights.ema):
            network.load_arrays(arrays)
    except ValueError as error:
        raise ValueError(f"the weights are not those of a U-Net of {PEER}: {error}") from None


def _write_run(config: RunConfig, weights: Weights) -> None:
    from ..runs.folder import RunFolder

    folder = Path(config.trainer.results_folder)
    run = RunFolder(folder)
    if run.steps():
        raise ValueError(
            f"results_folder {str(folder)!r} already holds a run: choose another (--results-folder)"
        )
    run.prepare(resume=False)
    run.config.write(config)
    tensors = {"model": weights.model, "ema": weights.ema}
    save(folder, Checkpoint(weights.step, tensors, {"imported_from": config.data}))


def export_weights(
    run: Path, output: Path, which: Literal["ema", "model"] = "ema"
) -> tuple[RunConfig, int]:
    """Write the parameters of a run's newest checkpoint as safetensors, their names unchanged.

    Returns:
        The run's configuration, and the step that the parameters are from.

    Raises:
        ValueError: not a run, no checkpoint that can be read, or a file that cannot be written.
    """
    from ..runs.folder import RunFolder

    config = RunFolder(run).config.read()
    if config.network.takes_condition:
        raise ValueError(
            f"the run in {str(run)!r} is told of classes or shown pictures, which no network of "
            f"{PEER} is: its weights can be drawn with here alone"
        )
    _check_known(config.network, run)
    checkpoint = load_newest(run, [which]).checkpoint
    data = safetensors.numpy.save(checkpoint.tensors[which], metadata={"format": "pt"})
    try:
        replace_file(output, data)
    except OSError as error:
        raise ValueError(
            f"output {str(output)!r} cannot be written ({error.strerror}): choose another"
        ) from None
    return config, checkpoint.step


def _check_known(network: AnyNetwork, run: Path) -> None:
    """Raise ValueError for a network that is not known over there."""
    theirs = isinstance(network, UnetConfig) or (
        isinstance(network, Unet1DConfig)
        and (network.linear_attn_heads, network.linear_attn_dim_head) == (4, 32)
    )
    if not theirs:
        raise ValueError(
            f"the run in {str(run)!r} is of a network that {PEER} does not have "
            f"({call(network_name(network), network)}): its weights can be drawn with here alone"
        )


def call(name: str, config: Any) -> str:
    """A configuration as the Python call that makes it; what has its default is left out."""
    values = ((f.name, getattr(config, f.name), f.default) for f in fields(config))
    given = ", ".join(f"{name}={value!r}" for name, value, default in values if value != default)
    return f"{name}({given})"
