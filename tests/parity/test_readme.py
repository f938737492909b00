"""What the porter is told: the property that one adds runs, and the failure is a real one."""

from __future__ import annotations

import ast
import importlib.util
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any
from unittest import mock

import pytest

from ddpm_mindspore.parity.report.options import ParityConfig

from .bugs import BUGS
from .planted_copy import copy_package, importing, planted_in
from .properties import PROPERTIES

PARITY = Path(__file__).parents[2] / "parity"
PAGES = [PARITY / "README.md", PARITY / "README.zh.md"]
TEXTS = [page.read_text(encoding="utf-8") for page in PAGES]
FIRST = "the noise that the network predicts is taken for x_0"


def block(text: str, language: str) -> str:
    """The one block of a language."""
    (found,) = re.findall(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    return str(found)


def bare(code: str) -> str:
    """Code without comments and docstrings."""
    tree = ast.parse(code)
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.FunctionDef) and ast.get_docstring(node):
            del node.body[0]
    return ast.unparse(tree)


@pytest.fixture(scope="module")
def example(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """The property of the page, as a module."""
    file = tmp_path_factory.mktemp("example") / "test_mixing.py"
    file.write_text(block(TEXTS[0], "python"), encoding="utf-8")
    spec = importlib.util.spec_from_file_location(file.stem, file)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    with mock.patch.dict(sys.modules, {file.stem: module}):
        spec.loader.exec_module(module)
        yield module


def test_both_languages_show_the_same() -> None:
    assert len({bare(block(text, "python")) for text in TEXTS}) == 1
    for language in ("diff", "text"):
        assert len({block(text, language) for text in TEXTS}) == 1
    for pattern in (r"^#+", r"`--[\w-]+", r"https?://[^)\s]+", r"`\w+: \w+`", r"^```sh\n.*?^```"):
        one, other = (re.findall(pattern, text, re.MULTILINE | re.DOTALL) for text in TEXTS)
        assert sorted(one) == sorted(other), pattern


def test_what_is_named_is_there() -> None:
    options = {f"`--{field.name.replace('_', '-')}" for field in fields(ParityConfig)}
    for text in TEXTS:
        assert set(re.findall(r"`--[\w-]+", text)) <= options
        for name in re.findall(r"`(\w+: \w+)`", text):
            file, _, function = name.partition(": ")
            source = (PARITY / f"test_{file}.py").read_text(encoding="utf-8")
            assert f"def test_{function}(" in source, name
        caught = dict(re.findall(r'"([^"\n]+)" \| `(\w+: \w+)` \|$', text, re.MULTILINE))
        assert len(caught) == 4
        assert caught == {bug.name: bug.caught_by for bug in BUGS if bug.name in caught}
        assert set(caught.values()) <= set(PROPERTIES)


def test_the_property_that_one_adds_holds_and_can_fail(example: Any) -> None:
    case = {"shape": (3, 2), "scale": 1.0, "seed": 0}
    example.mixture(**case)

    def wrong(s: Any, x: Any, y: Any) -> Any:
        return (1.0 - s) * x + s * x

    with mock.patch.object(example, "mixed", wrong), pytest.raises(AssertionError, match="beyond"):
        example.mixture(**case)


def test_the_command_prints_what_the_page_shows(tmp_path: Path) -> None:
    """The bug of the page, and the property of the page, in a copy of the package."""
    (bug,) = [bug for bug in BUGS if bug.name == FIRST]
    assert block(TEXTS[0], "diff") == f"-        return {bug.old}\n+        return {bug.new}\n"
    site = copy_package(tmp_path / "site")
    suite = site / "ddpm_mindspore" / "parity"
    (suite / "test_mixing.py").write_text(block(TEXTS[0], "python"), encoding="utf-8")
    options = ["--device", "CPU", "--only", "mixing or trajectory"]
    with planted_in(site, bug):
        done = subprocess.run(
            [sys.executable, "-m", "ddpm_mindspore.accelerated", "parity", *options],
            cwd=tmp_path, env=importing(site), capture_output=True, text=True, check=False,
        )  # fmt: skip
    assert done.returncode == 1, done.stderr
    assert re.search(r"^pass  mixed +40 ", done.stdout, re.MULTILINE), done.stdout
    shown = block(TEXTS[0], "text")
    _, begin, said = done.stdout.partition("\nFAIL  samplers: trajectory\n")
    assert comparable(begin + said.partition("\n\n")[0], site) == comparable(shown, site)


def comparable(text: str, site: Path) -> str:
    """Without numbers, which another processor rounds otherwise, and where the package lies."""
    text = text.replace(f"{site}/ddpm_mindspore/", "").replace("mixing or trajectory", "trajectory")
    return re.sub(r"-?\d+(\.\d+)?(e[+-]?\d+)?", "#", text).strip()
