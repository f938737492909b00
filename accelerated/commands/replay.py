"""``ddpm-mindspore replay``: do one update of a run again, and show what in it is not finite.

A run is a function of its configuration and its images, so the update is the very same: the newest
checkpoint from before it is loaded, what lies between is done again, and its batch is made anew.
Nothing is written to the run.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import mindspore as ms
import numpy as np
from mindspore import Tensor, nn

from ..batch import MicroBatch
from ..config import RunConfig
from ..runs.checkpoint import load, newest
from ..runs.folder import RunFolder
from ..runs.images import changes, known_images, place_of_images
from ..runs.names import AUTOENCODER, BASE, CHECKPOINTS, ENCODED, PRIOR
from ..runs.opened import build
from ..runs.vocabulary import read_tokenizer
from ..system import runtime
from ..system.compile_cache import compiled
from ..system.say import answer
from ..trainer.loop import Trainer
from ..trainer.prior import read_prior
from ..training import gradient_function
from .exit_codes import DONE
from .options import ReplayConfig


def replay(config: ReplayConfig) -> int:
    """Print losses by image, and which gradients and which layer are not finite; 0.

    Raises:
        ValueError: not a run folder, a run of several processes, or images that are not there.
    """
    run = RunFolder(config.run)
    before = run.config.read()
    if before.trainer.distributed:
        raise ValueError(f"run {str(run.path)!r} is of several processes: only one is replayed")
    runtime.select_device(config.device)
    with TemporaryDirectory() as folder:
        start = _copy(run, config.step, Path(folder))
        data = config.data or place_of_images(run)
        trainer = _trainer(before, data, folder, resume=Path(folder, CHECKPOINTS).exists())
        if differ := changes(known_images(run), trainer.images):
            raise ValueError(
                f"data {data!r} is not what the run {str(run.path)!r} was trained on: {differ}; "
                "with other images it would be another update"
            )
        answer(f"step {config.step} of {run.path}, going on from step {start}")
        for line in _report(trainer, config.step):
            answer(line)
    return DONE


def _copy(run: RunFolder, step: int, folder: Path) -> int:
    """Put what training goes on from before an update into a folder; its step, or 0 for nothing."""
    for path in (run.config.path, run.vocabulary, run.path / BASE):
        if path.exists():
            shutil.copy(path, folder)
    (folder / ENCODED).mkdir()
    for path in (run.path / PRIOR, run.path / AUTOENCODER, *(run.path / ENCODED).glob("*.rows")):
        if path.exists():
            (folder / path.relative_to(run.path)).symlink_to(path.resolve())
    found = newest(run.path, before=step)
    if found is None:
        return 0
    (folder / CHECKPOINTS).mkdir()
    (folder / CHECKPOINTS / found.name).symlink_to(found.resolve())
    return load(found, []).step


def _trainer(config: RunConfig, data: str, folder: str, resume: bool) -> Trainer:
    options = replace(config.trainer, results_folder=folder, resume=resume, tensorboard=False)
    if prior := read_prior(RunFolder(Path(folder)), options):  # its file may have changed, or gone
        path = Path(folder, "texts.txt")
        path.write_text("\n".join(prior.texts), encoding="utf-8")
        options = replace(options, prior=str(path))
    if options.autoencoder is not None and not resume:  # the run's own, wherever it is from
        options = replace(options, autoencoder=folder)
    diffusion = build(config)
    if diffusion.model.captioned:  # ids mean what they meant to the run
        diffusion.tokenizer = read_tokenizer(RunFolder(Path(folder)))
    return Trainer(diffusion, data, device=config.device, new_data=True, **asdict(options))


def _report(trainer: Trainer, step: int) -> Iterator[str]:
    batches, nonfinite = trainer.redo(step)
    loss = compiled(trainer.diffusion.loss)
    parameters = trainer.diffusion.model.trainable_params()
    gradient = compiled(gradient_function(trainer.diffusion.loss, parameters, nonfinite.scaled))
    indices = iter(nonfinite.describe(step)["indices"])
    for number, batch in enumerate(batches, start=1):
        value, grads = gradient(*batch.tensors(), Tensor(nonfinite.scale, ms.float32))
        yield f"micro-batch {number} of {len(batches)}: loss {value.asnumpy():g}"
        whole = np.concatenate([grad.asnumpy().ravel() for grad in grads])
        yield from _by_parameter(parameters, whole)
        yield "   place    image        t          loss"
        worst = None
        for place in range(len(batch.t)):
            one = batch.item(place)
            of_one = float(loss(*one.tensors()).asnumpy())
            wrong = int(np.sum(~np.isfinite(one.x_0)))
            remark = f"  {wrong} of {one.x_0.size} pixels are not finite" if wrong else ""
            shown = "own" if (index := next(indices)) is None else index
            yield f"{place:8} {shown:>8} {batch.t[place]:8.7g} {of_one:13.6g}{remark}"
            if worst is None and not np.isfinite(of_one):
                worst = place
        if worst is not None:
            layer = _first_layer(trainer.diffusion.model, trainer.diffusion.loss, batch, worst)
            yield f"the first layer whose output for image {worst} is not finite: {layer}"


def _by_parameter(parameters: list[Any], grads: np.ndarray) -> Iterator[str]:  # type: ignore[type-arg]
    pieces = np.split(grads, np.cumsum([p.size for p in parameters])[:-1])
    bad = [
        p.name for p, piece in zip(parameters, pieces, strict=True) if not np.isfinite(piece).all()
    ]
    norm = float(np.sqrt(np.sum(np.square(grads, dtype=np.float64))))
    yield f"gradient norm {norm:g}; not finite for {len(bad)} of {len(parameters)} parameters"
    if bad:
        yield f"  {', '.join(bad[:8])}{' ...' if len(bad) > 8 else ''}"


def _first_layer(network: nn.Cell, loss: Any, batch: MicroBatch, place: int) -> str:
    """The first layer to return something that is not finite, one operator at a time."""
    found: list[str] = []

    def watch(name: str) -> Any:
        def look(cell: nn.Cell, inputs: Any, output: Any) -> None:
            if not found and not np.isfinite(output.astype(ms.float32).asnumpy()).all():
                found.append(name)

        return look

    handles = [
        cell.register_forward_hook(watch(name))
        for name, cell in network.cells_and_names()
        if name and not isinstance(cell, (nn.CellList, nn.SequentialCell))
    ]
    try:
        with runtime.eager():
            loss(*batch.item(place).tensors())
    finally:
        for handle in handles:
            handle.remove()
    return found[0] if found else "none"
