"""Which suite it was: a digest of the properties, and of all that they are made of here."""

from __future__ import annotations

import ast
import hashlib
from collections.abc import Iterator
from pathlib import Path

HOUSE = "ddpm_mindspore.parity"
SUITE = Path(__file__).parents[1]


def suite_digest(suite: Path = SUITE) -> str:
    """Of the properties and every file of their folder that they import: examples, bounds.

    The same digest, seed, number of examples and version of Hypothesis mean the same examples with
    the same bounds. What only runs or shows them, this file for one, is not part of it.
    """
    digest = hashlib.sha256()
    for path in sorted(_reached(suite)):
        digest.update(f"{path.relative_to(suite)}\n".encode())
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()[:16]


def _reached(suite: Path) -> set[Path]:
    found: set[Path] = set()
    to_read = [*suite.glob("test_*.py"), *suite.glob("conftest.py")]
    while to_read:
        path = to_read.pop()
        if path not in found:
            found.add(path)
            to_read += _imported(path, suite)
    return found


def _imported(path: Path, suite: Path) -> Iterator[Path]:
    for node in ast.walk(ast.parse(path.read_bytes())):
        if not isinstance(node, ast.ImportFrom):
            continue
        base = node.module or ""
        home = path.parents[node.level - 1] if node.level else suite
        if node.level == 0 and base.startswith(HOUSE):
            base = base.removeprefix(HOUSE).lstrip(".")
        elif node.level == 0 or not (home == suite or suite in home.parents):
            continue
        for name in (base, *(f"{base}.{alias.name}".lstrip(".") for alias in node.names)):
            file = home.joinpath(*name.split(".")).with_suffix(".py") if name else None
            if file is not None and file.is_file():
                yield file
