"""How many examples each property gets."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from hypothesis import HealthCheck, Phase, settings

EXAMPLES = 20
NIGHTLY_EXAMPLES = 400


@dataclass
class Budget:
    """How many examples a cheap property gets, and what becomes of them.

    Attributes:
        examples: of a cheap property.
        fixed: whether every run draws the same ones.
        shrink: whether a failing example is made as small as it can be.
    """

    examples: int = EXAMPLES
    fixed: bool = True
    shrink: bool = True


BUDGET = Budget()
"""Set by ``conftest.py`` before the properties are imported."""


def examples(share: float = 1.0) -> Callable[[Any], Any]:
    """Settings of a property that gets ``share`` of the budget.

    A small share means that an example costs seconds: then its failure is reported as it was drawn,
    since hundreds of attempts to shrink it would take many minutes.
    """
    phases = [Phase.explicit, Phase.generate]
    phases += [Phase.shrink] * (share == 1.0 and BUDGET.shrink)
    return settings(
        max_examples=max(1, round(BUDGET.examples * share)),
        derandomize=BUDGET.fixed,
        database=None,
        deadline=None,
        print_blob=False,
        phases=phases,
        report_multiple_bugs=False,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    )
