"""The tutorial's code, run as a reader runs it, and its figures.

    python -m tests.reference.tutorial [--quick] [--folder FOLDER]

runs all blocks of ``reference/README.md``, in order, in one session, and writes the figure that a
block makes to the picture that the text shows below it. ``--quick`` leaves out the blocks that are
marked ``slow``; ``--folder`` writes elsewhere.

A block begins with three backquotes, ``python`` and its marks: ``slow`` takes minutes, and
``mindspore`` needs MindSpore. A block of ``text`` right below says what it prints.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import os
import re
import sys
import warnings
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
README = ROOT / "reference" / "README.md"
PICTURES = ROOT / ".github" / "tutorial"

# In the middle between white and GitHub's dark grey: the figures have no background of their own.
INK = "#6e7781"
COLOURS = ("#3b82f6", "#e36209", "#2da44e", "#a371f7", "#e5484d", "#0e9aa7", "#bf8700", "#6e7781")
STYLE: dict[str, Any] = {
    **dict.fromkeys(("text.color", "axes.labelcolor", "axes.edgecolor"), INK),
    **dict.fromkeys(("xtick.color", "ytick.color", "legend.labelcolor"), INK),
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlesize": 12,
    "figure.dpi": 120,
    "figure.constrained_layout.use": True,
    "figure.constrained_layout.h_pad": 0.08,
    "font.size": 11,
    "legend.frameon": False,
    "savefig.transparent": True,
}


@dataclass(frozen=True)
class Block:
    """A block of code.

    Attributes:
        code: of the block.
        line: of the page, where it begins.
        marks: what stands after ``python``.
        prints: the block of text right below it, or None.
        picture: the name of the picture that follows before the next block, or None.
    """

    code: str
    line: int
    marks: tuple[str, ...]
    prints: str | None
    picture: str | None


BLOCK = re.compile(r"^```python([ \w]*)\n(.*?)^```\n(?:\n```text\n(.*?)^```\n)?", re.M | re.S)
PICTURE = re.compile(r"^!\[[^\]]+\]\(\.\./\.github/tutorial/([\w-]+\.png)\)$", re.M)


def blocks(page: Path = README) -> list[Block]:
    """All blocks of a page."""
    text = page.read_text(encoding="utf-8")
    found = list(BLOCK.finditer(text))
    ends = [*(match.start() for match in found[1:]), len(text)]
    return [
        Block(
            match[2],
            text.count("\n", 0, match.start(2)) + 1,
            tuple(match[1].split()),
            match[3],
            shown[1] if (shown := PICTURE.search(text, match.end(), end)) else None,
        )
        for match, end in zip(found, ends, strict=True)
    ]


def run(without: Collection[str] = (), folder: Path | None = None) -> Iterator[tuple[Block, str]]:
    """Run the blocks that have no mark of ``without``; each, and what it printed.

    The figures are written to ``folder``, if there is one. Raises AssertionError where a block does
    not make the one figure that is shown below it, or makes one that is not shown.
    """
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    namespace: dict[str, Any] = {"__name__": "tutorial"}
    colours = matplotlib.cycler(color=COLOURS)
    with matplotlib.rc_context({**STYLE, "axes.prop_cycle": colours}), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "FigureCanvasAgg is non-interactive")
        for block in blocks():
            if set(block.marks) & set(without):
                continue
            # Empty lines in front, so that a traceback names the line of the page.
            code = compile("\n" * (block.line - 1) + block.code, str(README), "exec")
            with contextlib.redirect_stdout(io.StringIO()) as printed:
                exec(code, namespace)
            figures = plt.get_fignums()
            assert len(figures) == (block.picture is not None), (block.line, block.picture, figures)
            if block.picture is not None and folder is not None:
                save(plt.gcf(), folder / block.picture)
            plt.close("all")
            yield block, printed.getvalue()


def save(figure: Any, path: Path) -> None:
    """Write a figure as a PNG file of 255 colours, a quarter as large as one of all."""
    from PIL import Image

    buffer = io.BytesIO()
    figure.savefig(buffer, metadata={"Software": None})
    with Image.open(buffer) as image:
        small = image.quantize(255, method=Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE)
        small.save(path, optimize=True)


def main() -> None:
    """Make all figures."""
    parser = argparse.ArgumentParser(description="Run the tutorial and make its figures.")
    parser.add_argument("--quick", action="store_true", help="leave out what takes minutes")
    parser.add_argument("--folder", type=Path, default=PICTURES)
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    for block, printed in run(("slow",) if options.quick else (), options.folder):
        wrong = "" if printed == (block.prints or "") else "  (prints something else)"
        print(f"line {block.line:5}  {block.picture or ''}{wrong}\n{printed}", end="", flush=True)


if __name__ == "__main__":
    os.chdir(ROOT)
    sys.exit(main())
