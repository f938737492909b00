"""All that may be said of the images of some data, which a vocabulary is made of."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from itertools import product
from pathlib import Path
from typing import Any

from .built_in import BUILT_IN
from .captions import tell
from .listing import find
from .pictures import BACKGROUNDS, STYLES, Shown, captions, concepts
from .sayings import COLOURS, LAYOUTS, Facts, sayings

EXAMPLES = {"scenes": "左边是红色的三，右边是蓝色的八", "pictures": "立体风格的熊猫，蓝色背景"}
"""What one may ask a model for that was trained on such data."""


def texts(source: Any, encoding: str | None = None) -> Iterable[str]:
    """The captions that :func:`.images.open_images` would find; no image is opened.

    Args:
        source: a folder with lists of captions, or the name of data that comes with the package.
        encoding: of a folder's lists (default: UTF-8).

    Raises:
        ValueError: data of which nothing is said, or that are not there.
    """
    name = source if isinstance(source, str) else ""
    if name in BUILT_IN and name != "digits":
        return _of_scenes() if name == "scenes" else _of_pictures()
    if not name or name in BUILT_IN or os.path.isfile(name):  # noqa: PTH113
        raise ValueError(
            f"data {str(source)[:60]!r} has no captions, and the network is told texts: give "
            "scenes, pictures, or a folder of pictures with lists of captions"
        )
    names, left_out = find(Path(name), strict=False)
    told = tell(Path(name), names, left_out, encoding or "utf-8").captions
    return (text for said in told.values() for text in said)


def _of_scenes() -> Iterator[str]:
    for layout, digit, colour in product(LAYOUTS, range(10), COLOURS):
        yield from sayings(Facts(layout, (digit, digit), (colour, colour)))


def _of_pictures() -> Iterator[str]:
    """Of each thing on one background, and of one thing on all of them."""
    first: Sequence[str] = tuple(BACKGROUNDS)
    for style, background in product(STYLES, first):
        yield from captions(Shown(0, style, background))
    for number in range(len(concepts())):
        yield from captions(Shown(number, "flat", first[0]))
