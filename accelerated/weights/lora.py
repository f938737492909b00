"""Files of low-rank factors (LoRA): those of others are read, one's own are written for others.

What their tensors are called is in ``lora_names.py``. Where factors were trained with pieces of
texts that the weights did not know before, the file has these pieces' rows of the token table too.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import safetensors
import safetensors.numpy
from mindspore import Tensor, ops
from numpy.typing import NDArray

from ...reference.config import TextUnetConfig
from ...reference.networks.lora import DOWN, UP, added
from ...reference.text.tokenizer import Tokenizer
from ..runs.opened import OpenedRun, build
from ..runs.vocabulary import TABLE
from ..system.files import replace_file
from .checkpoint_file import CheckpointFile
from .lora_names import Place, places

Array: TypeAlias = NDArray[Any]

ROWS = "embedding_table.rows"
"""The tensor with the rows of new pieces."""

PIECES = "pieces"
"""What says in the file's metadata which pieces those are, a JSON list."""

_UNUSED = {"lora_rank", ROWS}


class Factors(NamedTuple):
    """What a file adds.

    Attributes:
        path: of the file.
        pairs: where, A, and B times alpha / rank; float32.
        rows: of the token table, by the pieces that they are of.
    """

    path: Path
    pairs: list[tuple[Place, Array, Array]]
    rows: dict[str, Array]


def write_lora(
    path: Path,
    factors: Mapping[str, Array],
    config: TextUnetConfig,
    layout: str,
    rows: Mapping[str, Array],
) -> None:
    """Write factors; alpha / rank is in B, so that whoever knows of no alpha adds the same.

    Args:
        path: of the file.
        factors: by the names of the runs of this package; what is none is left out.
        config: of their network.
        layout: "mindone" or "diffusers", whose names they are to have.
        rows: of the token table, by the new pieces that they are of.

    Raises:
        ValueError: the file cannot be written.
    """
    named: dict[str, Array] = {}
    for place in places(config):
        layer = place.weight.removesuffix(".weight")
        if layer + DOWN not in factors:
            continue
        down = factors[layer + DOWN]
        up = np.float32(config.lora_scale) * factors[layer + UP][place.rows]
        if layout == "mindone" and place.own is not None:
            named |= {place.own + DOWN: down, place.own + UP: up}
        if layout == "diffusers" and place.theirs is not None:
            named |= {f"{place.theirs}.lora_A.weight": down, f"{place.theirs}.lora_B.weight": up}
    facts = {"format": "pt"}
    if rows:
        named[ROWS] = np.stack([*rows.values()])
        facts[PIECES] = json.dumps([*rows])
    try:
        replace_file(path, safetensors.numpy.save(named, metadata=facts))
    except OSError as error:
        raise ValueError(
            f"output {str(path)!r} cannot be written ({error.strerror}): choose another"
        ) from None


def read_lora(path: Path, config: TextUnetConfig) -> Factors:
    """Read such a file, .safetensors or a MindSpore checkpoint (.ckpt), for this network.

    Raises:
        ValueError: it cannot be read, or has a tensor that belongs nowhere here, or one that holds
            NaN or infinity, or factors of rank 0.
    """
    left, facts = _read(path)
    for name, array in left.items():
        if not np.isfinite(array).all():
            raise ValueError(
                f"lora {str(path)!r} has a tensor {name!r} that holds NaN or infinity: give the "
                "factors of a training that went well"
            )
    rows = _rows(path, left.get(ROWS), facts)
    count, pairs = len(left), []
    for place in places(config):
        for a, b, alpha in place.spellings():
            if a in left and b in left:
                down, up = (np.asarray(left.pop(name), np.float32) for name in (a, b))
                rank = len(down) if down.ndim else 0
                times = np.asarray(left.pop(alpha, rank), np.float32)
                if not rank or times.size != 1:
                    raise ValueError(
                        f"lora {str(path)!r} has {a!r} of shape {down.shape} and an alpha of shape "
                        f"{times.shape}: give factors of a rank of at least 1, with one alpha"
                    )
                pairs.append((place, down, up * (times.reshape(()) / np.float32(rank))))
    if unknown := sorted(left.keys() - _UNUSED):
        raise ValueError(
            f"lora {str(path)!r} has a tensor {unknown[0]!r}, and this network no such layer of "
            f"attention ({len(unknown)} such of {count}): give factors of this network's"
        )
    if not pairs:
        raise ValueError(f"lora {str(path)!r} has no factors: give a file that export has written")
    return Factors(path, pairs, rows)


