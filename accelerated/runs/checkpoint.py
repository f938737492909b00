"""Checkpoints on disk: a folder of safetensors and JSON, complete or not there at all.

    RUN/checkpoints/step-00001000/model.safetensors    one file for each group of tensors
                                  ema.safetensors ...
                                  state.json           step, state, size and SHA-256 of each file

A group is parameter name -> float32 array. The document of state.json is::

    {"format": "ddpm-mindspore checkpoint", "version": 1, "step": 1000,
     "files": {"model.safetensors": {"size": ..., "sha256": ...}, ...},
     "state": {...},                 plain values: the loss scale, updates left out, ...
     "sha256": ...}                  of the document without this entry, indented by 2

New groups and new values in "state" are no new version; another meaning of old ones is. Another
version is refused.

A folder is written under a temporary name, flushed to the disk and then renamed, so a process
that is killed, or a machine that loses power, leaves the checkpoints that were there before and
at most a temporary folder. Nothing is deleted before its successor is safe.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import safetensors.numpy
from numpy.typing import NDArray

from ..system.files import flush_folder, json_bytes, make_folder, write_new
from . import names

Tensors: TypeAlias = dict[str, NDArray[np.float32]]

FORMAT = "ddpm-mindspore checkpoint"
VERSION = 1

_REMEDY = "remove the folder to go on from an older checkpoint"


@dataclass(frozen=True)
class Checkpoint:
    """All that a run needs to go on.

    Attributes:
        step: how many training steps are behind it.
        tensors: group ("model", "ema", "adam_m", ...) -> name -> float32 array.
        state: plain JSON values; no NaN or infinity, which JSON does not have.
    """

    step: int
    tensors: dict[str, Tensors]
    state: dict[str, Any]


class Loaded(NamedTuple):
    """What :func:`load_newest` found; ``refused`` says why newer checkpoints were passed over."""

    checkpoint: Checkpoint
    folder: Path
    refused: list[str]


def save(run: Path, checkpoint: Checkpoint) -> Path:
    """Write ``run/checkpoints/step-<8 digits>`` and return it; one that was there is replaced.

    Once it returns, the checkpoint survives a power failure.

    Raises:
        ValueError: a negative step, an array that is not float32, a group whose name is no file
            name, or a state that JSON cannot hold.
        OSError: the disk is full, or the folder cannot be written. What was there is unharmed.
    """
    _check(checkpoint)
    final = names.checkpoint_folder(run, checkpoint.step)
    written = names.temporary(final)
    make_folder(final.parent)
    shutil.rmtree(written, ignore_errors=True)
    try:
        _write_files(written, checkpoint)
        _put_in_place(written, final)
    finally:
        shutil.rmtree(written, ignore_errors=True)
    return final


def newest(run: Path, before: float = math.inf) -> Path | None:
    """Return the newest complete checkpoint of a run, of a step less than ``before``, or None.

    Complete: its ``state.json`` is whole and its files have the sizes written there. The
    checksums are left to :func:`load`.
    """
    folders = (folder for folder, step in names.checkpoints(run).items() if step < before)
    return next(filter(_is_complete, folders), None)


def load(folder: Path, groups: Sequence[str] | None = None) -> Checkpoint:
    """Read a checkpoint's folder, all of it or the named groups, checking size and SHA-256.

    Raises:
        ValueError: the folder is no checkpoint, lacks a group, or is damaged; the message names
            the file and says what to do.
    """
    document = _read_state(folder)
    files = document["files"]
    if groups is None:
        groups = [name.removesuffix(".safetensors") for name in files]
    for group in groups:
        if f"{group}.safetensors" not in files:
            raise ValueError(f"{folder} has no tensors {group!r}: it has {', '.join(files)}")
    tensors = {group: _read_tensors(folder / f"{group}.safetensors", files) for group in groups}
    return Checkpoint(document["step"], tensors, document["state"])


def load_newest(run: Path, groups: Sequence[str] | None = None) -> Loaded:
    """Read the newest checkpoint of a run that is whole, passing over damaged ones.

    Raises:
        ValueError: the run has no checkpoint, or none that can be read.
    """
    refused: list[str] = []
    for folder in names.checkpoints(run):
        try:
            return Loaded(load(folder, groups), folder, refused)
        except ValueError as error:
            if not os.path.lexists(folder):  # a trainer has just removed it for a newer one
                return load_newest(run, groups)
            refused.append(str(error).removesuffix(f": {_REMEDY}"))
    if refused:
        raise ValueError(f"{run} holds no checkpoint that can be loaded: {'; '.join(refused)}")
    raise ValueError(f"{run} holds no checkpoint: name the folder of a run that has saved one")


def prune(run: Path, step: int, *, keep_last: int | None, keep_every: int | None) -> None:
    """Remove older checkpoints than that of ``step``, which is known to be safe.

    The ``keep_last`` newest complete ones up to ``step`` stay (None: all), and those of steps that
    ``keep_every`` divides (None: no step).

    Raises:
        OSError: one cannot be removed.
    """
    if keep_last is None:
        return
    past = {folder: at for folder, at in names.checkpoints(run).items() if at <= step}
    kept = set([folder for folder in past if _is_complete(folder)][:keep_last])
    for folder, at in past.items():
        forever = keep_every is not None and at % keep_every == 0
        if folder not in kept and not forever and at < step:
            # Under a temporary name: at no time is half a checkpoint there.
            shutil.rmtree(folder.rename(names.temporary(folder)))


def remove_leftovers(run: Path) -> None:
    """Remove what a killed process left behind. No one else may be saving into this run."""
    for path in names.unfinished_checkpoints(run):
        shutil.rmtree(path)
    for path in names.checkpoints(run):
        final = path.with_name(path.name.removesuffix(names.ASIDE))
        if path == final:
            continue
        if final.exists():
            shutil.rmtree(path)
        else:  # killed between the two renames of a replacement
            path.rename(final)


def _is_complete(folder: Path) -> bool:
    try:
        for name, entry in _read_state(folder)["files"].items():
            _check_size(folder / name, entry)
    except ValueError:
        return False
    return True


def _check(checkpoint: Checkpoint) -> None:
    if checkpoint.step < 0:
        raise ValueError(f"step {checkpoint.step} must not be negative")
    for group, tensors in checkpoint.tensors.items():
        if not group.isidentifier():
            raise ValueError(f"group {group!r} must be a plain word: it names a file")
        for name, array in tensors.items():
            if array.dtype != np.float32:
                raise ValueError(f"{group} {name!r} is {array.dtype}: only float32 is saved")


def _write_files(folder: Path, checkpoint: Checkpoint) -> None:
    folder.mkdir()
    files = {}
    for group, tensors in checkpoint.tensors.items():
        # Only C order: safetensors takes an array's memory as it lies.
        arrays = {name: np.asarray(array, order="C") for name, array in tensors.items()}
        data = safetensors.numpy.save(arrays)
        files[f"{group}.safetensors"] = {"size": len(data), "sha256": _sha256(data)}
        write_new(folder / f"{group}.safetensors", data)
    body = {"format": FORMAT, "version": VERSION, "step": checkpoint.step}
    body |= {"files": files, "state": checkpoint.state}
    seal = _sha256(json_bytes("state", body))
    write_new(folder / "state.json", json_bytes("state", body | {"sha256": seal}))
    flush_folder(folder)


def _put_in_place(written: Path, final: Path) -> None:
    """Rename a complete folder to its name. The readers know the name of the one it replaces."""
    aside = final.with_name(final.name + names.ASIDE)
    if final.exists():
        if aside.exists():
            shutil.rmtree(aside)
        final.rename(aside)
    written.rename(final)
    flush_folder(final.parent)
    if aside.exists():
        shutil.rmtree(aside)


def _read_state(folder: Path) -> dict[str, Any]:
    path = folder / "state.json"
    if not path.exists():
        raise ValueError(
            f"{folder} is not a complete checkpoint (it has no state.json): "
            "name a folder like RUN/checkpoints/step-00001000"
        )
    try:
        document = json.loads(_read(path))
        seal = document.pop("sha256")
        whole = seal == _sha256(json_bytes("state", document))
    except (ValueError, KeyError, AttributeError):
        whole = False
    if not whole:
        raise ValueError(f"{path} is damaged (not what was written): {_REMEDY}")
    if (document["format"], document["version"]) != (FORMAT, VERSION):
        raise ValueError(
            f"{path} is {document['format']!r} version {document['version']}, and this program "
            f"reads {FORMAT!r} version {VERSION}: install the program that wrote it"
        )
    state: dict[str, Any] = document
    return state


def _read_tensors(path: Path, files: Mapping[str, Any]) -> Tensors:
    entry = files[path.name]
    _check_size(path, entry)
    data = _read(path)
    if _sha256(data) != entry["sha256"]:
        raise ValueError(f"{path} is damaged (its checksum differs): {_REMEDY}")
    tensors: Tensors = safetensors.numpy.load(data)
    return tensors


def _check_size(path: Path, entry: Mapping[str, Any]) -> None:
    size = path.stat().st_size if path.is_file() else None
    if size is None:
        raise ValueError(f"{path} is missing: {_REMEDY}")
    if size != entry["size"]:
        raise ValueError(
            f"{path} is damaged ({size} bytes, {entry['size']} were written): {_REMEDY}"
        )


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ValueError(f"{path} cannot be read ({error.strerror}): {_REMEDY}") from None


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
