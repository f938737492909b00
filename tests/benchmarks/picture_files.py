"""Image files to be decoded, and how long that takes; runs in this package's environment.

python tests/benchmarks/picture_files.py make FOLDER
python tests/benchmarks/picture_files.py decode FOLDER SIZE
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

SMALL, LARGE = 10_000, 1_000
BATCH = 16


def photograph(rng: np.random.Generator, height: int, width: int) -> Image.Image:
    """Smooth colours under a little noise: files of about the size that photographs have."""
    corners = rng.uniform(0, 255, (2, 2, 3))
    y, x = np.linspace(0, 1, height)[:, None, None], np.linspace(0, 1, width)[:, None]
    above, below = ((1 - x) * row[0] + x * row[1] for row in corners)
    noise = rng.normal(0.0, 6.0, (height, width, 1))
    pixels = ((1 - y) * above + y * below + noise).clip(0, 255)
    return Image.fromarray(pixels.astype(np.uint8))


def make(folder: Path) -> None:
    """Write the small PNG files to ``folder/png`` and the photographs to ``folder/jpeg``."""
    rng = np.random.default_rng(0)
    for name in ("png", "jpeg"):
        (folder / name).mkdir(parents=True)
    for i in range(SMALL):
        photograph(rng, 32, 32).save(folder / "png" / f"{i:05d}.png", compress_level=1)
    for i in range(LARGE):
        height, width = (375, 500) if i % 3 else (500, 375)
        photograph(rng, height, width).save(folder / "jpeg" / f"{i:05d}.jpg", quality=90)


def decode(folder: Path, size: int) -> dict[str, float]:
    """How many images; seconds to open them all, and for a batch where they are read anew."""
    from ddpm_mindspore.accelerated.data import open_images

    begin = time.perf_counter()
    images = open_images(folder, (size, size), 3)
    opened = time.perf_counter() - begin
    streamed = open_images(folder, (size, size), 3, memory_limit=0)
    batches: NDArray[np.int64] = np.random.default_rng(1).integers(len(images), size=(20, BATCH))
    begin = time.perf_counter()
    for indices in batches:
        streamed.batch(indices)
    batch = (time.perf_counter() - begin) / len(batches)
    return {"images": len(images), "opened": opened, "batch": batch}


if __name__ == "__main__":
    if sys.argv[1] == "make":
        make(Path(sys.argv[2]))
    else:
        print(json.dumps(decode(Path(sys.argv[2]), int(sys.argv[3]))))
