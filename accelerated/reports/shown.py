"""The parts of a run's page that are pictures: what is drawn, over the steps, and the way there."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from html import escape

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from .embedded import data_uri, enlarged, gap_of, montage
from .findings import Findings, Samples
from .words import as_script, named, said

IN_ROW = 10  # images of each step that are shown below each other
_FACTS = {
    **{"Weights": "weights", "Step": "step", "Sampler": "sampler"},
    **{"Sampling steps": "sampling_steps", "Spacing": "spacing", "Guidance": "guidance"},
    "Seed": "seed",
}
_WEIGHTS = {"average": "weights_average", "trained": "weights_trained"}


@dataclass(frozen=True)
class Film:
    """The way of a few images, by DDIM.

    Attributes:
        states: uint8 (moments, N, C, H, W), from noise to the images.
        estimates: likewise, what the network takes each state for.
        times: t of each moment, the last one 0.
    """

    states: NDArray[np.uint8]
    estimates: NDArray[np.uint8]
    times: tuple[float, ...]


def drawn(found: Findings) -> str:
    """What the model draws beside real images."""
    if not found.samples:
        return f'<p class="soft">{said("nothing_drawn")}</p>'
    last = found.samples[-1]
    if last.drawn is None:
        alt = named("alt_plot", "alt", step=f"{last.step:,}")
        with Image.open(last.path) as plot:
            return f'<img src="{data_uri(plot)}" {alt}>{_facts(last.text)}'
    step = f"{last.step:,}"
    kinds = ("small", "drawn", "real")[-len(last.groups) :]
    figures = "".join(
        f"<figure><figcaption>{said(kind)}</figcaption>"
        + picture(images, _columns(images), f"alt_{kind}", count=len(images), step=step)
        + "</figure>"
        for kind, images in zip(kinds, last.groups, strict=True)
    )
    return f'<div class="pair">{figures}</div>{_facts(last.text)}'


def over_steps(found: Findings) -> str:
    """The same noise at each step, one below the other; nothing of a single step."""
    steps = [(s, s.drawn) for s in found.samples if s.drawn is not None]
    if len(steps) < 2:
        return ""
    rows = "".join(_row(s, images) for s, images in steps)
    return f'<p class="soft">{said("over_text")}</p><div class="over">{rows}</div>'


def film(film: Film) -> str:
    """The strip, and a player that takes its moments from it."""
    moments = len(film.states)
    # A row for each image and, below it, for what it is taken for; a column for each moment.
    both = np.stack((film.states, film.estimates), axis=2).swapaxes(0, 2).swapaxes(0, 1)
    whole = enlarged(both.reshape(-1, *both.shape[3:]))
    strip, gap = montage(whole, moments), gap_of(whole)
    high, side = whole.shape[2:]
    count, columns = 2 * both.shape[0], 4
    rows = math.ceil(count / columns)
    layout = {"count": count, "columns": columns, "side": side, "high": high, "gap": gap}
    times = [f"{t:.4g}" for t in film.times]
    size = (columns * (side + gap) - gap, rows * (high + gap) - gap)
    alt = named("alt_film", "alt", count=both.shape[0], moments=moments)
    return (
        f'<p class="soft">{said("film_text", first=times[0], steps=moments - 1)}</p>'
        f'<div class="film"><div class="player" hidden data-moments="{escape(as_script(times))}" '
        f'data-layout="{escape(as_script(layout))}">'
        f'<canvas class="sharp" width="{size[0]}" height="{size[1]}" role="img" '
        f"{named('film_canvas')}></canvas>"
        f'<div><label for="moment">{said("film_slider")}</label> '
        f'<output for="moment">t = {times[-1]}</output>'
        f'<input id="moment" type="range" min="0" max="{moments - 1}" value="{moments - 1}">'
        f'<button type="button" data-t="play">Play</button></div></div>'
        f'<div class="scroll" role="region" tabindex="0" {named("film_region")}>'
        f'<img id="strip" src="{data_uri(strip)}" width="{strip.width}" height="{strip.height}" '
        f"{alt}></div></div>"
    )


def picture(images: NDArray[np.uint8], columns: int, key: str, **values: object) -> str:
    """Images as one picture with a text for those who do not see it."""
    laid = montage(enlarged(images), columns)
    sharp = ' class="sharp"' if max(images.shape[2:]) <= 64 else ""
    return (
        f'<img{sharp} src="{data_uri(laid)}" width="{laid.width}" height="{laid.height}" '
        f"{named(key, 'alt', **values)}>"
    )


def _row(samples: Samples, images: NDArray[np.uint8]) -> str:
    step, few = f"{samples.step:,}", images[:IN_ROW]
    alt = picture(few, IN_ROW, "alt_over", step=step, count=len(few))
    return f"{said('at_step', step=step)}{alt}"


def _columns(images: NDArray[np.uint8]) -> int:
    return math.ceil(math.sqrt(len(images)))


def _facts(text: Mapping[str, str]) -> str:
    """With what a picture was drawn, as its file says."""
    known = {key: text[name] for name, key in _FACTS.items() if name in text}
    items = "".join(
        f"<div><dt>{said(key)}</dt><dd>{_value(key, value)}</dd></div>"
        for key, value in known.items()
    )
    return f'<dl class="facts">{items}</dl>' if items else ""


def _value(key: str, value: str) -> str:
    if key == "weights" and value in _WEIGHTS:
        return said(_WEIGHTS[value])
    return escape(f"{int(value):,}" if key == "step" and value.isdigit() else value)
