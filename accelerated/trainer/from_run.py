"""Start a new run from the weights of another: ``train --from RUN``.

The new run has a folder, an optimiser state and steps of its own, and its configuration names the
checkpoint that it started from. Once it has a checkpoint it does not need that one any more: where
it trains what is added to weights (LoRA), it has these in its folder.
"""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from numpy.typing import NDArray

from ...reference.config import NetworkConfig, TextUnetConfig, merged_network, network_name
from ..choices import PAINTERS, SCENE_PAINTER, WEIGHTS
from ..config import RunConfig, TrainerConfig
from ..runs.folder import RunFolder
from ..runs.names import CHECKPOINTS, PUBLISHED, step_of
from ..runs.vocabulary import TABLE, with_new_rows

if TYPE_CHECKING:
    from ..networks.network import Network


def source_run(from_run: str) -> tuple[RunFolder, int | None]:
    """The run that is meant, and the step of its checkpoint if one of them is named.

    Raises:
        ValueError: a file, or a checkpoint's folder of another name than those have.
    """
    if from_run in PAINTERS:
        from ..weights.shipped import place_of

        return place_of(Path(from_run)), None
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
    published = _is_published(run)
    if data is None and from_run not in PAINTERS and (published or run.imported()):
        raise ValueError(
            f"from {from_run!r} holds imported weights, and no images to train on: say which "
            "(--data)"
        )
    network = merged_network(source.network)
    if published and isinstance(network, TextUnetConfig):
        network = replace(network, freeze_text_encoder=True)
    return replace(
        config,
        data=place_of_images(run) if data is None else data,
        image_size=source.image_size,
        network=network,
        diffusion=source.diffusion,
        sampling=source.sampling,
        trainer=replace(config.trainer, super_resolve=source.trainer.super_resolve),
    )


def is_of_latents(from_run: str) -> bool:
    """Whether the network of a run to start from draws latents."""
    return from_run not in PAINTERS and source_run(from_run)[0].draws_latents()


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
    from ..runs.base import has_base, read_base

    rank, own = model.config.lora_rank, {}
    if has_base(model.config):
        own = {p.name: p.asnumpy() for p in model.trainable_params()}
    if config.resume:
        if own:
            model.load_arrays(own | read_base(run)[0])
        before = run.config.read().trainer
        given, factor = config.autoencoder, config.scale_factor
        known = replace(
            config,
            from_run=before.from_run,
            autoencoder=before.autoencoder if given is None else given,
            scale_factor=before.scale_factor if factor is None else factor,
        )
        return Start(known)
    if config.from_run is None:
        if rank is not None:
            raise ValueError(
                f"lora_rank {rank} adds to weights that have been trained: say to whose (--from "
                f"RUN, or --from {SCENE_PAINTER} for a model that comes with the program)"
            )
        return Start(config)
    source, step = source_run(config.from_run)
    network = source.config.read().network
    _check_same(merged_network(network), merged_network(model.config), source)
    arrays, place = _weights(source, step, network, config)
    rows = len(arrays.get(TABLE, ()))
    if isinstance(model.config, TextUnetConfig) and rows < (model.config.vocabulary or 0):
        drawn = model.text.embedding_table.asnumpy()[rows:]
        arrays = ChainMap({TABLE: with_new_rows(arrays[TABLE], drawn)}, arrays)  # type: ignore[arg-type]
    # A published checkpoint's are read one by one.
    model.load_arrays(ChainMap(arrays, own))  # type: ignore[arg-type]
    coder = config.autoencoder
    if coder is None and is_of_latents(config.from_run):
        coder = str(source.path)
    return Start(replace(config, from_run=place, autoencoder=coder), rows)


def write_base(run: RunFolder, model: Network, rows: int) -> None:
    """Leave in a new run the weights that it does not train, where its checkpoints lack them.

    ``rows``: of the token table that it started from.
    """
    from ..runs.base import has_base, save_base
    from .state import fixed_arrays

    if has_base(model.config):
        save_base(run, fixed_arrays(model), rows)


def _is_published(run: RunFolder) -> bool:
    """Whether it is of a published checkpoint.

    Raises:
        ValueError: of one that is shown masks, which no data here have.
    """
    if not (run.path / PUBLISHED).is_file():
        return False
    network = run.config.read().network
    if network.in_channels > network.channels:
        raise ValueError(
            f"run {str(run.path)!r} paints what a mask hides, and is not trained on: start from "
            "one of wukong-huahua-ms.ckpt"
        )
    return True


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
            changed["freeze_text_encoder"] = network.freeze_text_encoder
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
    if config.from_run in PAINTERS:
        from ..weights.shipped import shipped_arrays

        if config.from_weights != "average":
            raise ValueError(f"from {config.from_run} has an average alone: leave from_weights out")
        return shipped_arrays(source.path), config.from_run
    if _is_published(source):
        from ..weights.published import published_arrays

        return published_arrays(source.path), str(source.path)
    from ..runs.base import whole

    group = WEIGHTS[config.from_weights]
    checkpoint, folder, _ = source.load(group, step)
    return whole(source, network, checkpoint.tensors[group]), str(folder)
