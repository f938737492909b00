"""Start a new run from the weights of another: ``train --from RUN``.

The new run has a folder, an optimiser state and steps of its own, and its configuration names the
checkpoint that it started from. Once it has a checkpoint it does not need that one any more.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from ...reference.config import network_name
from ..config import WEIGHTS, RunConfig, TrainerConfig
from ..runs.folder import RunFolder
from ..runs.names import CHECKPOINTS, step_of

if TYPE_CHECKING:
    from ..networks.network import Network


def source_run(from_run: str) -> tuple[RunFolder, int | None]:
    """The run that is meant, and the step of its checkpoint if one of them is named.

    Raises:
        ValueError: a file, or a checkpoint's folder of another name than those have.
    """
    path = Path(from_run).expanduser()
    if path.is_file():
        raise ValueError(
            f"from {from_run!r} is a file: make a run of it (ddpm-mindspore import), and start "
            "from that"
        )
    if path.absolute().parent.name != CHECKPOINTS:
        return RunFolder(path), None
    step = step_of(path)
    if step is None:
        raise ValueError(f"from {from_run!r} is no checkpoint: name one like step-00001000")
    return RunFolder(path.parent.parent), step


def like_source(config: RunConfig, from_run: str, data: str | None) -> RunConfig:
    """``config`` with the images, the network and the diffusion of a run to start from.

    Raises:
        ValueError: not a run; or one whose images are not there, and ``data`` names none.
    """
    from ..runs.images import place_of_images

    run, _ = source_run(from_run)
    source = run.config.read()
    if data is None and run.imported():
        raise ValueError(
            f"from {from_run!r} holds imported weights, and no images to train on: say which "
            "(--data)"
        )
    return replace(
        config,
        data=place_of_images(run) if data is None else data,
        image_size=source.image_size,
        network=source.network,
        diffusion=source.diffusion,
        sampling=source.sampling,
        trainer=replace(config.trainer, super_resolve=source.trainer.super_resolve),
    )


def start_from(config: TrainerConfig, run: RunFolder, model: Network) -> TrainerConfig:
    """Put the weights that a new run starts from into its network.

    Returns the configuration with their checkpoint's folder, for config.json to tell; if the run is
    resumed, with what is told there.

    Raises:
        ValueError: not a run, no checkpoint that can be read, or another network.
    """
    if config.resume:
        return replace(config, from_run=run.config.read().trainer.from_run)
    if config.from_run is None:
        return config
    from .state import first_difference

    source, step = source_run(config.from_run)
    network = source.config.read().network
    # Neither has parameters: dropout is what one changes to go on with fewer images.
    same = model.config
    if network_name(same) == network_name(network):
        changed = {"dropout": network.dropout}
        if network.num_classes is not None:
            changed["cond_drop_prob"] = network.cond_drop_prob
        same = replace(same, **changed)  # type: ignore[type-var]
    if other := first_difference("network", network, same):
        raise ValueError(
            f"{other} in the run in {str(source.path)!r}: a run starts from another's weights with "
            "the same network (leave out what differs)"
        )
    group = WEIGHTS[config.from_weights]
    checkpoint, folder, _ = source.load(group, step)
    model.load_arrays(checkpoint.tensors[group])
    return replace(config, from_run=str(folder))
