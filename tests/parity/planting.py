"""Plant a bug in this process: quick, for properties that run one operator at a time.

What is compiled needs source in a file: see ``planted_copy.py``, which does it for other processes.
"""

from __future__ import annotations

import contextlib
import inspect
import sys
import tempfile
import textwrap
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from types import FunctionType
from typing import Any

from ddpm_mindspore import accelerated
from ddpm_mindspore.accelerated.system import runtime
from ddpm_mindspore.parity.sides import device

from .bug import Bug, changed, place_of
from .compiled import build_with, is_compiled

PACKAGE = "ddpm_mindspore"
__all__ = ["Bug", "planted"]


@contextlib.contextmanager
def planted(bug: Bug) -> Iterator[None]:
    """Within it, the accelerated code has the bug, wherever the function is known by name."""
    if is_compiled(bug):
        with _planted_library(bug):
            yield
        return
    house = Path(accelerated.__path__[0]).parent
    file, path = place_of(bug.where, house)
    module = ".".join((PACKAGE, *file.relative_to(house).with_suffix("").parts))
    owner: Any = import_module(module.removesuffix(".__init__"))
    namespace = vars(owner)
    for part in path[:-1]:
        owner = getattr(owner, part)
    original = inspect.unwrap(getattr(owner, path[-1]))
    broken = _rewritten(original, owner, namespace, bug)
    places = [owner] if inspect.isclass(owner) else [owner, *_modules_with(original)]
    tables = [] if inspect.isclass(owner) else list(_tables_with(original))

    def put(function: Any) -> None:
        device.clear()
        for place in places:
            setattr(place, path[-1], function)
        for table, key in tables:
            table[key] = function

    put(broken)
    try:
        yield
    finally:
        put(original)


@contextlib.contextmanager
def _planted_library(bug: Bug) -> Iterator[None]:
    right = runtime.kernel_library

    def put(function: Any) -> None:
        device.clear()
        runtime.kernel_library = function

    with tempfile.TemporaryDirectory() as folder:
        library = Path(folder) / "_cpu.abi3.so"
        build_with(bug, library)
        put(lambda: library)
        try:
            yield
        finally:
            put(right)


def _rewritten(original: Any, owner: Any, namespace: dict[str, Any], bug: Bug) -> Any:
    source = changed(textwrap.dedent(inspect.getsource(original)), bug)
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


def _tables_with(original: Any) -> Iterator[tuple[dict[Any, Any], Any]]:
    """Tables of the package that have the function as a value, and its key, as ``PLANS``."""
    for name, module in list(sys.modules.items()):
        if name.startswith((f"{PACKAGE}.accelerated", f"{PACKAGE}.parity")):
            for table in [v for v in vars(module).values() if type(v) is dict]:
                yield from ((table, key) for key, value in table.items() if value is original)


def _modules_with(original: Any) -> Iterator[Any]:
    assert isinstance(original, FunctionType)
    for name, module in list(sys.modules.items()):
        in_package = name.startswith((f"{PACKAGE}.accelerated", f"{PACKAGE}.parity"))
        if in_package and vars(module).get(original.__name__) is original:
            yield module
