"""What those who carry on are told agrees with what is there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from .test_layout import PARTS, PROJECT, ROOT

GITHUB = ROOT / ".github"
CONTRIBUTING = (GITHUB / "CONTRIBUTING.md").read_text(encoding="utf-8")
FORMS = sorted((GITHUB / "ISSUE_TEMPLATE").glob("*.yml"))
PAGES = [
    ROOT / "README.md",
    *GITHUB.glob("*.md"),
    *(page for part in PARTS for page in (ROOT / part).glob("README*.md")),
]
NUMBERS = {"three": 3, "four": 4, "five": 5}


def test_a_commit_is_checked_as_ci_checks_it() -> None:
    hooks = re.findall(r"entry: (.+)", (ROOT / ".pre-commit-config.yaml").read_text())
    ci = (ROOT / ".ci" / "run").read_text()
    between = re.search(r'echo "== lint and formatting"\n(.*?)echo "== parity', ci, re.DOTALL)
    assert between
    assert hooks == [line for line in between[1].splitlines() if not line.startswith("echo")]
    assert re.findall(r"-p ddpm_mindspore\.(\w+)", (ROOT / ".ci" / "types").read_text()) == [*PARTS]


def test_the_files_that_one_is_sent_to_exist() -> None:
    named = set(re.findall(r"`((?:\.?\w+/)+[\w.]*)[^`]*`", CONTRIBUTING))
    assert len(named) > 20
    missing = [name for name in named if not (ROOT / name.replace("TOPIC", "ema")).exists()]
    assert not missing


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    text = re.sub(r"^```.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.M | re.S)
    links = re.findall(r"\]\((?!https?:)([^)#]*)(#[^)]+)?\)", text)
    assert not [link for link, _ in links if not (page.parent / link).exists()]
    places = [(page.parent / link if link else page, place[1:]) for link, place in links if place]
    assert not [place for there, place in places if place not in anchors(there)]
    files = re.findall(rf"`((?:{'|'.join(PARTS)}|tests)/[\w/.-]*\w\.\w+)`", text)
    assert not [file for file in files if not (ROOT / file.replace("TOPIC", "ema")).exists()]


def anchors(page: Path) -> list[str]:
    """How GitHub calls the headings of a page."""
    text = re.sub(r"^```.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.M | re.S)
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return [re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings]


def test_the_map_has_every_folder() -> None:
    tree = (ROOT / "README.md").read_text(encoding="utf-8").split("```")[-2]
    _, *parts = re.split(r"^(\w+)/", tree, flags=re.MULTILINE)
    drawn = {
        part: set(re.findall(r"^  (\w+)/ ", text, re.MULTILINE))
        for part, text in zip(parts[::2], parts[1::2], strict=True)
    }
    for part in PARTS:
        there = {path.parent.name for path in ROOT.glob(f"{part}/*/__init__.py")}
        twins = drawn["reference"] if part == "accelerated" else set()
        assert drawn[part] == there - twins


def test_adding_something_touches_as_many_files_as_is_said() -> None:
    recipes = re.findall(r"\*\*(.+?)\*\*: (\w+) files(.*?)\n\n", CONTRIBUTING, re.DOTALL)
    assert [what for what, _, _ in recipes][:3] == ["A sampler", "An objective", "A layer"]
    assert len(recipes) == 6
    for what, count, steps in recipes:
        lines = re.findall(r"^- (.+)", steps, re.MULTILINE)
        files = sum(max(1, line.count("`, `") + 1) for line in lines)
        assert files == NUMBERS[count] <= 5, what


@pytest.mark.parametrize("form", FORMS, ids=lambda form: form.stem)
def test_every_form_asks_for_what_one_needs_to_help(form: Path) -> None:
    text = form.read_text()
    assert "label: ddpm-mindspore info --json\n" in text
    assert form.stem == "bug" or "label: ddpm-mindspore parity --report parity-report\n" in text


def test_the_version_stands_in_one_place() -> None:
    version = PROJECT["project"]["version"]
    told = re.findall(r"^## (\S+),? ", (GITHUB / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert told[0].rstrip(",") == version
    sources = [path for part in PARTS for path in (ROOT / part).rglob("*.py")]
    others = [*GITHUB.glob("*/*.yml"), *(ROOT / ".ci").iterdir(), GITHUB / "CONTRIBUTING.md"]
    assert not [path for path in (*sources, *others) if version in path.read_text("utf-8")]
