"""Plant a bug: exchange a piece of one accelerated function's source for another."""

from __future__ import annotations

import contextlib
import inspect
import sys
import textwrap
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from types import FunctionType
from typing import Any

from ddpm_mindspore.parity import device

PACKAGE = "ddpm_mindspore"


@dataclass(frozen=True)
class Bug:
    """A bug, and the property that has to catch it.

    Attributes:
        name: what is wrong.
        where: the function that has it, as "layers.Attention.construct".
        old: a piece of that function's source, which occurs there once.
        new: what stands there instead.
        caught_by: the name of the property.
        example: what the property is given instead of its usual arguments.
    """

    name: str
    where: str
    old: str
    new: str
    caught_by: str
    example: Mapping[str, Any] = field(default_factory=dict)


@contextlib.contextmanager
def planted(bug: Bug) -> Iterator[None]:
    """Within it, the accelerated code has the bug, wherever the function is known by name."""
    module_name, *path = bug.where.split(".")
    owner: Any = import_module(f"{PACKAGE}.accelerated.{module_name}")
    namespace = vars(owner)
    for part in path[:-1]:
        owner = getattr(owner, part)
    original = inspect.unwrap(getattr(owner, path[-1]))
    broken = _rewritten(original, owner, namespace, bug)
    places = [owner] if inspect.isclass(owner) else list(_modules_with(original))
    device.clear()
    for place in places:
        setattr(place, path[-1], broken)
    try:
        yield
    finally:
        for place in places:
            setattr(place, path[-1], original)
        device.clear()


def _rewritten(original: Any, owner: Any, namespace: dict[str, Any], bug: Bug) -> Any:
    source = textwrap.dedent(inspect.getsource(original))
    count = source.count(bug.old)
    assert count == 1, f"{bug.where} has {count} times {bug.old!r}: the bug {bug.name!r} is stale"
    source = source.replace(bug.old, bug.new)
    # A function around it gives zero-argument super() its class.
    lines = [
        "from __future__ import annotations",
        "def make(__class__):",
        textwrap.indent(source, "    "),
        f"    return {original.__name__}",
    ]
    made: dict[str, Any] = {}
    exec(compile("\n".join(lines), f"<{bug.name}>", "exec"), namespace, made)
    return made["make"](owner)


def _modules_with(original: Any) -> Iterator[Any]:
    assert isinstance(original, FunctionType)
    for name, module in list(sys.modules.items()):
        in_package = name.startswith((f"{PACKAGE}.accelerated", f"{PACKAGE}.parity"))
        if in_package and vars(module).get(original.__name__) is original:
            yield module
