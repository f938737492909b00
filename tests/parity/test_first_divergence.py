"""A failure of a whole computation names its first part that is wrong, and where that is."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from ddpm_mindspore import accelerated
from ddpm_mindspore.parity.explain import Finding, explain

from .bugs import BUGS
from .planting import Bug, planted
from .properties import ADAM, GRADIENTS, PROPERTIES, STEPS

FOLDER = Path(accelerated.__file__).parent
# (bug, property that fails, what is named, file and text of the line that is pointed at)
FOUND = [
    (
        "the attention's scores are not scaled",
        "unet: forward",
        "Attention 'downs.0.2'",
        "class Attention",
    ),
    ("GELU is the approximation by tanh", "unet: forward", "gelu", "def gelu"),
    (
        "pixel-unshuffle swaps rows and columns",
        "unet: deep",
        "Downsample 'downs.0.3'",
        "class Downsample",
    ),
    (
        "the skips are taken in the wrong order",
        "unet: forward",
        "'ups.0.0' is given other x",
        "def construct",
    ),
    (
        "linear attention is not scaled",
        "gradients: deep",
        "LinearAttention",
        "class LinearAttention",
    ),
    (
        "signal and noise are swapped in q_sample",
        "gradients: gradients",
        "q_sample",
        "def q_sample",
    ),
    (
        "the gradient flows through the first estimate",
        "gradients: gradients",
        "joins them wrongly",
        "def training_loss",
    ),
    ("short gradients are lengthened", "training: steps", "clipping", "shorten = "),
    ("each tensor is clipped by itself", "training: steps", "clipping", "shorten = "),
    ("the average never moves", "training: steps", "the average", "self.ema"),
    (
        "the average is one step late",
        "training: steps",
        "the weight of the average",
        "def ema_weight",
    ),
    (
        "Adam does not correct its bias",
        "training: steps",
        "correction of Adam's bias",
        "def step_scalars",
    ),
    ("biases decay too", "training: steps", "weight decay", "decays"),
    (
        "accumulated gradients are added up, not averaged",
        "accumulation: accumulation",
        "accumulation",
        "def accumulate",
    ),
    (
        "resuming goes on from the average",
        "trainer: run",
        "what a checkpoint gives back",
        "def restore",
    ),
    (
        "Adam counts the updates that were left out",
        "trainer: run",
        "what the trainer tells",
        "step_scalars",
    ),
]
DEEP = {"net": {**GRADIENTS["net"], "dim_mults": (1, 2), "self_condition": False}, "size": (2, 4)}
EXAMPLES: Mapping[str, Mapping[str, Any]] = {
    "unet: deep": {**DEEP, "self_cond": False},
    "gradients: deep": DEEP,
    "training: steps": {
        "count": 3,
        "training": {**STEPS["training"], "max_grad_norm": 1.0, "ema_update_after_step": 0},
    },
}


@pytest.mark.parametrize(("name", "where", "what", "line"), FOUND, ids=[row[0] for row in FOUND])
def test_the_first_part_that_is_wrong_is_named(name: str, where: str, what: str, line: str) -> None:
    bug = next(bug for bug in BUGS if bug.name == name)
    finding = found(bug, where)
    assert what in finding.what
    file, number = finding.source.rsplit(":", 1)
    assert line in Path(file).read_text(encoding="utf-8").splitlines()[int(number) - 1]
    assert Path(file).is_relative_to(FOLDER)


def found(bug: Bug, where: str) -> Finding:
    """What the failure of a property is explained by, while the bug is there."""
    topic, _, property_name = where.partition(": ")
    usual = {"deep": {"unet": "forward", "gradients": "gradients"}.get(topic, "")}
    function, example = PROPERTIES[f"{topic}: {usual.get(property_name, property_name)}"]
    with planted(bug):
        with pytest.raises(AssertionError) as failure:
            function(**{**example, **EXAMPLES.get(where, {}), **bug.example})
        finding = explain(failure.value)
        assert finding is not None
        if finding.line:  # and it fails by itself
            with pytest.raises(AssertionError):
                exec(finding.line)
    if finding.line:  # and does not without the bug
        exec(finding.line)
    return finding


def test_every_line_that_is_pointed_at_is_there() -> None:
    from ddpm_mindspore.parity.run_divergence import PLACES

    for _, _, file, pattern in PLACES:
        assert re.search(pattern, (FOLDER / file).read_text(encoding="utf-8"), re.MULTILINE), (
            pattern
        )
    assert ADAM


def test_a_search_that_breaks_hides_no_failure() -> None:
    error = AssertionError("the values differ")
    error.search = lambda _: 1 / 0  # type: ignore[attr-defined]
    finding = explain(error)
    assert finding is not None and "ZeroDivisionError" in finding.text()
