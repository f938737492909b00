"""Would an Ascend card know every operator? Looked up, not run: see ``sides/operators.py``."""

from __future__ import annotations

import pytest

from ddpm_mindspore.parity.judgement.compare import LEDGER, reproducible
from ddpm_mindspore.parity.sides import graphs, operators
from ddpm_mindspore.parity.sides.operators import DISCLAIMER, SHIPPED, UNKNOWN, Operator

NOT_RUN = "looked up, not run on a card"


def test_known_for_ascend() -> None:
    """operators of the compiled graphs: in documentation or among kernel names; no run on a card"""
    for graph in graphs.GRAPHS:
        if graph not in graphs.COSTLY:
            known(graph=graph)


@pytest.mark.slow
def test_training_known_for_ascend() -> None:
    """the same of the training steps that take longest to compile"""
    for graph in graphs.COSTLY:
        known(graph=graph)


@reproducible
def known(graph: str) -> None:
    """The table of ``operators.json`` has every operator type of one compiled graph."""
    table = operators.committed()
    missing = []
    for name in sorted(graphs.operators_of(graphs.GRAPHS[graph])):
        LEDGER.note(f"{name}, {NOT_RUN}", 0.0 if name in table else float("inf"))
        if name not in table:
            missing.append(f"{name} ({operators.look_up(name, [graph]).status})")
    if missing:
        raise AssertionError(
            f"the compiled {graph} has operators that operators.json does not know: "
            f"{', '.join(missing)}\n"
            "look them up with 'python -m ddpm_mindspore.parity.sides.operators', and write the "
            f"table down with --write once each is accounted for ({DISCLAIMER})"
        )


def test_still_shipped_for_ascend() -> None:
    """the table of operators holds for this MindSpore's documentation and kernel names"""
    if not operators.shipped_kernels():
        pytest.skip("this MindSpore carries no Ascend plug-in whose kernels could be looked up")
    for name in operators.committed():
        evident(operator=name)


@reproducible
def evident(operator: str) -> None:
    """One operator of the table is as well documented, or as well shipped, as it was."""
    was = operators.committed()[operator]
    now = operators.look_up(operator, was.graphs)
    lost = [w for w in ("documentation", "kernel") if getattr(was, w) and not getattr(now, w)]
    gone = now.status == UNKNOWN and not accounted_for(was)
    LEDGER.note(f"{operator}, {NOT_RUN}", float("inf") if lost or gone else 0.0)
    if lost or gone:
        raise AssertionError(
            f"{operator} was {was.status!r}, and this MindSpore has no {' or '.join(lost)} of it "
            f"any more: it is {now.status!r} ({DISCLAIMER})"
        )


def accounted_for(entry: Operator) -> bool:
    """Whether an operator is looked up with success, or has a page or thread as the reason."""
    if entry.status == SHIPPED:
        return bool(entry.kernel)
    return entry.status != UNKNOWN or "https://" in entry.remark
