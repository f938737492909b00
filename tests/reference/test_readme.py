"""The tutorial's code runs as a reader would run it: all blocks, in order, in one session."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

README = Path(__file__).parents[2] / "reference" / "README.md"


def test_every_block_of_the_tutorial_runs() -> None:
    text = README.read_text(encoding="utf-8")
    namespace: dict[str, Any] = {"__name__": "readme"}
    blocks = list(re.finditer(r"^```python\n(.*?)^```$", text, re.MULTILINE | re.DOTALL))
    assert len(blocks) >= 10
    for block in blocks:
        # Empty lines in front, so that a traceback names the line of the file.
        before = text.count("\n", 0, block.start(1))
        exec(compile("\n" * before + block[1], str(README), "exec"), namespace)
    assert sum(block[1].count("assert ") for block in blocks) >= 16
