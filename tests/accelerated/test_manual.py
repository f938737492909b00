"""What the pages tell people to type exists, and the manual says the same in both languages."""

from __future__ import annotations

import contextlib
import io
import re
import shlex
from collections import Counter
from collections.abc import Iterator
from functools import cache
from itertools import takewhile
from pathlib import Path

import pytest

from ddpm_mindspore.accelerated.commands.defaults import train_defaults
from ddpm_mindspore.accelerated.commands.parse import parse, value_of
from ddpm_mindspore.accelerated.commands.presets import (
    CAPTIONED,
    SEQUENCES,
    TABLE,
    of_latents,
    preset,
)
from ddpm_mindspore.accelerated.commands.table import COMMANDS, load
from ddpm_mindspore.accelerated.config import DIGITS, RunConfig

ROOT = Path(__file__).parents[2]
MANUALS = [ROOT / "accelerated" / name for name in ("README.md", "README.zh.md")]
MANUAL = MANUALS[0]
PAGES = [
    *(ROOT / "README.md", *sorted((ROOT / ".github").glob("*.md"))),
    *(
        page
        for part in ("reference", "accelerated", "parity")
        for page in ROOT.glob(f"{part}/*.md")
    ),
]
PROGRAM = ("ddpm-mindspore", "-m ddpm_mindspore.accelerated")
# Of msrun, pip, pytest and the scripts of this repository.
OTHERS = {
    *("--worker_num", "--local_worker_num", "--node_rank", "--join", "--log_dir", "--no-deps"),
    *("--master_addr", "--master_port", "--picture", "--quick", "--folder", "--pairs", "--help"),
    *("--all-files",),
}


def text_of(page: Path) -> str:
    return page.read_text(encoding="utf-8")


def lines_of(page: Path) -> Iterator[str]:
    """The commands in a page's blocks, each in one line."""
    for block in re.findall(r"^```sh\n(.*?)^```$", text_of(page), re.MULTILINE | re.DOTALL):
        yield from (line for line in block.replace("\\\n", " ").splitlines() if line.strip())


def words_of(line: str) -> list[str] | None:
    """What the program is told by a line of a shell, None where another one is called."""
    for program in PROGRAM:
        _, found, rest = line.partition(f"{program} ")
        if found and not rest.startswith("&"):
            words = shlex.split(rest, comments=True)
            return list(takewhile(lambda word: word not in (">", ">>", "2>&1", "&", "&&"), words))
    return None


def start_of(options: list[str]) -> RunConfig:
    """Where training starts; what goes on with a run that is not here, from the kind of data."""
    if {"--resume", "--from"} & set(options):
        return preset(value_of("--data", options), options)
    if "--autoencoder" in options:
        return of_latents(preset(value_of("--data", options), options))
    return train_defaults(options)


@cache
def flags(command: str) -> set[str]:
    """Every option that a command has, for any kind of data."""
    starts: list[RunConfig | None] = [None]
    if command == "train":
        starts = [DIGITS, preset("scenes", ()), CAPTIONED, SEQUENCES, TABLE]
    found: set[str] = set()
    for start in starts:
        with contextlib.redirect_stdout(io.StringIO()) as shown, contextlib.suppress(SystemExit):
            parse(load(COMMANDS[command].options), command, "", ["--help"], start)
        found |= set(re.findall(r"--[a-z][\w-]*", shown.getvalue()))
    return found


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_command_of_a_page_is_understood(page: Path) -> None:
    for line in lines_of(page):
        if not (words := words_of(line)):
            continue
        name, *options = ("RUN" if word == "[RUN]" else word for word in words)
        start = start_of(options) if name == "train" else None
        assert parse(load(COMMANDS[name].options), name, "", options, start) is not None, line


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_option_that_a_page_names_is_there(page: Path) -> None:
    text = re.sub(r"^```.*?^```$", "", text_of(page), flags=re.MULTILINE | re.DOTALL)
    everything = OTHERS | {flag for command in COMMANDS for flag in flags(command)}
    for code in re.findall(r"`([^`\n]+)`", text):
        named = set(re.findall(r"(?<!\S)--[a-z][\w-]*", code))
        words = code.removeprefix("ddpm-mindspore ").split()
        known = flags(words[0]) | {"--help"} if words and words[0] in COMMANDS else everything
        if "pytest" not in code and "python" not in code:
            assert named <= known, code


def test_the_manual_tells_to_type_the_same_in_both_languages() -> None:
    one, other = (list(lines_of(page)) for page in MANUALS)
    assert len(one) > 10 and one == other
    for what in (r"^#+(?= )", r"!\[.*?\]\((.+?)\)", r"```python\n.*?```"):
        headings = [re.findall(what, text_of(page), re.MULTILINE | re.DOTALL) for page in MANUALS]
        assert headings[0] == headings[1], what
    options = [set(re.findall(r"`(--[a-z][\w-]*)", text_of(page))) for page in MANUALS]
    assert options[0] == options[1]


def test_the_manual_measures_the_same_in_both_languages() -> None:
    """What is folded stands in one of them alone."""
    english, chinese = (Counter(figures(text_of(page))) for page in MANUALS)
    folded = re.search(r"<details>.*</details>", text_of(MANUAL), re.DOTALL)
    assert folded
    assert len(chinese) >= 6
    assert english == chinese + Counter(figures(folded[0]))
    printed = [re.findall(r"^```\n(step .*?)^```$", text_of(page), re.M | re.S) for page in MANUALS]
    assert printed[0] == printed[1] and len(printed[0]) == 1


def figures(text: str) -> list[tuple[tuple[str, ...], ...]]:
    """The tables of a text that hold figures and little else, without their first column."""
    found = []
    for table in re.findall(r"(?:^\|.*\|\n)+", text, re.MULTILINE):
        rows = [tuple(re.split(r" ?\| ?", line)[2:-1]) for line in table.splitlines()[2:]]
        cells = [cell for row in rows for cell in row]
        if sum(re.fullmatch(r"[\d.,±%/ ]*", cell) is not None for cell in cells) > len(cells) / 2:
            found.append(tuple(tuple(re.findall(r"\d[\d.,]*", " ".join(row))) for row in rows))
    return found
