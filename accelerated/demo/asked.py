"""What a page asks for, checked: nothing of it is trusted."""

from __future__ import annotations

import base64
import binascii
import io
import json
import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ...reference.config.samplers import SAMPLERS

LONGEST = 300
"""Letters of a text."""

LARGEST_SEED = 2**32 - 1
STRONGEST = 50.0
HALF = 128


@dataclass(frozen=True)
class Offer:
    """What may be asked for.

    Attributes:
        shape: (C, H, W) of the run's images.
        labels: its classes, if it is told any.
        texts: whether it is told texts.
        steps: at most.
        fills: whether it can paint what is hidden of a picture.
    """

    shape: tuple[int, ...]
    labels: tuple[str, ...]
    texts: bool
    steps: int
    fills: bool


@dataclass(frozen=True)
class Asked:
    """A drawing.

    Attributes:
        label: the class of the images, where there are any.
        prompt: what they show, where the network is told texts.
        seed: of the noise.
        steps: of sampling.
        sampler: by its name.
        guidance: 1 is none.
        picture: uint8 (C, H, W), of which a part is to be painted; or None.
        mask: uint8 (H, W), 1 where the picture is known.
    """

    label: str | None = None
    prompt: str = ""
    seed: int = 0
    steps: int = 20
    sampler: str = "unipc"
    guidance: float = 1.0
    picture: NDArray[np.uint8] | None = None
    mask: NDArray[np.uint8] | None = None


def read(body: bytes, offer: Offer) -> Asked:
    """What a request asks for.

    Raises:
        ValueError: it is no request, or asks for what is not offered; the message says what.
    """
    try:
        document = json.loads(body.decode("utf-8"))
    except (ValueError, RecursionError):
        raise ValueError("the request is no JSON") from None
    known = {"label", "prompt", "seed", "steps", "sampler", "guidance", "picture", "mask"}
    if not isinstance(document, dict) or set(document) - known:
        raise ValueError("the request asks for what there is not")
    guidance = _number(document, "guidance", 1.0, 0.0, STRONGEST)
    label = _text(document, "label", None)
    if offer.labels and label not in offer.labels:
        raise ValueError(f"label {str(label)[:60]!r} is no class")
    if not offer.labels and label is not None:
        raise ValueError("label: there are no classes")
    prompt = _text(document, "prompt", "") or ""
    if prompt and not offer.texts:
        raise ValueError("prompt: the network is told no texts")
    sampler = _text(document, "sampler", "unipc") or ""
    if sampler not in SAMPLERS:
        raise ValueError(f"sampler {sampler[:60]!r} is unknown: choose {', '.join(SAMPLERS)}")
    if guidance != 1.0 and not (offer.labels or offer.texts):
        raise ValueError("guidance: there is nothing to guide to")
    picture, mask = _hidden(document, offer)
    return Asked(
        label,
        prompt,
        int(_number(document, "seed", 0, 0, LARGEST_SEED, whole=True)),
        int(_number(document, "steps", min(20, offer.steps), 1, offer.steps, whole=True)),
        sampler,
        guidance,
        picture,
        mask,
    )


def _hidden(
    document: dict[str, Any], offer: Offer
) -> tuple[NDArray[np.uint8] | None, NDArray[np.uint8] | None]:
    if "picture" not in document and "mask" not in document:
        return None, None
    if not offer.fills:
        raise ValueError("picture: this run cannot paint what is hidden")
    channels, height, width = offer.shape
    picture = _pixels(document, "picture", (width, height))
    colours = picture.convert("L" if channels == 1 else "RGB" if channels == 3 else "RGBA")
    pixels = np.asarray(colours).reshape(height, width, -1).transpose(2, 0, 1)
    painted = np.asarray(_pixels(document, "mask", (width, height)).convert("RGBA"))[..., 3] >= HALF
    if painted.all() or not painted.any():
        raise ValueError("mask: paint over a part of the picture")
    return np.ascontiguousarray(pixels), (~painted).astype(np.uint8)


def _pixels(document: dict[str, Any], name: str, size: tuple[int, int]) -> Image.Image:
    text = document.get(name)
    start = "data:image/png;base64,"
    if not isinstance(text, str) or not text.startswith(start):
        raise ValueError(f"{name} is no PNG file")
    try:
        data = base64.b64decode(text[len(start) :], validate=True)
        image = Image.open(io.BytesIO(data), formats=["PNG"])
        if image.size != size:
            raise ValueError(f"{name} is of another size than the run's images")
        image.load()
    except (binascii.Error, OSError, SyntaxError, Image.DecompressionBombError):
        raise ValueError(f"{name} is no PNG file") from None
    return image


def _number(
    document: dict[str, Any],
    name: str,
    usual: float,
    least: float,
    most: float,
    *,
    whole: bool = False,
) -> float:
    value = document.get(name, usual)
    kinds = (int,) if whole else (int, float)
    if isinstance(value, bool) or not isinstance(value, kinds):
        raise ValueError(f"{name} must be a {'whole ' if whole else ''}number")
    if not (least <= value <= most) or not math.isfinite(value):
        raise ValueError(f"{name} must be from {least:g} to {most:,.0f}")
    return value


def _text(document: dict[str, Any], name: str, usual: str | None) -> str | None:
    value = document.get(name, usual)
    if value is not None and not isinstance(value, str):
        raise ValueError(f"{name} must be a text")
    if value is not None and len(value) > LONGEST:
        raise ValueError(f"{name} has more than {LONGEST} letters")
    return value
