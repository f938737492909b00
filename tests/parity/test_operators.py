"""The audit of operators: a new operator is noticed, and what the table says can be wrong."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import mindspore as ms
import numpy as np
import pytest
from mindspore import Tensor, ops

from ddpm_mindspore.parity import test_operators
from ddpm_mindspore.parity.judgement.compare import LEDGER
from ddpm_mindspore.parity.sides import graphs, operators
from ddpm_mindspore.parity.sides.operators import (
    DOCUMENTED,
    FRAMEWORK,
    GRAPH_NODES,
    SHIPPED,
    UNKNOWN,
    Operator,
)


def square_root_and_more(x: Tensor) -> Tensor:
    return ops.sqrt(x) + ops.erfinv(x)  # the network has a square root, and no erfinv


def square_root_alone(x: Tensor) -> Tensor:
    return ops.sqrt(x) * x


def compiling(function: Callable[[Tensor], Tensor]) -> Callable[[], object]:
    return lambda: ms.jit(function)(Tensor(np.full(3, 0.5, np.float32)))


def test_a_graph_gives_its_operators() -> None:
    assert graphs.operators_of(compiling(square_root_alone)) == {"Sqrt", "Mul"}
    assert graphs.operators_of(lambda: None) == set()


def test_a_planted_operator_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    planted = {"step": compiling(square_root_and_more)}
    monkeypatch.setattr(graphs, "GRAPHS", planted)
    monkeypatch.setattr(graphs, "COSTLY", ())
    with pytest.raises(AssertionError, match=r"does not know: Erfinv \(documented for Ascend\)"):
        test_operators.test_known_for_ascend()
    record = LEDGER.records[LEDGER._nodeid]
    assert record.worst_share == float("inf")
    assert "Erfinv" in record.worst_example
    assert record.reproduce.endswith("import known; known(graph='step')")
    monkeypatch.setattr(graphs, "GRAPHS", {"step": compiling(square_root_alone)})
    test_operators.test_known_for_ascend()


def test_a_kernel_that_is_gone_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    fewer = {n: where for n, where in operators.shipped_kernels().items() if n != "SiLUGrad"}
    monkeypatch.setattr(operators, "shipped_kernels", lambda: fewer)
    with pytest.raises(AssertionError, match=r"SiLUGrad was 'kernel name found'.*no kernel of it"):
        test_operators.test_still_shipped_for_ascend()


def test_without_a_plug_in_kernels_are_not_looked_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(operators, "shipped_kernels", dict)
    with pytest.raises(pytest.skip.Exception, match="no Ascend plug-in"):
        test_operators.test_still_shipped_for_ascend()


@pytest.mark.parametrize(
    ("name", "status", "documentation", "kernel"),
    [
        ("Sqrt", DOCUMENTED, "mindspore.ops.sqrt", True),  # says where its documentation is
        ("Conv2D", DOCUMENTED, "mindspore.ops.Conv2D", True),  # is documented itself
        ("SoftmaxBackward", SHIPPED, "", True),
        ("MatMulExt", SHIPPED, "", True),  # its kernel has another name
        ("Depend", FRAMEWORK, "", False),
        ("Teleport", UNKNOWN, "", False),
        ("Kron", UNKNOWN, "", False),  # a function's name is not a primitive's
    ],
)
def test_an_operator_is_looked_up(name: str, status: str, documentation: str, kernel: bool) -> None:
    found = operators.look_up(name, ["b", "a"])
    assert (found.status, found.documentation) == (status, documentation)
    assert found.kernel.endswith(".so") == kernel
    assert found.graphs == ["a", "b"]


def test_kernels_for_eager_execution_alone_are_not_counted() -> None:
    kernels = operators.shipped_kernels()
    assert "MMExt" in kernels  # what graphs use for MatMulExt, which itself is an eager class
    assert "MatMulExt" not in kernels


def test_an_operator_without_ascend_in_its_platforms_is_not_documented_for_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Elsewhere:
        """Somewhere.

        Supported Platforms:
            ``GPU`` ``CPU``

        Examples:
            >>> on("``Ascend``")
        """

    monkeypatch.setattr(ops, "Elsewhere", Elsewhere, raising=False)
    assert operators.documentation("Elsewhere") == ""


def test_every_operator_of_the_table_is_accounted_for() -> None:
    table = operators.committed()
    assert all(test_operators.accounted_for(entry) for entry in table.values())
    assert all(entry.graphs for entry in table.values())
    assert GRAPH_NODES.keys() == {n for n, e in table.items() if e.status == FRAMEWORK}
    assert {"Conv2D", "Conv2DBackpropFilter", "Softmax", "Adam"} <= table.keys()
    nothing = Operator(UNKNOWN, ["step"])
    assert not test_operators.accounted_for(nothing)
    assert test_operators.accounted_for(replace(nothing, remark="see https://example.org/thread"))


def test_the_table_is_written_and_printed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(operators, "TABLE", tmp_path / "operators.json")
    table = operators.look_up_all({"a": {"Sqrt", "Teleport"}, "b": {"Sqrt"}})
    operators.write(table)
    assert operators.committed() == table
    assert table["Sqrt"].graphs == ["a", "b"]
    assert table["Teleport"].graphs == ["a"]
    text = operators.text(table)
    assert "1 documented for Ascend, 0 kernel name found, 1 unknown" in text
    assert text.endswith("not a run on a card")
