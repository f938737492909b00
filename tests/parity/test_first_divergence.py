"""A failure of a whole computation names its first part that is wrong, and where that is."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from ddpm_mindspore import accelerated
from ddpm_mindspore.parity.judgement.explain import Finding, explain
from ddpm_mindspore.parity.judgement.run_divergence import PLACES
from ddpm_mindspore.parity.judgement.update_formulas import first_wrong
from ddpm_mindspore.parity.sides.device import draw, kernels
from ddpm_mindspore.parity.sides.network import training_config

from .bugs import BUGS
from .planting import Bug, planted
from .properties import ADAM, GRADIENTS, PROPERTIES, STEPS
from .test_command import command, write_suite

FOLDER = Path(accelerated.__file__).parent
# bug: the property that fails, what is named, and a piece of the line that is pointed at.
EVERY_DAY = {
    "the attention's scores are not scaled": ("unet: forward", "Attention", "class Attention"),
    "the skips are taken in the wrong order": ("unet: forward", "other x", "def construct"),
}
SOMETIMES = {
    "short gradients are lengthened": ("training: steps", "clipping", "shorten = "),
    "the average never moves": ("training: steps", "the average", "self.ema"),
    "accumulated gradients are added up, not averaged": (
        "accumulation: accumulation",
        "accumulation",
        "def accumulate",
    ),
    "resuming goes on from the average": (
        "trainer: run",
        "what a checkpoint gives back",
        "def restore",
    ),
    "pixel-unshuffle swaps rows and columns": ("unet: deep", "Downsample", "class Downsample"),
    "linear attention is not scaled": (
        "gradients: deep",
        "LinearAttention",
        "class LinearAttention",
    ),
    "signal and noise are swapped in q_sample": (
        "gradients: gradients",
        "q_sample",
        "def q_sample",
    ),
    "the gradient flows through the first estimate": (
        "gradients: gradients",
        "joins them wrongly",
        "def training_loss",
    ),
    "each tensor is clipped by itself": ("training: steps", "clipping", "shorten = "),
    "Adam does not correct its bias": (
        "training: steps",
        "the correction of Adam's bias",
        "def step_scalars",
    ),
    "biases decay too": ("training: steps", "weight decay", "decays"),
    "Adam counts the updates that were left out": (
        "trainer: run",
        "what the trainer tells the update",
        "step_scalars",
    ),
}
DEEP = {"net": {**GRADIENTS["net"], "dim_mults": (1, 2), "self_condition": False}, "size": (2, 4)}
EXAMPLES: Mapping[str, Mapping[str, Any]] = {
    "unet: deep": {**DEEP, "self_cond": False},
    "gradients: deep": DEEP,
    "training: steps": {
        "count": 3,
        "training": {**STEPS["training"], "max_grad_norm": 100.0, "ema_update_after_step": 0},
    },
    "each tensor is clipped by itself": {"training": {**STEPS["training"], "max_grad_norm": 0.1}},
}
"""What a property, or a bug by its name, is given instead of its usual arguments."""


@pytest.mark.parametrize(
    "name", [*EVERY_DAY, *(pytest.param(name, marks=pytest.mark.nightly) for name in SOMETIMES)]
)
def test_the_first_part_that_is_wrong_is_named(name: str) -> None:
    where, what, line = {**EVERY_DAY, **SOMETIMES}[name]
    bug = next(bug for bug in BUGS if bug.name == name)
    stock = "Optimizer.update" in bug.where or bug.example.get("kernels") == "stock"
    with kernels("stock" if stock else "auto"):
        finding = found(bug, where)
    assert what in finding.what
    file, number = finding.source.rsplit(":", 1)
    assert line in Path(file).read_text(encoding="utf-8").splitlines()[int(number) - 1]
    assert Path(file).is_relative_to(FOLDER)


# The same for the formulas of an update alone, which takes a second and not twenty.
FORMULAS = {
    "short gradients are lengthened": ("clipping", "shorten = "),
    "the average takes what it should keep": ("the average", "self.ema"),
    "accumulated gradients are not forgotten": ("accumulation", "def accumulate"),
    "weight decay goes through the moments": ("Adam's moments", "self.adam("),
    "what is left out moves the moments": ("leaving out what is not finite", "finite = "),
}


@pytest.mark.parametrize("name", FORMULAS)
def test_the_first_formula_that_is_wrong_is_named(name: str) -> None:
    what, line = FORMULAS[name]
    bug = next(bug for bug in BUGS if bug.name == name)
    config = training_config(ADAM)
    starts, grads = ({"0.weight": draw(i, (3, 4)), "1.bias": draw(i + 1, (5,))} for i in (0, 2))
    with kernels("stock"), planted(bug):
        finding = first_wrong(config, starts, grads, step=3, accumulate=2)
    assert finding is not None and finding.what.startswith(what)
    file, number = finding.source.rsplit(":", 1)
    assert line in Path(file).read_text(encoding="utf-8").splitlines()[int(number) - 1]
    assert first_wrong(config, starts, grads, step=3, accumulate=2) is None


def found(bug: Bug, where: str) -> Finding:
    """What the failure of a property is explained by, while the bug is there."""
    topic, _, property_name = where.partition(": ")
    usual = {"deep": {"unet": "forward", "gradients": "gradients"}.get(topic, "")}
    function, example = PROPERTIES[f"{topic}: {usual.get(property_name, property_name)}"]
    example = {**example, **EXAMPLES.get(where, {}), **EXAMPLES.get(bug.name, {})}
    if where == bug.caught_by:
        example |= bug.example
    with planted(bug):
        with pytest.raises(AssertionError) as failure:
            function(**example)
        finding = explain(failure.value)
        assert finding is not None
        if finding.line:  # and it fails by itself
            with pytest.raises(AssertionError):
                exec(finding.line)
    if finding.line:  # and does not without the bug
        exec(finding.line)
    return finding


def test_every_line_that_is_pointed_at_is_there() -> None:
    for _, _, file, pattern in PLACES:
        text = (FOLDER / file).read_text(encoding="utf-8")
        assert re.search(pattern, text, re.MULTILINE), pattern


def test_a_search_that_breaks_hides_no_failure() -> None:
    error = AssertionError("the values differ")
    error.search = lambda: 1 / 0  # type: ignore[attr-defined]
    finding = explain(error)
    assert finding is not None and "ZeroDivisionError" in finding.text()


EXPLAINED = """
from ddpm_mindspore.parity.judgement.explain import Finding, explained

def test_forward():
    finding = Finding("Attention 'mid_attn': output is 7 times its bound", "/a/layers.py:7", "f(1)")
    with explained(lambda: finding):
        raise AssertionError("the output differs")
"""


def test_the_report_names_it_and_points_at_it_first(tmp_path: Path) -> None:
    done = command(tmp_path, write_suite(tmp_path / "suite", test_unet=EXPLAINED))
    (row,) = done.report["outcomes"]
    assert row["message"].splitlines() == [
        "the output differs",
        "first divergence: Attention 'mid_attn': output is 7 times its bound",
        "in /a/layers.py:7",
        "alone: f(1)",
    ]
    assert row["sources"][0] == "/a/layers.py:7"
    assert "first divergence: Attention" in done.out
