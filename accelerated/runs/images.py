"""Which images a run was trained on, where they are now, and whether they are still the same.

A run goes on exactly where it was only with the images that it had, in their order. config.json
says how many there were and where, images.json the names of a folder's files.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from ...reference.config import NetworkConfig
from ...reference.plain import PathText, as_plain
from ..config import TrainerConfig
from ..data import BUILT_IN, Crop, Images, open_images, read_names
from ..data.classes import listed
from ..data.scaling import from_dict
from .folder import RunFolder


class Known(NamedTuple):
    """What a run knows of its images: files' names in order, how many, and a digest of captions.

    None where it does not.
    """

    names: list[str]
    number: int | None
    captions: str | None = None


def as_source(source: Any) -> Any:
    """What a trainer is given as its data: a path as a text, and all else as it is.

    Raises:
        ValueError: an empty path.
    """
    if not isinstance(source, (str, os.PathLike)):
        return source
    path: str = as_plain("data", source, PathText)
    return path if isinstance(source, str) or path not in BUILT_IN else f"./{path}"


def known_images(run: RunFolder) -> Known:
    """What was written down of a run's images.

    Raises:
        ValueError: not a run folder, or images.json is damaged.
    """
    facts = run.config.images()
    return Known(read_names(run.images), facts.get("count"), facts.get("captions"))


def noted(source: Any, images: Images, classes: Sequence[str] = ()) -> dict[str, Any]:
    """What config.json says of images besides what they are called: how many, and where.

    And ``classes``, what their classes are called, where the network is told of them.
    """
    named = isinstance(source, str) and source not in BUILT_IN
    # Not resolved: a link may be made to point to where its owner has moved the images.
    path = str(Path(source).absolute()) if named else None
    found: dict[str, Any] = {"count": images.places, "path": path}
    if images.scaling is not None:
        found["scaling"] = images.scaling.to_dict()
    if images.captioned:
        found["captions"] = images.said
    return {**found, "classes": list(classes)} if classes else found


def check_classes(
    images: Images, network: NetworkConfig, run: RunFolder, config: TrainerConfig
) -> tuple[str, ...]:
    """The names of the classes that a network is told of: none if it is not, or they have none.

    Raises:
        ValueError: the images have others, or their run has had.
    """
    if config.conditional and network.num_classes is None:
        raise ValueError("conditional True needs a network with classes: Unet(num_classes=...)")
    if network.num_classes is None or not images.classes:
        return ()
    count, found = len(images.classes), listed(images.classes)
    if count != network.num_classes:
        raise ValueError(
            f"data has {count} classes ({found}), and the network is told of "
            f"{network.num_classes}: make num_classes {count}"
        )
    before = class_names_of(run) if config.resume else ()
    if before and before != tuple(images.classes):
        raise ValueError(
            f"data has the classes {found}, and the run was trained with {listed(before)}: train "
            "on these in a new run (another --results-folder)"
        )
    return tuple(images.classes)


def class_names_of(run: RunFolder) -> tuple[str, ...]:
    """What the classes of a run's images are called, if it was told of them."""
    return tuple(run.config.images().get("classes", ()))


def called(source: Any, run: RunFolder, *, resume: bool) -> str:
    """What config.json calls the images: what it called them before, where they are the same."""
    if not isinstance(source, str):
        return type(source).__name__
    if resume and run.config.images().get("path") == str(Path(source).absolute()):
        return run.config.read().data
    return source


def place_of_images(run: RunFolder) -> str:
    """Where a run's images are: where they were, and else as they were given, seen from here.

    Raises:
        ValueError: not a run folder, or there is nothing in either place.
    """
    given, path = run.config.read().data, run.config.images().get("path")
    if path is None:
        return given
    if Path(given).absolute() == Path(path):
        return given if given not in BUILT_IN else f"./{given}"
    if Path(path).exists():
        return str(path)
    if Path(given).exists():
        return given
    raise ValueError(
        f"the images of the run {str(run.path)!r} are not in {path!r} any more, and there is no "
        f"{given!r} here: say where they are (--data)"
    )


def open_run_images(
    run: RunFolder,
    source: Any,
    shape: tuple[int, ...],
    config: TrainerConfig,
    *,
    captioned: bool = False,
    new_data: bool,
    progress: bool,
    bounded: bool = True,
) -> tuple[Images, str]:
    """Open the images that a run is to be trained on, as ``config`` has it.

    Args:
        run: where it is; if it is resumed, they are to be those that it had, in their order.
        source: what is given as data.
        shape: (C, *spatial).
        config: the trainer's.
        captioned: the network is told what is said of them.
        new_data: they may be others.
        progress: show bars.
        bounded: they are in [0, 1].

    Returns:
        The images, and how they differ from those that the run had, if they do.

    Raises:
        ValueError: images that cannot be opened; or others than the run had.
    """

    encoding = encoding_of(config, source, captioned=captioned)

    def opened(known: list[str]) -> Images:
        return open_images(
            source,
            shape[1:],
            shape[0],
            crop=Crop(config.crop, config.crop_min_share),
            only_class=config.only_class,
            known=known,
            cache=config.data_cache,
            strict=config.strict,
            memory_limit=int(min(config.data_memory_gb * 1e9, sys.maxsize)),
            progress=progress,
            leave_out=config.leave_out,
            bounded=bounded,
            # As long as a run lasts, its numbers mean the same.
            scaling=from_dict(run.config.images().get("scaling")) if config.resume else None,
            caption_encoding=encoding,
        )

    if not config.resume:
        return opened([]), ""
    known = known_images(run)
    images = opened(known.names)
    differ = changes(known, images)
    if not differ:
        return images, ""
    data = source if isinstance(source, str) else type(source).__name__
    differ = f"data {data!r} is not what the run {str(run.path)!r} has seen so far: {differ}"
    if not new_data:
        raise ValueError(
            f"{differ}: bring back the images that it had, or go on with these by naming the data "
            "anew (--data; in Python, new_data=True)"
        )
    return opened([]) if images.gone else images, differ


def encoding_of(config: TrainerConfig, source: Any, *, captioned: bool) -> str | None:
    """Of the lists of captions that are read, if any are; ``captioned``: the network wants them."""
    wanted = captioned and _is_folder(source)
    return config.caption_encoding or ("utf-8" if wanted else None)


def changes(known: Known, images: Images) -> str:
    """Say how images differ from those that a run knows; "" if they do not.

    Files that are there and cannot be decoded are no difference.
    """
    before, now = set(known.names), set(images.names).difference(images.gone)
    count = len(before) if before else known.number
    if count is None or (before == now and (before or count == images.places)):
        said = images.said if images.captioned else None
        return "" if known.captions in (None, said) else "other captions"
    if not before or not now:
        return f"{_count(images.places)} and not {count:,}" + ", of another kind" * (before != now)
    parts = ((sorted(before - now), "missing"), (sorted(now - before), "new"))
    named = (f"{_count(len(part))} {what} ({_few(part)})" for part, what in parts if part)
    return " and ".join(named)


def _is_folder(source: Any) -> bool:
    return isinstance(source, str) and source not in BUILT_IN and Path(source).is_dir()


def _count(number: int) -> str:
    return "1 image" if number == 1 else f"{number:,} images"


def _few(names: list[str], most: int = 3) -> str:
    return ", ".join([*map(repr, names[:most]), *["..."] * (len(names) > most)])
