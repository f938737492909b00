"""What the options of ``train`` start from for each kind of data, which is looked at briefly."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from ...reference.config import (
    AutoencoderConfig,
    DiffusionConfig,
    MlpConfig,
    SamplingConfig,
    TextUnetConfig,
    Unet1DConfig,
    wukong,
)
from ..config import DIGITS, FOLDER, RunConfig, TrainerConfig
from .parse import value_of

LENGTH = "--sequence-length"
CAPTIONS = "--caption-encoding"
_IMAGES = {".png", ".jpg", ".jpeg", ".webp", ".bmp", ".gif", ".tif", ".tiff", ".avif", ".ppm"}

SCENES = RunConfig(
    data="scenes",
    image_size=16,
    device="auto",
    network=TextUnetConfig(
        dim=16,
        dim_mults=(1, 2, 4),
        channels=3,
        blocks=1,
        attention=(False, False, True),
        context_dim=64,
        length=28,
    ),
    # A text decides where noise is several times the signal: elsewhere one sees what it says.
    diffusion=DiffusionConfig(time_distribution="log_normal", p_mean=1.0, p_std=1.2),
    sampling=SamplingConfig(cond_scale=2.0),
    trainer=replace(
        DIGITS.trainer,
        train_num_steps=4000,
        # Twice that, and a thousand updates teach which colours there are, not what stands where.
        train_lr=1e-3,
        lr_schedule="cosine",
        save_and_sample_every=500,
    ),
)
"""What trains on scenes of two coloured digits and what is said of them."""

PICTURES = RunConfig(
    data="pictures",
    image_size=32,
    device="auto",
    network=TextUnetConfig(
        dim=32,
        dim_mults=(1, 2, 4),
        channels=3,
        blocks=1,
        attention=(False, True, True),
        context_dim=128,
        # With two, not half as many things are known after as many pictures.
        text_layers=1,
    ),
    # As for the scenes, and wider: what outlines are needs little noise.
    diffusion=DiffusionConfig(time_distribution="log_normal", p_mean=1.0, p_std=1.7),
    sampling=SamplingConfig(cond_scale=2.0),
    trainer=replace(
        DIGITS.trainer,
        train_num_steps=10_000,
        train_batch_size=32,
        train_lr=1e-3,
        lr_schedule="cosine",
        ema_decay=0.999,
        num_samples=36,
    ),
)
"""What trains on small pictures of many things and their names."""

CAPTIONED = replace(
    FOLDER,
    network=TextUnetConfig(dim=64, dim_mults=(1, 2, 4), channels=3, length=77, text_layers=4),
    sampling=SamplingConfig(cond_scale=3.0),
)
"""Where training on a folder of images and of what is said of them starts from."""

PRESETS = {preset.data: preset for preset in (DIGITS, SCENES, PICTURES)}
"""Where training on what comes with the package starts from."""

SEQUENCES = RunConfig(
    data="SEQUENCES",
    image_size=256,
    device="auto",
    network=Unet1DConfig(dim=32, dim_mults=(1, 2, 4), channels=1),
    diffusion=DiffusionConfig(auto_normalize=False),
    sampling=SamplingConfig(sampling_timesteps=100),
    trainer=TrainerConfig(
        train_num_steps=5000,
        train_batch_size=32,
        train_lr=5e-4,
        warmup_steps=100,
        ema_update_every=1,
        num_samples=8,
    ),
)
"""Where training on sequences starts from: windows of recordings or of a series."""

TABLE = RunConfig(
    data="TABLE",
    image_size=(),
    device="auto",
    network=MlpConfig(dim=128, depth=4, channels=1),
    diffusion=DiffusionConfig(auto_normalize=False),
    sampling=SamplingConfig(sampling_timesteps=100),
    trainer=TrainerConfig(
        train_num_steps=5000,
        train_batch_size=128,
        train_lr=1e-3,
        warmup_steps=100,
        ema_update_every=1,
        num_samples=256,
    ),
)
"""Where training on the lines of a table starts from."""


def preset(data: str | None, args: Sequence[str]) -> RunConfig:
    """The preset for what ``data`` names: digits, images, recordings, a series or a table.

    A folder whose first file of either kind is a WAV file and no image are recordings; a CSV file
    is a table, and a series where a length of sequences is asked for. Their channels are those of
    the data.

    Raises:
        ValueError: a header or a recording that cannot be read.
    """
    if data is None or data in PRESETS:
        return DIGITS if data is None else PRESETS[data]
    path = Path(data).expanduser()
    length = value_of(LENGTH, list(args))
    if path.is_file() and path.suffix.lower() == ".csv":
        from ..data.table import read_header

        columns = read_header(path, several("--leave-out", args))
        return _with_channels(TABLE if length is None else SEQUENCES, data, len(columns))
    if (found := _recording(path, wanted=length is not None)) is not None:
        from ..data.recordings import describe

        return _with_channels(SEQUENCES, data, describe(found)[0])
    if value_of(CAPTIONS, list(args)) is not None:
        return CAPTIONED
    return FOLDER if length is None else replace(SEQUENCES, data=data)


def of_latents(start: RunConfig, coder: AutoencoderConfig | None = None) -> RunConfig:
    """The same for the latents of such an autoencoder (default: of the published one)."""
    channels = (coder or wukong.AUTOENCODER).latent_channels
    return replace(
        start,
        image_size=32,
        network=replace(start.network, channels=channels),
        diffusion=replace(start.diffusion, auto_normalize=False),
        trainer=replace(start.trainer, num_samples=9),
    )


def tuning(trainer: TrainerConfig) -> TrainerConfig:
    """Where training starts from that goes on with a large model on latents.

    The rate is that of the published recipe (``config/train_config.json`` of MindDiffusion's
    wukong-huahua), its warm-up is longer, and it has no average.
    """
    return replace(
        trainer,
        train_num_steps=10_000,
        train_batch_size=4,
        train_lr=1e-5,
        warmup_steps=500,
        num_samples=4,
    )


def adding(trainer: TrainerConfig, latents: bool = False) -> TrainerConfig:
    """The same where only what is added to weights is trained (LoRA): that is learned soon.

    ``latents``: to those of a large model, whose published recipe has this rate.
    """
    if latents:
        return replace(tuning(trainer), train_num_steps=1000, train_lr=1e-4, warmup_steps=50)
    return replace(
        trainer,
        train_num_steps=1000,
        train_batch_size=16,
        train_lr=3e-3,
        lr_schedule="constant",
        min_lr=0.0,
        warmup_steps=50,
        ema_decay=0.99,
        ema_update_every=1,
        save_and_sample_every=500,
        num_samples=16,
    )


def several(flag: str, args: Sequence[str]) -> tuple[str, ...]:
    """The values after a flag that takes any number of them; as tyro, ``--a_b`` is ``--a-b``."""
    found: list[str] = []
    taking = False
    for arg in args:
        name, equals, value = arg.partition("=")
        if arg.startswith("--"):
            taking = name.replace("_", "-") == flag
            found = ([value] if equals else []) if taking else found
        elif taking:
            found.append(arg)
    return tuple(found)


def _with_channels(start: RunConfig, data: str, channels: int) -> RunConfig:
    network = replace(start.network, channels=max(1, channels))
    return replace(start, data=data, network=network)


def _recording(path: Path, wanted: bool) -> Path | None:
    """A WAV file, where the first image or recording of a folder is one, or they are wanted."""
    if path.is_file():
        return path if path.suffix.lower() == ".wav" else None
    for folder, folders, files in os.walk(path):
        folders.sort()
        for name in sorted(files):
            ending = Path(name).suffix.lower()
            if ending == ".wav":
                return Path(folder, name)
            if ending in _IMAGES and not wanted:
                return None
    return None
