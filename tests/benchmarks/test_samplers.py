"""The measurement of samplers: what is counted, what is measured once, and what is said of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from ddpm_mindspore.accelerated.samplers import Plan, plan_for
from ddpm_mindspore.reference.config import SamplingConfig
from ddpm_mindspore.reference.schedule import make_schedule

from . import sampler_plot
from .samplers import (
    FEW,
    KINDS,
    MANY,
    PLACES,
    WHOLE,
    Drawer,
    Measured,
    by_evaluations,
    by_spacing,
    wanted,
)


def made_up(kind: str, spacing: str, at_most: int) -> dict[str, Any]:
    """Falls with evaluations; karras is best."""
    rng = np.random.default_rng([*map(ord, kind + spacing), at_most])
    level = 0.06 + 0.8 * at_most ** (-1.0 - 0.1 * list(KINDS).index(kind) / len(KINDS))
    level *= 1.0 + 0.1 * (len(PLACES) - PLACES.index(spacing))
    distances = (level * (1.0 + 0.05 * rng.standard_normal(5))).tolist()
    return {"kind": kind, "spacing": spacing, "at_most": at_most, "distances": distances}


@pytest.fixture
def measured(tmp_path: Path) -> Measured:
    found = Measured(tmp_path, 200)
    for key in wanted(found):
        if found.of(*key) is None:
            found.add(made_up(*key))
    return found


def test_evaluations_are_counted_as_they_are_made() -> None:
    schedule = make_schedule("sigmoid", WHOLE)

    class Counting(Drawer):
        def __init__(self) -> None:
            pass

        @property
        def diffusion(self) -> Any:
            return self

        def plan(self, **options: Any) -> Plan:
            return plan_for(schedule, SamplingConfig(**options))

    steps = {
        kind: [Counting()._steps(n, {"sampler": name, **options}) for n in FEW]
        for kind, (name, options) in KINDS.items()
    }
    assert steps.pop("heun") == steps.pop("dpm++2s") == [1, 3, 5, 10]
    assert steps.pop("plms") == [1, 4, 9, 19]
    assert all(found == [*FEW] for found in steps.values())


def test_nothing_is_measured_twice(measured: Measured, tmp_path: Path) -> None:
    again = Measured(tmp_path, 200)
    assert again.found == measured.found
    assert all(again.done(*key) for key in wanted(again))
    keys = {(x["kind"], x["spacing"], x["at_most"]) for x in again.found}
    assert len(keys) == len(again.found)
    with pytest.raises(SystemExit, match="is of --samples 200"):
        Measured(tmp_path, 100)


def test_more_evaluations_are_with_the_best_spacing_of_ten(measured: Measured) -> None:
    assert {measured.best(kind) for kind in KINDS} == {"karras"}
    assert {spacing for _, spacing, n in wanted(measured) if n in MANY} == {"karras"}
    for spacing, distance in zip(PLACES, (3.0, 2.0, 1.0, 4.0, 5.0), strict=True):
        measured.add({**made_up("plms", spacing, 10), "distances": 5 * [distance]})
    assert measured.best("plms") == PLACES[2] and measured.best("heun") == "karras"


def test_the_tables_have_a_line_for_each(measured: Measured) -> None:
    lines = by_evaluations(measured).splitlines()
    assert len(lines) == 2 + len(KINDS)
    assert len({line.count("|") for line in lines}) == 1
    assert lines[2].startswith("| ancestral | karras | ") and " ± " in lines[2]
    few = by_spacing(measured, 5).splitlines()
    assert len({line.count("|") for line in few}) == 1
    assert len(few) == 2 + len(KINDS) and few[0].startswith("| 5 evaluations | uniform | ")


def test_the_plot_is_one(measured: Measured, tmp_path: Path) -> None:
    sampler_plot.save(measured, tmp_path / "plot.png")
    with Image.open(tmp_path / "plot.png") as image:
        assert min(image.size) > 800
