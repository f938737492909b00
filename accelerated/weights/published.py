"""Runs of the published Chinese weights: ``ddpm-mindspore import wukong-huahua-ms.ckpt``.

Or of those that inpaint, whose network is shown mask and picture besides.

The checkpoint itself is in the folder, WEIGHTS, as it was, and is read tensor by tensor when the
run is opened. What the network draws are latents, which the autoencoder of the same file decodes.
"""

from __future__ import annotations

import shutil
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from ...reference.config import (
    AutoencoderConfig,
    DiffusionConfig,
    SamplingConfig,
    TextUnetConfig,
    wukong,
)
from ...reference.text.tokenizer import shipped
from ..config import RunConfig, TrainerConfig
from ..diffusion import GaussianDiffusion
from ..networks.text_unet import TextUnet
from ..runs.folder import RunFolder
from ..runs.names import PUBLISHED
from ..runs.opened import OpenedRun
from ..runs.vocabulary import read_tokenizer, write_tokenizer
from .autoencoder import read_coder, with_coder
from .checkpoint_file import CheckpointFile
from .wukong import Part, tensors_of, unet_of


def import_published(
    path: Path,
    folder: Path,
    network: TextUnetConfig = wukong.PAINTER,
    autoencoder: AutoencoderConfig = wukong.AUTOENCODER,
) -> RunConfig:
    """Write a run that is painted with, of a checkpoint in the published layout.

    Args:
        path: wukong-huahua-ms.ckpt, wukong-huahua-inpaint-ms.ckpt, or one like them.
        folder: of the run.
        network, autoencoder: their sizes, where they are not the published ones.

    Raises:
        ValueError: no such checkpoint, one with other tensors, or a folder that holds a run.
    """
    file = CheckpointFile(path)
    extra = unet_of(file, network.unet).extra_channels
    if extra not in (0, 1 + network.channels):
        raise ValueError(
            f"checkpoint {str(path)!r} is of a network that is shown {extra} channels besides: one "
            f"that inpaints is shown {1 + network.channels}, others none"
        )
    network = replace(network, extra_channels=extra)
    config = RunConfig(
        data=str(path),
        image_size=64,
        device="auto",
        network=network,
        diffusion=DiffusionConfig(
            objective="pred_noise", beta_schedule="scaled_linear", auto_normalize=False
        ),
        sampling=SamplingConfig(cond_scale=7.5),
        trainer=TrainerConfig(results_folder=str(folder)),
    )
    run = RunFolder(folder)
    if run.steps() or (folder / PUBLISHED).exists():
        raise ValueError(
            f"results_folder {str(folder)!r} already holds a run: choose another (--results-folder)"
        )
    run.prepare(resume=False)
    shutil.copyfile(path, folder / PUBLISHED)
    run.config.write(config, autoencoder=asdict(autoencoder), scale_factor=wukong.SCALE_FACTOR)
    write_tokenizer(run, shipped())
    return config


def published_arrays(run: Path) -> Part:
    """The parameters of such a run's network, each read from the file when it is asked for."""
    parts = (wukong.PREFIXES["unet"], wukong.PREFIXES["text_encoder"])
    return Part(CheckpointFile(run / PUBLISHED), parts)


def open_published(run: RunFolder) -> OpenedRun:
    """Open such a run, as ``open_run`` opens others.

    Raises:
        ValueError: the checkpoint is damaged, or its tensors are of other sizes.
    """
    config = run.config.read()
    file = CheckpointFile(run.path / PUBLISHED)
    value = tensors_of(file)
    options: Any = config.network.to_dict()
    model = TextUnet(values=value, **options)
    sampling = asdict(config.diffusion) | asdict(config.sampling)
    diffusion = GaussianDiffusion(model, image_size=config.image_size, **sampling)
    diffusion.tokenizer = read_tokenizer(run)
    return with_coder(OpenedRun(diffusion, config, 0, "published"), read_coder(run.path))
