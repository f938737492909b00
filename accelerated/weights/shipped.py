"""The models that come with the package: they paint from Chinese texts without any training.

``painter-scenes/`` and ``painter-pictures/``: config.json as of a run, vocabulary.txt,
model.safetensors (the average of the weights, in half precision) and the licences (LICENSE.md).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import safetensors.numpy

from ...reference.config import merged_network
from ...reference.text.tokenizer import UNK
from ..choices import PAINTERS
from ..runs.base import whole
from ..runs.checkpoint import Tensors, load_newest
from ..runs.config_file import from_json, read_document
from ..runs.folder import RunFolder
from ..runs.opened import OpenedRun, build
from ..runs.vocabulary import read_tokenizer, write_tokenizer
from ..system.files import replace_file

WEIGHTS = "model.safetensors"


SHIPPED = {Path(name): Path(__file__).with_name(name) for name in PAINTERS}
"""What is to be named in place of a run's folder, and where it is."""


def place_of(run: Path) -> RunFolder:
    """Where a run is, or the model of that name."""
    return RunFolder(SHIPPED.get(run, run))


def painter_of(texts: Sequence[str]) -> Path:
    """The name of the model that knows most of what is said; of scenes if both know as much."""

    def unknown(name: Path) -> int:
        tokenizer = read_tokenizer(place_of(name))
        return sum(tokenizer.pieces(text).count(UNK) for text in texts)

    return min(SHIPPED, key=unknown)


def shipped_arrays(folder: Path) -> Tensors:
    """Its parameters, in float32."""
    arrays = safetensors.numpy.load_file(folder / WEIGHTS)
    return {name: a.astype(np.float32) for name, a in arrays.items()}


def open_shipped(folder: Path) -> OpenedRun:
    """Open it to draw with it, as ``open_run`` opens a run."""
    run = RunFolder(folder)
    document = read_document(run.config.path)
    config = from_json(document, run.config.path)
    diffusion = build(config)
    diffusion.tokenizer = read_tokenizer(run)
    diffusion.model.load_arrays(shipped_arrays(folder))
    return OpenedRun(diffusion, config, int(document["step"]), "average")


def make_shipped(run: RunFolder, folder: Path) -> None:
    """Write such a folder from a run's newest checkpoint; licences are for people to write.

    Raises:
        ValueError: not a run, or one whose network is told no texts.
    """
    config, tokenizer = run.config.read(), read_tokenizer(run)
    checkpoint = load_newest(run.path, ["ema"]).checkpoint
    arrays = whole(run, config.network, checkpoint.tensors["ema"])
    folder.mkdir(exist_ok=True)
    trainer = replace(config.trainer, results_folder=folder.name, data_cache=None, from_run=None)
    there = RunFolder(folder)
    config = replace(config, trainer=trainer, network=merged_network(config.network))
    there.config.write(config, step=checkpoint.step)
    write_tokenizer(there, tokenizer)
    halves = {name: a.astype(np.float16) for name, a in arrays.items()}
    replace_file(folder / WEIGHTS, safetensors.numpy.save(halves))
