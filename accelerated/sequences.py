"""The names under which people know diffusion over sequences: (C, L) instead of (C, H, W)."""

from __future__ import annotations

import os
from typing import Any

from numpy.typing import NDArray

from .diffusion import GaussianDiffusion
from .networks.network import Network
from .trainer.loop import Trainer


class GaussianDiffusion1D(GaussianDiffusion):
    """Diffusion of sequences.

    Args:
        model: the network, as :class:`~ddpm_mindspore.accelerated.networks.unet1d.Unet1D`.
        seq_length: how long sequences are.
        objective, beta_schedule: as over images; what they are by default is what the package has
            for sequences whose names these are.
        options: as for :class:`~ddpm_mindspore.accelerated.diffusion.GaussianDiffusion`. With
            ``auto_normalize=False`` sequences are not in [0, 1] but of any size, best standardised.

    Raises:
        ValueError: options that contradict each other or do not fit the network.
    """

    def __init__(
        self,
        model: Network,
        *,
        seq_length: int,
        objective: str = "pred_noise",
        beta_schedule: str = "cosine",
        **options: Any,
    ) -> None:
        options |= {"objective": objective, "beta_schedule": beta_schedule}
        super().__init__(model, image_size=(seq_length,), **options)


class Trainer1D(Trainer):
    """Train a diffusion on sequences.

    Args:
        diffusion: what is trained.
        dataset: an array (N, C, L) of floats in [0, 1], or of any size with
            ``auto_normalize=False``; a folder of WAV files; or a CSV file, a series whose columns
            are the channels.
        options: as for :class:`~ddpm_mindspore.accelerated.trainer.loop.Trainer`.

    Raises:
        ValueError: options, data or a results folder that do not fit, before any long work.
    """

    def __init__(
        self,
        diffusion: GaussianDiffusion,
        dataset: str | os.PathLike[str] | NDArray[Any],
        **options: Any,
    ) -> None:
        super().__init__(diffusion, dataset, **options)
