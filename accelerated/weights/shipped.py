"""The model that comes with the package: it paints from Chinese texts without any training.

``painter/``: config.json as of a run, vocabulary.txt, model.safetensors (the average of the
weights, in half precision) and the licences (LICENSE.md).
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import safetensors.numpy

from ...reference.config import merged_network
from ..runs.base import whole
from ..runs.checkpoint import Tensors, load_newest
from ..runs.config_file import from_json, read_document
from ..runs.folder import RunFolder
from ..runs.opened import OpenedRun, build
from ..runs.vocabulary import read_tokenizer, write_tokenizer
from ..system.files import replace_file

FOLDER = Path(__file__).with_name("painter")
WEIGHTS = "model.safetensors"


def shipped_arrays(folder: Path = FOLDER) -> Tensors:
    """Its parameters, in float32."""
    arrays = safetensors.numpy.load_file(folder / WEIGHTS)
    return {name: a.astype(np.float32) for name, a in arrays.items()}


def open_shipped(folder: Path = FOLDER) -> OpenedRun:
    """Open it to draw with it, as ``open_run`` opens a run."""
    run = RunFolder(folder)
    document = read_document(run.config.path)
    config = from_json(document, run.config.path)
    diffusion = build(config)
    diffusion.tokenizer = read_tokenizer(run)
    diffusion.model.load_arrays(shipped_arrays(folder))
    return OpenedRun(diffusion, config, int(document["step"]), "average")


def make_shipped(run: RunFolder, folder: Path = FOLDER) -> None:
    """Write such a folder from a run's newest checkpoint; licences are for people to write.

    Raises:
        ValueError: not a run, or one whose network is told no texts.
    """
    config, tokenizer = run.config.read(), read_tokenizer(run)
    checkpoint = load_newest(run.path, ["ema"]).checkpoint
    arrays = whole(run, config.network, checkpoint.tensors["ema"])
    folder.mkdir(exist_ok=True)
    trainer = replace(config.trainer, results_folder="painter", data_cache=None, from_run=None)
    there = RunFolder(folder)
    config = replace(config, trainer=trainer, network=merged_network(config.network))
    there.config.write(config, step=checkpoint.step)
    write_tokenizer(there, tokenizer)
    halves = {name: a.astype(np.float16) for name, a in arrays.items()}
    replace_file(folder / WEIGHTS, safetensors.numpy.save(halves))
