"""Open a run to draw with it: the network with the weights that were asked for, and what they are.

run = open_run("my-run")
pictures = run.diffusion.sample(batch_size=4)
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ...reference.config import AutoencoderConfig, merged_network
from ...reference.plain import as_plain, check_choice
from ..choices import WEIGHTS, check_sigma_rel
from ..config import RunConfig
from ..data.scaling import Scaling, from_dict
from ..diffusion import GaussianDiffusion
from ..networks.table import build_network
from .averages import load_average
from .base import whole
from .folder import RunFolder
from .images import class_names_of
from .names import PUBLISHED
from .vocabulary import read_tokenizer
from .warm_up import remark


def build(config: RunConfig) -> GaussianDiffusion:
    """The diffusion that a configuration describes, its network at its initial parameters."""
    seed = config.trainer.seed
    model = build_network(config.network, seed)
    options = asdict(config.diffusion) | asdict(config.sampling)
    return GaussianDiffusion(model, image_size=config.image_size, seed=seed, **options)


@dataclass(frozen=True)
class OpenedRun:
    """A run, as one draws with it.

    Attributes:
        diffusion: its diffusion, the network holding the weights.
        config: everything the run was started with.
        step: the training step that the weights are of.
        weights: "average", "average over 0.08 of training" or "trained".
        remarks: what to know about them: an average that is none yet, checkpoints passed over.
        scaling: of data that are no images, between their units and those of the diffusion.
        decode: of a diffusion that draws latents: those to images in [0, 1].
        encode: of such a diffusion: images in [-1, 1] to the means of their latents.
        autoencoder: the sizes of what does both.
    """

    diffusion: GaussianDiffusion
    config: RunConfig
    step: int
    weights: str
    remarks: tuple[str, ...] = ()
    scaling: Scaling | None = None
    decode: Callable[[NDArray[np.float32]], NDArray[np.float32]] | None = None
    encode: Callable[[NDArray[np.float32]], NDArray[np.float32]] | None = None
    autoencoder: AutoencoderConfig | None = None

    def units(self, drawn: NDArray[np.float32]) -> NDArray[np.float32]:
        """What ``diffusion.sample`` returned, in the units of the data; latents as images."""
        if self.decode is not None:
            return self.decode(drawn)
        return drawn if self.scaling is None else self.scaling.undo(drawn)

    def shape(self, sides: tuple[int, ...]) -> tuple[int, ...]:
        """Of an item, where the diffusion draws what has these sides: of an image, not a latent."""
        if self.autoencoder is not None:
            return self.autoencoder.picture_shape(sides)
        return (self.config.network.channels, *sides)


def open_run(
    path: str | os.PathLike[str],
    *,
    weights: str = "average",
    ema: float | None = None,
    step: int | None = None,
) -> OpenedRun:
    """Open the folder of a run to draw with it.

    Args:
        path: the folder, as ``train`` or ``import`` has written it.
        weights: "average", the moving average that samples are drawn with, or "trained", the
            parameters as the step left them.
        ema: the length, as a share of training, of another average, which is made from the
            checkpoints of a run with ``ema_sigma_rels``.
        step: of which checkpoint (default: the newest that can be read).

    Raises:
        ValueError: not a run folder; no such checkpoint, or none that can be read; weights that are
            unknown, or an average that the run's checkpoints cannot make.
    """
    check_choice("weights", weights, tuple(WEIGHTS))
    run = RunFolder(as_plain("path", path, Path))
    config = run.config.read()
    if (run.path / PUBLISHED).is_file():
        from ..weights.published import open_published

        return open_published(run)
    opened = _opened(run, config, weights, ema, step)
    if config.trainer.autoencoder is None:
        return opened
    from ..weights.autoencoder import read_coder, with_coder

    return with_coder(opened, read_coder(run.path))


def _opened(
    run: RunFolder, config: RunConfig, weights: str, ema: float | None, step: int | None
) -> OpenedRun:
    scaling = from_dict(run.config.images().get("scaling"))
    diffusion = build(replace(config, network=merged_network(config.network)))
    diffusion.class_names = class_names_of(run)
    if diffusion.model.captioned:
        diffusion.tokenizer = read_tokenizer(run)
    if ema is not None:
        check_sigma_rel("ema", ema)
        if weights != "average":
            raise ValueError(
                f"ema {ema} is the length of an average: leave weights {weights!r} out"
            )
        average = load_average(run, ema, step)
        diffusion.model.load_arrays(whole(run, config.network, average.arrays))
        name = f"average over {ema:g} of training"
        made = (
            f"an {name}, of {average.snapshots} snapshots; its profile is {average.error:.2%} off"
        )
        remarks = [made, *map(_passed_over, average.refused)]
        return OpenedRun(diffusion, config, average.step, name, tuple(remarks), scaling)
    group = WEIGHTS[weights]
    checkpoint, _, refused = run.load(group, step)
    diffusion.model.load_arrays(whole(run, config.network, checkpoint.tensors[group]))
    remarks = list(map(_passed_over, refused))
    if weights == "average" and "imported_from" not in checkpoint.state:
        remarks += filter(None, [remark(checkpoint.step, config.trainer)])
    return OpenedRun(diffusion, config, checkpoint.step, weights, tuple(remarks), scaling)


def _passed_over(reason: str) -> str:
    return f"passed over a checkpoint: {reason}"
