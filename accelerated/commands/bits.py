"""The part of ``evaluate`` that says how many bits images take."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...reference.evaluation.document import told
from ...reference.evaluation.resampling import Figure
from ..data import Images, Items, read_spread
from ..data.told import ids_of
from ..evaluation.likelihood import Counted, count_bits, questions
from ..runs.opened import OpenedRun
from ..system.say import bar
from .evaluation_options import EvaluateConfig


def bits_of(config: EvaluateConfig, run: OpenedRun, sets: dict[str, Images]) -> dict[str, Any]:
    """For evaluation.json, of some images of each set; nothing where none are asked for.

    Raises:
        ValueError: items that are no images of 256 levels, or whose classes the run does not know.
    """
    if not config.likelihood:
        return {}
    found = {}
    for name, images in sets.items():
        items = read_spread(images, config.likelihood)
        labels = _labels(run, images, items)
        T = run.diffusion.schedule.T
        solver, steps = config.likelihood_solver, config.likelihood_steps
        total = questions(len(items.x), T, solver, steps)
        with bar(total=total, desc=f"bits, {name}", unit="evaluation") as shown:
            counted = count_bits(
                run.diffusion,
                items.x,
                labels=labels,
                seed=config.seed,
                solver=solver,
                steps=steps,
                on_step=shown.update,
            )
        found[name] = _document(counted, images)
    return {"likelihood": found}


def check_images(config: EvaluateConfig, run: OpenedRun, sets: dict[str, Images]) -> None:
    """Raise ValueError, before anything is drawn, where bits cannot be counted."""
    if not config.likelihood:
        return
    for images in sets.values():
        items = read_spread(images, 1)
        if items.x.dtype != np.uint8 or not run.diffusion.config.auto_normalize:
            raise ValueError(
                f"likelihood {config.likelihood} is of images of 256 levels, which these are not: "
                "leave it out"
            )
        _labels(run, images, items)


def _labels(run: OpenedRun, images: Images, items: Items) -> NDArray[Any] | None:
    """What the network is told of each: its class among the run's, or the ids of a caption."""
    network = run.config.network
    if run.diffusion.model.captioned:
        if items.captions is None:
            raise ValueError(
                "likelihood needs captions of images, of a run that is told texts: leave it out, "
                "or give images of which something is said"
            )
        return ids_of(run.diffusion.model, items.captions, len(items.x), run.diffusion.tokenizer)
    if network.num_classes is None:
        return None
    names = run.diffusion.class_names
    if items.labels is not None and (not names or set(images.classes) <= set(names)):
        own = [names.index(name) if names else k for k, name in enumerate(images.classes)]
        labels: NDArray[Any] = np.array(own)[items.labels]
        return labels
    if network.cond_drop_prob:
        return np.full(len(items.x), network.num_classes)
    raise ValueError("likelihood needs the classes of images, of a run that was always told them")


def _document(counted: Counted, images: Images) -> dict[str, Any]:
    count = len(counted.bound)
    places = (2 * np.arange(count) + 1) * images.places // (2 * count)
    if images.sequential:
        places = np.arange(count)
    each = [
        {"image": int(place), "bound": float(bound), "flow": float(flow)}
        | ({"name": images.names[place]} if images.names else {})
        for place, bound, flow in zip(places, counted.bound, counted.flow, strict=True)
    ]
    return {
        "images": count,
        "bound": told(_mean(counted.bound)),
        "flow": told(_mean(counted.flow)),
        "prior": counted.prior,
        "times": list(counted.times),
        "profile": counted.profile.tolist(),
        "each": sorted(each, key=lambda row: -row["bound"]),
    }


def _mean(values: NDArray[np.float64]) -> Figure:
    return Figure(float(values.mean()), float(values.std(ddof=1) / np.sqrt(len(values))))
