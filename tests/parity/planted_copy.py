"""A copy of the package with a bug in a file of it, for processes that know nothing of bugs."""

from __future__ import annotations

import ast
import contextlib
import importlib
import os
import shutil
import textwrap
from collections.abc import Iterator
from pathlib import Path

from .bug import Bug, changed, place_of
from .compiled import build_with, is_compiled

PARTS = ("reference", "accelerated", "parity")


def copy_package(site: Path) -> Path:
    """Lay the package out below ``site`` as a wheel does, to be imported from there."""
    for part in PARTS:
        source = Path(importlib.import_module(f"ddpm_mindspore.{part}").__path__[0])
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(source, site / "ddpm_mindspore" / part, ignore=ignored)
    return site


def importing(site: Path) -> dict[str, str]:
    """The environment of a process that imports the package from ``site`` and leaves it alone."""
    inherited = {k: v for k, v in os.environ.items() if not k.startswith("PYTEST_")}
    return {**inherited, "PYTHONPATH": str(site), "PYTHONDONTWRITEBYTECODE": "1"}


@contextlib.contextmanager
def planted_in(site: Path, bug: Bug) -> Iterator[Path]:
    """Within it, the copy below ``site`` has the bug, in the file that is yielded.

    That of a bug in C++ is the library.
    """
    if is_compiled(bug):
        library = next((site / "ddpm_mindspore" / "accelerated" / "kernels").glob("*.so"))
        right_one = library.read_bytes()
        library.unlink()
        build_with(bug, library)
        try:
            yield library
        finally:
            library.unlink()
            library.write_bytes(right_one)
        return
    file, names = place_of(bug.where, site / "ddpm_mindspore")
    right = file.read_text(encoding="utf-8")
    file.write_text(with_bug(right, names, bug), encoding="utf-8")
    try:
        yield file
    finally:
        file.write_text(right, encoding="utf-8")


def with_bug(text: str, names: tuple[str, ...], bug: Bug) -> str:
    """The text of a file, changed in the function or class that ``names`` lead to."""
    lines = text.splitlines(keepends=True)
    start, end = _lines_of(ast.parse(text), names, bug)
    source = "".join(lines[start:end])
    indent = source[: len(source) - len(source.lstrip())]
    source = textwrap.indent(changed(textwrap.dedent(source), bug), indent)
    return "".join([*lines[:start], source, *lines[end:]])


def _lines_of(tree: ast.Module, names: tuple[str, ...], bug: Bug) -> tuple[int, int | None]:
    """Where a definition starts, decorators included, and where it ends, counted from 0."""
    node: ast.AST = tree
    start, end = 0, None
    for name in names:
        inside = (n for n in ast.iter_child_nodes(node) if getattr(n, "name", None) == name)
        node = next(inside, ast.Pass())
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            raise AssertionError(f"{bug.where} is not there: the bug {bug.name!r} is stale")
        start = min(part.lineno for part in (node, *node.decorator_list)) - 1
        end = node.end_lineno
    return start, end
