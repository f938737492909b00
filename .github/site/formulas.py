"""Formulas as MathML, and a font for them: no script, and nothing that is fetched from elsewhere.

Browsers draw MathML well with a font that has the metrics of formulas. Linux and Android often have
none, and then an index stands as high as what it belongs to. So STIX Two Math (SIL Open Font
License 1.1), which the package ziamath carries, goes along, cut to what the pages use: 50 kB.
"""

from __future__ import annotations

import html
import re
from importlib.util import find_spec
from io import BytesIO
from pathlib import Path
from typing import Any

from fontTools import subset
from math_core import LatexToMathML

FONT = "fonts/STIXTwoMath-Regular.ttf"
BLOCKS = (("A", 26, 0x1D434), ("a", 26, 0x1D44E), ("\u0391", 25, 0x1D6E2), ("\u03b1", 25, 0x1D6FC))
"""What a browser draws for a letter that stands alone: from which, how many, and its italic."""
UNSAID = {"\u221a", "\u210e"}
"""What may be drawn and is in no text: the sign of roots, and an italic h, which lies elsewhere."""
_converter = LatexToMathML()


def mathml(formula: str, *, block: bool) -> str:
    """A formula of TeX; ``math_core.LatexError`` where it is none that this knows."""
    return str(_converter.convert_with_local_state(formula, displaystyle=block))


def drawn_with(pages: str) -> set[str]:
    """The characters that the formulas in HTML are drawn with."""
    parts = re.findall(r"<math.*?</math>", pages, flags=re.DOTALL)
    found = set(html.unescape(re.sub(r"<[^>]*>", "", "".join(parts)))) | UNSAID
    for first, count, start in BLOCKS:
        found |= {chr(start + i) for i in range(count) if chr(ord(first) + i) in found}
    return found


def font(characters: set[str]) -> bytes:
    """The font, cut to some characters and to what they grow to, as WOFF."""
    options = subset.Options(flavor="woff", layout_features=["*"], hinting=False)
    package = find_spec("ziamath")  # found, and not run
    if package is None or package.origin is None:
        raise FileNotFoundError(f"ziamath, which has {FONT}, is not installed")
    whole = subset.load_font(str(Path(package.origin).parent / FONT), options)
    cutter = subset.Subsetter(options)
    cutter.populate(unicodes=[ord(character) for character in characters])
    cutter.subset(whole)
    file = BytesIO()
    subset.save_font(whole, file, options)
    return file.getvalue()


def write_font(folder: Path) -> None:
    """Add the font of a built site, which site.css names."""
    pages = "".join(page.read_text(encoding="utf-8") for page in folder.rglob("*.html"))
    (folder / "_static" / "math.woff").write_bytes(font(drawn_with(pages)))


def setup(app: Any) -> None:
    """The renderer "mathml" of Sphinx."""
    app.add_html_math_renderer("mathml", (_inline, None), (_block, None))


def _inline(writer: Any, node: Any) -> None:
    _written(writer, mathml(node.astext(), block=False))


def _block(writer: Any, node: Any) -> None:
    _written(writer, f'<div class="math">{mathml(node.astext(), block=True)}</div>')


def _written(writer: Any, text: str) -> None:
    from docutils.nodes import SkipNode

    writer.body.append(text)
    raise SkipNode
