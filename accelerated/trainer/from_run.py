"""Start a new run from the weights of another: ``train --from RUN``.

The new run has a folder, an optimiser state and steps of its own, and its configuration names the
checkpoint that it started from. Once it has a checkpoint it does not need that one any more: where
it trains what is added to weights (LoRA), it has these in its folder.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from numpy.typing import NDArray

from ...reference.config import NetworkConfig, TextUnetConfig, merged_network, network_name
from ..choices import PAINTER, WEIGHTS
from ..config import RunConfig, TrainerConfig
from ..runs.folder import RunFolder
from ..runs.names import CHECKPOINTS, step_of
from ..runs.vocabulary import TABLE, with_new_rows

if TYPE_CHECKING:
    from ..networks.network import Network


def source_run(from_run: str) -> tuple[RunFolder, int | None]:
    """The run that is meant, and the step of its checkpoint if one of them is named.

    Raises:
        ValueError: a file, or a checkpoint's folder of another name than those have.
    """
    if from_run == PAINTER:
        from ..weights.shipped import FOLDER

        return RunFolder(FOLDER), None
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
    if data is None and from_run != PAINTER and run.imported():
        raise ValueError(
            f"from {from_run!r} holds imported weights, and no images to train on: say which "
            "(--data)"
        )
    return replace(
        config,
        data=place_of_images(run) if data is None else data,
        image_size=source.image_size,
        network=merged_network(source.network),
        diffusion=source.diffusion,
        sampling=source.sampling,
        trainer=replace(config.trainer, super_resolve=source.trainer.super_resolve),
    )


class Start(NamedTuple):
    """What a run begins with.

    Attributes:
        config: with the place of the weights that it started from, for config.json to tell.
        rows: of the token table that those have, where the network is told texts; it may have more.
    """

    config: TrainerConfig
    rows: int = 0


def start_from(config: TrainerConfig, run: RunFolder, model: Network) -> Start:
    """Put the weights that a new run starts from into its network.

    If the run is resumed, what its own are added to, where they are; the rest is in its checkpoint.

    Raises:
        ValueError: not a run, no checkpoint that can be read, or another network; or a network
            that is added to, and nothing that it could be added to.
    """
    from ..runs.base import read_base

    own = {}
    if (rank := model.config.lora_rank) is not None:
        own = {p.name: p.asnumpy() for p in model.trainable_params()}
    if config.resume:
        if rank is not None:
            model.load_arrays(own | read_base(run)[0])
        return Start(replace(config, from_run=run.config.read().trainer.from_run))
    if config.from_run is None:
        if rank is not None:
            raise ValueError(
                f"lora_rank {rank} adds to weights that have been trained: say to whose (--from "
                f"RUN, or --from {PAINTER} for the model that comes with the program)"
            )
        return Start(config)
    source, step = source_run(config.from_run)
    before = source.config.read().network
    _check_same(merged_network(before), merged_network(model.config), source)
    arrays, place = _weights(source, step, before, config)
    rows = len(arrays.get(TABLE, ()))
    if isinstance(model.config, TextUnetConfig) and rows < (model.config.vocabulary or 0):
        drawn = model.text.embedding_table.asnumpy()[rows:]
        arrays = {**arrays, TABLE: with_new_rows(arrays[TABLE], drawn)}
    model.load_arrays({**own, **arrays})
    return Start(replace(config, from_run=place), rows)


def write_base(run: RunFolder, model: Network, rows: int) -> None:
    """Leave in a new run what its own are added to, if that is what it trains.

    ``rows``: of the token table that it started from.
    """
    from ..runs.base import save_base
    from .state import fixed_arrays

    if model.config.lora_rank is not None:
        save_base(run, fixed_arrays(model), rows)


def _check_same(network: NetworkConfig, now: NetworkConfig, source: RunFolder) -> None:
    """Raise ValueError where a network has not the parameters of another, but may have new rows."""
    from .state import first_difference

    if network_name(now) == network_name(network):
        # These have no parameters: dropout is what one changes to go on with fewer images.
        changed: dict[str, Any] = {"dropout": network.dropout}
        if network.num_classes is not None:
            changed["cond_drop_prob"] = network.cond_drop_prob
        if isinstance(now, TextUnetConfig) and isinstance(network, TextUnetConfig):
            changed["cond_drop_prob"] = network.cond_drop_prob
            if (now.vocabulary or 0) > (network.vocabulary or 0):
                changed["vocabulary"] = network.vocabulary
        now = replace(now, **changed)  # type: ignore[type-var]
    if other := first_difference("network", network, now):
        raise ValueError(
            f"{other} in the run in {str(source.path)!r}: a run starts from another's weights with "
            "the same network (leave out what differs)"
        )


def _weights(
    source: RunFolder, step: int | None, network: NetworkConfig, config: TrainerConfig
) -> tuple[Mapping[str, NDArray[Any]], str]:
    """The parameters to start from, and what config.json calls the place that they are from."""
    if config.from_run == PAINTER:
        from ..weights.shipped import shipped_arrays

        if config.from_weights != "average":
            raise ValueError(f"from {PAINTER} has an average alone: leave from_weights out")
        return shipped_arrays(), PAINTER
    from ..runs.base import whole

    group = WEIGHTS[config.from_weights]
    checkpoint, folder, _ = source.load(group, step)
    return whole(source, network, checkpoint.tensors[group]), str(folder)
