"""Every bug in a formula is caught by the property meant for it, on one small example.

That is quick, and says what a property can see. What the command does see, with the examples that
it draws, is measured in ``test_score.py``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from ddpm_mindspore.accelerated import kernels
from ddpm_mindspore.accelerated.networks import layers, network
from ddpm_mindspore.parity.judgement.compare import LEDGER

from .bugs import BUGS
from .compiled import has_compiler, is_compiled
from .planting import Bug, planted
from .properties import PROPERTIES

COSTLY = frozenset(
    {
        *("distributed: steps", "gradients: gradients", "guidance: walk", "precision: left_out"),
        *("trainer: run", "training: steps", "training: steps_compiled"),
    }
)
"""Properties that take seconds for an example: CI tries one bug of each, the nightly run all."""

_sound: set[str] = set()


def quick() -> list[Any]:
    """What is tried on one small example, and when."""
    found, seen = [], set()
    for bug in BUGS:
        if bug.caught_by in PROPERTIES:
            another = bug.caught_by in seen & COSTLY
            marks = pytest.mark.nightly if another else pytest.mark.slow
            found.append(pytest.param(bug, id=bug.name, marks=marks))
            seen.add(bug.caught_by)
    return found


@pytest.mark.filterwarnings("ignore:divide by zero")
@pytest.mark.parametrize("bug", quick())
def test_bug_is_caught(bug: Bug, caught: Callable[[Bug, float], None]) -> None:
    if bug.where.startswith(("kernels.", "kernels/")) and not kernels.in_use():
        pytest.skip(f"not on the way here: {kernels.describe()}")
    if is_compiled(bug) and not (kernels.in_lanes() and has_compiler()):
        pytest.skip("no compiler is here, or the processor computes no convolution in this way")
    compare(bug, once=True)
    LEDGER.start("planted")
    with planted(bug), pytest.raises(AssertionError) as failure:
        compare(bug)
    assert "reproduce: from ddpm_mindspore.parity." in str(failure.value)
    caught(bug, LEDGER.records["planted"].worst_share)


def test_nothing_is_left_of_a_bug() -> None:
    bug = next(bug for bug in BUGS if bug.where == "networks.layers.gelu")
    before = layers.gelu
    with planted(bug):
        assert layers.gelu is not before
        assert network.gelu is layers.gelu
    assert layers.gelu is before
    assert network.gelu is before


def test_a_bug_whose_place_changed_is_stale() -> None:
    bug = Bug("stale", "process.column", "no such text", "", "levels: columns")
    with pytest.raises(AssertionError, match="stale"), planted(bug):
        pass


def compare(bug: Bug, once: bool = False) -> None:
    """Try the property on the example that has to show the bug (``once``: if not done before)."""
    function, usual = PROPERTIES[bug.caught_by]
    key = f"{bug.caught_by} {bug.example}"
    if not once or key not in _sound:
        function(**{**usual, **bug.example})
    if once:
        _sound.add(key)
