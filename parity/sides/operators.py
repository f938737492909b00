"""Would an Ascend card know the operators that the compiled graphs are made of?

    python -m ddpm_mindspore.parity.sides.operators            the table
    python -m ddpm_mindspore.parity.sides.operators --write    the same, into operators.json

Each operator type is looked up in two places, both in the installed MindSpore: its documentation
("Supported Platforms", its own or that of the function it refers to), and the names of the kernels
in the Ascend plug-in libraries. **That is not a run on a card**, and says nothing about numbers: it
finds an operator that nobody has written for Ascend before somebody with a card does.
"""

from __future__ import annotations

# First, since it prepares the environment that MindSpore reads when it is imported.
from .graphs import operators

# isort: split
import argparse
import inspect
import json
import pydoc
import re
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path

import mindspore
from mindspore import ops
from mindspore.ops import auto_generate

DISCLAIMER = "checked against documentation and shipped kernel names; not a run on a card"
TABLE = Path(__file__).with_name("operators.json")

DOCUMENTED = "documented for Ascend"
SHIPPED = "kernel name found"
FRAMEWORK = "part of the graph, no kernel"
UNKNOWN = "unknown"

GRAPH_NODES = {
    "Depend": "orders two operators",
    "Load": "reads a parameter",
    "MakeTuple": "groups values",
    "TupleGetItem": "takes a value out of a group",
    "UpdateState": "orders changes of parameters",
}
"""What the compiler works with itself, and what it does."""

KERNEL_NAMES = {"Adam": "ApplyAdam", "FillV2": "Fill", "Gather": "GatherV2", "MatMulExt": "MMExt"}
"""Operators whose kernel for the card has another name."""

HF32 = (
    "a card computes float32 convolutions with 11-bit mantissas (HF32) unless it is told "
    "conv_allow_hf32(False): https://mindspore.cn/docs/en/r2.5.0/api_python/device_context/"
    "mindspore.device_context.ascend.op_precision.conv_allow_hf32.html"
)
REMARKS = dict.fromkeys(("Conv2D", "Conv2DBackpropFilter", "Conv2DBackpropInput"), HF32)
"""What to know of an operator. One that is unknown needs the address of a page or thread here."""

LIBRARIES = {
    # Classes of kernels for graphs; those in the namespace pyboost are for eager execution.
    "libmindspore_ops_ascend.so": (
        rb"N9mindspore6kernel(?!7pyboost)(?:\d+[a-z]\w*?)?\d+(?:Aclnn)?"
        rb"([A-Z]\w*?)(?:AscendE|(?:Aclnn)?KernelMod(?:ILm\dEE)?E)\0"
    ),
    # Adapters that hand an operator to the graph engine under its name there.
    "ascend/libmindspore_ascend_res_manager.so": rb"OpAdapterINS1_\d+cz([A-Z]\w*?)EEE\0",
}


@dataclass(frozen=True)
class Operator:
    """What is known of one operator type.

    Attributes:
        status: DOCUMENTED, SHIPPED, FRAMEWORK or UNKNOWN.
        graphs: names of the graphs that it is part of.
        documentation: what documents it for Ascend, "" for nothing.
        kernel: the library with its kernel's name, "" for none.
        remark: what else to know.
    """

    status: str
    graphs: list[str]
    documentation: str = ""
    kernel: str = ""
    remark: str = ""


def documentation(name: str) -> str:
    """The primitive, or the function that it refers to, whose documentation names Ascend."""
    primitive = getattr(ops, name, None) or getattr(auto_generate, name, None)
    if primitive is None:
        return ""
    if _names_ascend(primitive):
        return f"{'mindspore.ops' if hasattr(ops, name) else 'mindspore.ops.auto_generate'}.{name}"
    reference = re.search(r"Refer to :\w+:`([\w.]+)`", inspect.getdoc(primitive) or "")
    if reference and _names_ascend(pydoc.locate(reference[1])):
        return reference[1]
    return ""


def _names_ascend(thing: object) -> bool:
    platforms = re.search(r"Supported Platforms:\s*(.*)", getattr(thing, "__doc__", None) or "")
    return platforms is not None and "``Ascend``" in platforms[1]


@lru_cache
def shipped_kernels() -> dict[str, str]:
    """Operator -> the plug-in library that names its kernel; empty where there is no plug-in."""
    folder = Path(mindspore.__file__).parent / "lib" / "plugin"
    found: dict[str, str] = {}
    for library, pattern in LIBRARIES.items():
        path = folder / library
        for match in re.finditer(pattern, path.read_bytes() if path.is_file() else b""):
            found.setdefault(match[1].decode(), path.name)
    return found


def look_up(name: str, graphs: Collection[str]) -> Operator:
    """What the installed MindSpore says of one operator type."""
    if name in GRAPH_NODES:
        return Operator(FRAMEWORK, sorted(graphs), remark=GRAPH_NODES[name])
    documented = documentation(name)
    kernels = shipped_kernels()
    kernel = kernels.get(name) or kernels.get(KERNEL_NAMES.get(name, ""), "")
    status = DOCUMENTED if documented else SHIPPED if kernel else UNKNOWN
    return Operator(status, sorted(graphs), documented, kernel, REMARKS.get(name, ""))


def look_up_all(found: Mapping[str, Collection[str]]) -> dict[str, Operator]:
    """The table for the operator types of each graph."""
    names = sorted(set().union(*found.values()))
    return {n: look_up(n, [g for g, types in found.items() if n in types]) for n in names}


def committed() -> dict[str, Operator]:
    """The table as it was last looked at and written down."""
    content = json.loads(TABLE.read_text(encoding="utf-8"))
    return {name: Operator(**entry) for name, entry in content["operators"].items()}


def write(table: Mapping[str, Operator]) -> None:
    """Write operators.json."""
    content = {
        "about": DISCLAIMER,
        "mindspore": mindspore.__version__,
        "operators": {name: asdict(entry) for name, entry in table.items()},
    }
    TABLE.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def text(table: Mapping[str, Operator]) -> str:
    """The table for people."""
    lines = [f"{'operator':<22} {'status':<30} {'documentation':<38} kernel's name in"]
    for name, entry in table.items():
        remark = f" ({entry.remark.partition(': http')[0]})" if entry.remark else ""
        lines.append(
            f"{name:<22} {entry.status:<30} {entry.documentation:<38} {entry.kernel}{remark}"
        )
    statuses = [entry.status for entry in table.values()]
    counts = [f"{statuses.count(s)} {s}" for s in (DOCUMENTED, SHIPPED, UNKNOWN, FRAMEWORK)]
    return "\n".join([*lines, "", f"{', '.join(counts)}: {DISCLAIMER}"])


def main() -> None:
    """Print the table; write it down where asked."""
    parser = argparse.ArgumentParser(description="Operators of the compiled graphs, for Ascend.")
    parser.add_argument("--write", action="store_true", help=f"rewrite {TABLE.name}")
    options = parser.parse_args()
    table = look_up_all(operators())
    print(text(table))
    if options.write:
        write(table)


if __name__ == "__main__":
    main()
