"""The tutorial as two notebooks.

    python -m tests.reference.notebooks FOLDER

writes ``tutorial.ipynb`` and ``tutorial.zh.ipynb``. Each block of code is a cell, which prints and
draws what the page shows below it. One that takes minutes says so.
"""

from __future__ import annotations

import argparse
import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from .tutorial import BLOCK, PICTURE, README, ROOT

PAGES = {"tutorial.ipynb": README, "tutorial.zh.ipynb": README.with_name("README.zh.md")}
SLOW = "# takes minutes\n"
FOLD = re.compile(r"<details><summary>(.*?)</summary>|</details>")
LINK = re.compile(r"\]\((?!https?:|#)([^)]+)\)")


def notebook(page: Path, folder: Path) -> dict[str, Any]:
    """A page as a notebook of format 4.5 that lies in ``folder``."""
    text, cells, summary, end = page.read_text(encoding="utf-8"), list[dict[str, Any]](), "", 0
    for match in [*BLOCK.finditer(text), None]:
        between = text[end : match.start() if match else len(text)]
        prose, summary = _folded(between, summary)
        if prose:
            cells.append(_cell("markdown", _for_jupyter(prose, page.parent, folder)))
        if match:
            code = (SLOW if "slow" in match[1] else "") + match[2].rstrip("\n")
            hidden = {"jupyter": {"source_hidden": True}} if summary else {}
            empty = {"execution_count": None, "outputs": []}
            cells.append(_cell("code", code) | {"metadata": hidden} | empty)
            end = match.end()
    for number, cell in enumerate(cells):
        cell["id"] = f"cell-{number}"
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    metadata = {"kernelspec": kernel, "language_info": {"name": "python"}}
    return {"cells": cells, "metadata": metadata, "nbformat": 4, "nbformat_minor": 5}


def _cell(kind: str, source: str) -> dict[str, Any]:
    return {"cell_type": kind, "metadata": {}, "source": source.splitlines(keepends=True)}


def _folded(prose: str, summary: str) -> tuple[str, str]:
    """Prose between two cells, in which what is folded ends with it and begins anew.

    ``summary``: of what is folded where it begins. Returns that of where it ends, "" for none.
    """
    begins = f"<details><summary>{summary}</summary>\n\n" if summary else ""
    for fold in FOLD.finditer(prose):
        summary = fold[1] or ""
    text = (begins + PICTURE.sub("", prose) + ("\n\n</details>" if summary else "")).strip()
    empty = not FOLD.sub("", text).strip()
    return "" if empty else re.sub(r"\n{3,}", "\n\n", text), summary


def _for_jupyter(prose: str, page: Path, folder: Path) -> str:
    """Formulas between dollars, and links to files as they are seen from ``folder``."""

    def seen(link: re.Match[str]) -> str:
        file, hash_, place = link[1].partition("#")
        return f"]({os.path.relpath(page / file, folder)}{hash_}{place})"

    prose = re.sub(r"^```math\n(.*?)^```$", r"$$\n\1$$", prose, flags=re.M | re.S)
    return LINK.sub(seen, prose)


def write(folder: Path) -> Iterator[Path]:
    """Write both; their files."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, page in PAGES.items():
        path = folder / name
        made = notebook(page, folder.resolve())
        path.write_text(json.dumps(made, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
        yield path


def main() -> None:
    """Write both notebooks."""
    parser = argparse.ArgumentParser(description="Write the tutorial as two notebooks.")
    parser.add_argument("folder", type=Path, nargs="?", default=ROOT / "build" / "notebooks")
    for path in write(parser.parse_args().folder):
        print(path)


if __name__ == "__main__":
    main()
