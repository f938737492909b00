"""The tutorial's notebooks have its text and its code."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from .notebooks import PAGES, SLOW, write
from .tutorial import blocks


@pytest.fixture(scope="module", params=PAGES)
def made(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("notebooks")
    (path,) = (path for path in write(folder) if path.name == request.param)
    return path


def sources(path: Path, kind: str) -> list[str]:
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    return ["".join(cell["source"]) for cell in cells if cell["cell_type"] == kind]


def test_each_block_is_a_cell(made: Path) -> None:
    found = sources(made, "code")
    expected = blocks(PAGES[made.name])
    assert [code.removeprefix(SLOW) + "\n" for code in found] == [b.code for b in expected]
    marked = [code.startswith(SLOW) for code in found]
    assert marked == ["slow" in block.marks for block in expected]


def test_the_text_is_whole_and_folded_in_each_cell(made: Path) -> None:
    page = PAGES[made.name].read_text(encoding="utf-8")
    texts = sources(made, "markdown")
    for text in texts:
        assert text.count("<details>") == text.count("</details>") <= 2 + text.count("## ")
    together = "\n".join(texts)
    for heading in re.findall(r"^## .+$", page, re.M):
        assert heading in together
    assert together.count("$$") == 2 * page.count("```math")
    assert "```text" not in together and "](../.github/tutorial" not in together


def test_links_lead_somewhere_from_where_the_notebook_is(made: Path) -> None:
    links = re.findall(r"\]\((?!https?:|#)([^)#]+)", "\n".join(sources(made, "markdown")))
    assert len(links) > 30
    assert not [link for link in links if not (made.parent / link).exists()]
