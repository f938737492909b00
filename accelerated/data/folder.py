"""A folder of image files, decoded once into memory or streamed from the disk."""

from __future__ import annotations

import math
import os
import warnings
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from tqdm import tqdm

from .arrays import ArrayImages, Images
from .decode import Pixels8, reason, try_decode

Item = TypeVar("Item")
Result = TypeVar("Result")

_THREADS = min(4, os.cpu_count() or 1)
_CHUNK = 64 * _THREADS
# Pillow recognises these and cannot decode them.
_NO_IMAGES = {"MPEG", "HDF5", "BUFR", "GRIB"}


class FolderImages:
    """Images read from the disk when they are asked for.

    A file that turns out broken is replaced by the next good one, and named in ``skipped``.
    """

    sequential = False

    def __init__(
        self,
        files: list[Path],
        shape: tuple[int, int, int],
        skipped: dict[str, str],
        *,
        strict: bool = False,
    ) -> None:
        self.shape = shape
        self._files, self._skipped, self._strict = files, skipped, strict

    @property
    def skipped(self) -> list[tuple[str, str]]:
        return list(self._skipped.items())

    def __len__(self) -> int:
        return len(self._files)

    def batch(self, indices: NDArray[np.int64]) -> Pixels8:
        with _quiet():
            return np.stack(list(_parallel(self._next_good, indices.tolist())))

    def _next_good(self, index: int) -> Pixels8:
        channels, height, width = self.shape
        for offset in range(len(self)):
            file = self._files[(index + offset) % len(self)]
            if str(file) in self._skipped:
                continue
            pixels = try_decode(file, (height, width), channels)
            if not isinstance(pixels, str):
                return pixels
            _skip(file, pixels, self._skipped, strict=self._strict)
        raise ValueError(f"none of the {len(self)} image files can be decoded any more")


def open_folder(
    folder: Path,
    image_size: tuple[int, int],
    channels: int,
    *,
    strict: bool,
    memory_limit: int,
    progress: bool = False,
) -> Images:
    """Open a folder of images: see :func:`.images.open_images`."""
    skipped: dict[str, str] = {}
    files = _find(folder, skipped, strict=strict)
    shape = (channels, *image_size)
    small = len(files) * math.prod(shape) <= memory_limit
    pixels = np.empty((len(files) if small else 0, *shape), np.uint8)
    good: list[Path] = []

    def read(file: Path) -> Pixels8 | str | None:
        return try_decode(file, image_size, channels) if small else _header_fault(file)

    task = "decoding images" if small else "checking images"
    with _quiet(), tqdm(None, task, len(files), delay=2, disable=not progress) as bar:
        for file, found in zip(files, _parallel(read, files), strict=True):
            bar.update()
            if isinstance(found, str):
                _skip(file, found, skipped, strict=strict)
                continue
            if found is not None:
                pixels[len(good)] = found
            good.append(file)
    if not good:
        raise ValueError(_nothing_in(folder, skipped))
    if small:
        return ArrayImages(pixels[: len(good)], list(skipped.items()))
    return FolderImages(good, shape, skipped, strict=strict)


def _find(folder: Path, skipped: dict[str, str], *, strict: bool) -> list[Path]:
    """Return the image files below a folder, sorted by their relative path.

    Hidden files and folders are left out. Links are followed; each real folder is read once, so
    that a link to a parent ends.
    """
    if not folder.exists():
        raise ValueError(
            f"data folder '{folder}' does not exist: give a folder of images, or \"digits\""
        )
    if not folder.is_dir():
        raise ValueError(f"data folder '{folder}' is a file: give the folder that holds the images")
    endings = _endings()
    found, seen = [], set()

    def unreadable(error: OSError) -> None:
        _skip(Path(error.filename), reason(error), skipped, strict=strict)

    for root, folders, names in os.walk(folder, onerror=unreadable, followlinks=True):
        real = os.path.realpath(root)
        if real in seen:
            folders.clear()
            continue
        seen.add(real)
        folders[:] = sorted(_visible(folders))
        for path in (Path(root, name) for name in sorted(_visible(names))):
            if path.suffix.lower() not in endings:
                continue
            if path.is_file():
                found.append(path)
            else:  # opening a pipe would wait for ever
                _skip(path, "not a file, or a broken link", skipped, strict=strict)
    return sorted(found, key=lambda path: path.relative_to(folder).as_posix())


def _visible(names: list[str]) -> list[str]:
    return [name for name in names if not name.startswith(".")]


def _endings() -> set[str]:
    Image.init()
    readable = set(Image.OPEN) - _NO_IMAGES
    return {ending for ending, name in Image.registered_extensions().items() if name in readable}


def _nothing_in(folder: Path, skipped: dict[str, str]) -> str:
    if not skipped:
        return f"data folder '{folder}' holds no image: give a folder of images, or \"digits\""
    path, why = next(iter(skipped.items()))
    return (
        f"data folder '{folder}' holds no image that can be decoded "
        f"({len(skipped)} tried; the first is '{path}': {why}): give a folder of images"
    )


def _skip(file: Path, why: str, skipped: dict[str, str], *, strict: bool) -> None:
    if strict:
        raise ValueError(f"'{file}' cannot be decoded: {why}; remove it, or leave out strict")
    skipped[str(file)] = why


def _header_fault(file: Path) -> str | None:
    """Say what is wrong with a file as far as its first bytes tell: None if nothing."""
    try:
        with Image.open(file):
            return None
    except Exception as error:  # decoders raise anything on broken bytes
        return reason(error)


def _parallel(function: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[Result]:
    """Map in a few threads (Pillow decodes without the GIL), a bounded way ahead."""
    rest = iter(items)
    with ThreadPoolExecutor(_THREADS) as pool:
        while chunk := list(islice(rest, _CHUNK)):
            yield from pool.map(function, chunk)


@contextmanager
def _quiet() -> Iterator[None]:
    """Silence Pillow's notes about odd metadata and large photographs: they are still read."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module=r"PIL\.")
        yield