def add_lora(run: OpenedRun, factors: Factors, scale: float = 1.0) -> OpenedRun:
    """Add what a file holds, times ``scale``, to the weights of an opened run, in place.

    Returns:
        The run, with another diffusion where its network gets rows for new pieces.

    Raises:
        ValueError: factors of a network of another size.
    """
    if factors.rows:
        run = _with_rows(run, factors)
    parameters = {p.name: p for p in run.diffusion.model.get_parameters()}
    for place, down, up in factors.pairs:
        weight = parameters[place.weight].asnumpy().copy()
        part = weight[place.rows]
        if (down.shape[1:], up.shape) != (part.shape[1:], (len(part), len(down))):
            raise ValueError(
                f"lora {str(factors.path)!r} has factors of shapes {down.shape} and {up.shape} for "
                f"{place.weight!r}, {part.shape}: give those of a network of this size"
            )
        weight[place.rows] = added(part, down, up, scale)
        ops.assign(parameters[place.weight], Tensor(weight))
    return run


def _with_rows(run: OpenedRun, factors: Factors) -> OpenedRun:
    """The run with these rows in its token table, which gets as many more as it needs."""
    diffusion, rows = run.diffusion, factors.rows
    before, config = diffusion.tokenizer, diffusion.model.config
    assert before is not None and isinstance(config, TextUnetConfig)
    vocabulary = dict(before.vocabulary)
    for piece in rows:
        vocabulary.setdefault(piece, len(vocabulary))
    tokenizer = Tokenizer(vocabulary)
    arrays = diffusion.model.arrays()
    table = arrays[TABLE]
    if any(row.shape != table.shape[1:] for row in rows.values()):
        raise ValueError(
            f"lora {str(factors.path)!r} has rows of new pieces that are not {table.shape[1]} "
            "wide, as those of this network are: give factors of a network of this size"
        )
    if tokenizer.size > len(table):
        network = replace(config, vocabulary=tokenizer.size)
        diffusion = build(replace(run.config, network=network))
        table = np.concatenate((table, np.zeros((tokenizer.size - len(table), table.shape[1]))))
    table[[vocabulary[piece] for piece in rows]] = np.stack([*rows.values()])
    diffusion.model.load_arrays({**arrays, TABLE: table})
    diffusion.tokenizer = tokenizer
    return replace(run, diffusion=diffusion)


def _read(path: Path) -> tuple[dict[str, Array], dict[str, str]]:
    if path.suffix == ".ckpt":
        file = CheckpointFile(path, "lora")
        return {name: file.array(name) for name in file.entries}, {}
    try:
        with safetensors.safe_open(path, "numpy") as opened:
            names = list(opened.keys())
            return {name: opened.get_tensor(name) for name in names}, opened.metadata() or {}
    except (OSError, TypeError, safetensors.SafetensorError) as error:
        raise ValueError(
            f"lora {str(path)!r} cannot be read ({error}): give a .safetensors file of float32 or "
            "float16, or a MindSpore checkpoint (.ckpt)"
        ) from None


def _rows(path: Path, rows: Array | None, facts: Mapping[str, str]) -> dict[str, Array]:
    """Rows by their pieces; ValueError where one is there without the other."""
    try:
        pieces = [str(piece) for piece in json.loads(facts.get(PIECES, "[]"))]
        table = np.zeros((0, 1)) if rows is None else np.asarray(rows, np.float32)
        return dict(zip(pieces, table, strict=True))
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"lora {str(path)!r} is damaged: its rows are not those of its pieces ({error})"
        ) from None
