"""The site: its figure with a slider, and formulas that need no network."""

from __future__ import annotations

import importlib.util
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ddpm_mindspore.reference.process import q_sample
from ddpm_mindspore.reference.schedule import make_schedule

from .browser import Browser, Page, browser, contrast, in_browser
from .test_layout import ROOT

SITE = ROOT / ".github" / "site"
SHELL = (
    '<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" '
    'content="width=device-width"><title>figure</title><style>body {{ margin: 1rem; background: '
    "{0}; color: {1} }} :root {{ --color-foreground-secondary: {1} }}</style><body>{2}</body>"
)
PAPERS = {False: ("#ffffff", "#646776"), True: ("#131416", "#9ca0a5")}  # furo's
LOOK = """(() => {
  const of = (name) => document.getElementById(`forward-${name}`);
  return {
    fills: [...of("digit").children].map((e) => e.getAttribute("fill")),
    paths: ["bell", "here", "now"].map((name) => of(name).getAttribute("d")),
    said: of("said").textContent,
    shown: !of("t").hidden && of("t").labels[0].textContent,
    wide: document.documentElement.scrollWidth - innerWidth,
    ids: new Set([...document.querySelectorAll("[id]")].map((e) => e.id)).size
      - document.querySelectorAll("[id]").length,
    nameless: document.querySelectorAll("svg:not([aria-label])").length,
  };
})()"""
FORMULAS = """document.fonts.ready.then(() => {
  const boxes = [...document.querySelectorAll("div.math")];
  const indices = [...document.querySelectorAll("msub")].map(
    (e) => [...e.children].map((c) => c.getBoundingClientRect().bottom));
  return {
    count: document.querySelectorAll("math").length,
    fonts: [...document.fonts].map((font) => font.status),
    raw: /[\\\\$]/.test(document.body.innerText),
    errors: document.querySelectorAll("merror").length,
    wide: document.documentElement.scrollWidth - innerWidth,
    cut: boxes.filter((e) => e.scrollWidth > e.clientWidth).length,
    low: Math.min(...indices.map(([base, index]) => index - base)),
  };
})"""
FIGURES = """(() => {
  const figures = [...document.querySelectorAll("p > img")];
  return {
    wide: figures.map((e) => e.getBoundingClientRect().width),
    moved: figures.map((e) => e.parentNode.scrollWidth > e.parentNode.clientWidth),
    page: document.documentElement.scrollWidth - innerWidth,
  };
})()"""
MOVE = """(() => {{
  const slider = document.getElementById("forward-t");
  slider.value = {};
  slider.dispatchEvent(new Event("input"));
}})()"""


def loaded(name: str) -> Any:
    """A file that no package holds."""
    spec = importlib.util.spec_from_file_location(name, SITE / f"{name}.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def site() -> Any:
    return loaded("figure")


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with browser(tmp_path_factory.mktemp("browser")) as started:
        yield started


def numbers_in(texts: Any) -> list[float]:
    return [float(number) for number in re.findall(r"-?\d+(?:\.\d+)?", " ".join(texts))]


def test_what_is_shown_without_a_script_is_the_reference_s(site: Any) -> None:
    numbers = site.data()
    schedule = make_schedule("sigmoid", 1000)
    x_0, eps = (np.array(numbers[name])[None] for name in ("x_0", "eps"))
    for i in (0, site.START, len(numbers["times"]) - 1):
        drawn = site.drawing(numbers, i)
        x_t = q_sample(schedule, x_0, np.array(numbers["times"][i : i + 1]), eps)[0]
        greys = re.findall(r"rgb\((\d+),", drawn["pixels"])
        wanted = 255 * np.clip((x_t + 1) / 2, 0, 1)
        np.testing.assert_allclose(np.array(greys, float), wanted, atol=0.51)
        across = float(drawn["here_path"][1:].split()[0])
        assert across == pytest.approx(120 + 40 * x_t[site.PIXEL], abs=0.01)
    for ending, words in site.WORDS.items():
        html = site.figure(ending)
        assert "@" not in re.sub(r"<script.*?</script>", "", html, flags=re.S)
        assert all(words[name] in html for name in words if name not in ("title", "above", "below"))
        assert site.drawing(numbers, site.START)["bell_path"] in html
    assert len({frozenset(words) for words in site.WORDS.values()}) == 1


@in_browser
@pytest.mark.parametrize("ending", ["", ".zh"], ids=["english", "chinese"])
@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_the_slider_shows_what_the_reference_computes(
    site: Any, opened: Browser, tmp_path: Path, ending: str, dark: bool
) -> None:
    file = tmp_path / "figure.html"
    file.write_text(SHELL.format(*PAPERS[dark], site.figure(ending)), encoding="utf-8")
    page = opened.page()
    numbers = site.data()
    for width in (1200, 360):
        page.look(width, dark=dark)
        page.go(file.as_uri())
        for i in (site.START, 0, 57, len(numbers["times"]) - 1):
            if i != site.START:
                page.ask(MOVE.format(i))
            seen, drawn = page.ask(LOOK), site.drawing(numbers, i)
            assert seen["fills"] == re.findall(r"rgb\([\d,]+\)", drawn["pixels"])
            paths = [drawn[f"{name}_path"] for name in ("bell", "here", "now")]
            np.testing.assert_allclose(numbers_in(seen["paths"]), numbers_in(paths), atol=0.011)
            assert seen["said"] == drawn["said"]
        assert seen["shown"] == site.WORDS[ending]["slider"]
        assert seen["wide"] <= 0 and seen["ids"] == 0 and seen["nameless"] == 0
    _moves_by_its_keys(page)
    assert page.complaints == []
    style = "getComputedStyle(document.querySelector('.forward text')).fill"
    paper = "getComputedStyle(document.body).backgroundColor"
    assert contrast(page.ask(style), page.ask(paper)) > 4.5


def _moves_by_its_keys(page: Page) -> None:
    page.ask("document.getElementById('forward-t').focus()")
    before = page.ask(LOOK)["said"]
    for kind in ("keyDown", "keyUp"):
        page.call("Input.dispatchKeyEvent", type=kind, key="ArrowLeft", windowsVirtualKeyCode=37)
    assert page.ask(LOOK)["said"] != before


def test_no_page_lies_where_a_host_leaves_it_out_and_all_links_lead_somewhere(
    tmp_path: Path,
) -> None:
    """GitHub's upload-pages-artifact leaves out .github."""
    loaded("build").gather(tmp_path)
    pages = [page.relative_to(tmp_path) for page in tmp_path.rglob("*.md")]
    assert Path("project/README.zh.md") in pages
    shown = [page for page in pages if not page.is_relative_to("project/site")]
    hidden = [page for page in shown if page.parts[0].startswith(".")]
    assert not hidden
    for page in shown:
        text = (tmp_path / page).read_text(encoding="utf-8")
        for link in re.findall(r"\]\((?!\w+:)([^)#\s]+)[)#]", text):
            assert (tmp_path / page.parent / link).exists(), (page, link)
    listed = re.findall(r"^(project/\S+)$", (tmp_path / "index.md").read_text(), re.MULTILINE)
    assert len(listed) == 3 and all((tmp_path / f"{name}.md").exists() for name in listed)


def tutorial_formulas() -> dict[str, bool]:
    """Those of both tutorials: on lines of their own, or not."""
    found: dict[str, bool] = {}
    for page in ("README.md", "README.zh.md"):
        text = (ROOT / "reference" / page).read_text(encoding="utf-8")
        found |= dict.fromkeys(re.findall(r"```math\n(.*?)\n```", text, re.DOTALL), True)
        text = re.sub(r"```.*?```|`[^`]*`", "", text, flags=re.DOTALL)
        found |= dict.fromkeys(re.findall(r"(?<!\\)\$([^$]+)\$", text), False)
    return found


@in_browser
def test_formulas_are_drawn_without_a_network(opened: Browser, tmp_path: Path) -> None:
    for package in ("math_core", "ziamath"):
        pytest.importorskip(package, reason="pip install '.[test]' adds it")
    site = loaded("formulas")
    wanted = tutorial_formulas()
    drawn = [site.mathml(formula, block=block) for formula, block in wanted.items()]
    assert len(drawn) > 250 and sum(wanted.values()) > 40
    lines = [
        f'<div class="math">{formula}</div>' if block else f"<p>Where {formula} is.</p>"
        for formula, block in zip(drawn, wanted.values(), strict=True)
    ]
    style = '<link rel="stylesheet" href="_static/site.css">'
    file, static = tmp_path / "formulas.html", tmp_path / "_static"
    file.write_text(SHELL.format(*PAPERS[True], "".join([style, *lines])), encoding="utf-8")
    static.mkdir()
    shutil.copy(SITE / "site.css", static)
    site.write_font(tmp_path)
    loaded("build").check_alone(tmp_path)
    page = opened.page()
    page.look(360)
    page.go(file.as_uri())
    seen = page.ask(FORMULAS)
    assert seen["count"] == len(drawn) and seen["fonts"] == ["loaded"]
    assert not seen["raw"] and not seen["errors"]
    assert seen["wide"] <= 0 and seen["cut"] > 5  # a long one is moved, and not the page
    assert seen["low"] > 1.5  # pixels; with a font that says nothing of indices it is 0
    assert page.complaints == []
    page.ask("fetch('https://example.com/').catch(() => 0)")
    assert page.complaints  # the browser has no network


@in_browser
def test_the_letters_of_a_figure_can_be_read_on_a_phone(opened: Browser, tmp_path: Path) -> None:
    shutil.copy(SITE / "site.css", tmp_path)
    theme = "<style>img { max-width: 100%; height: auto }</style>"  # furo's
    parts = [theme, '<link rel="stylesheet" href="site.css">']
    for figure in ("tutorial/noise.png", "table.png"):
        parts.append(f'<p><img alt="" src="{(SITE.parent / figure).as_uri()}"></p>')
    file = tmp_path / "figures.html"
    file.write_text(SHELL.format(*PAPERS[False], "".join(parts)), encoding="utf-8")
    page = opened.page()
    for width, moved in ((360, True), (1280, False)):
        page.look(width)
        page.go(file.as_uri())
        seen = page.ask(FIGURES)
        assert len(seen["wide"]) == 2 and min(seen["wide"]) > 639, width
        assert seen["moved"] == [moved] * 2 and seen["page"] <= 0, width
    assert page.complaints == []


@in_browser
def test_an_option_is_broken_nowhere_but_where_it_is_longer_than_a_line(
    opened: Browser, tmp_path: Path
) -> None:
    shutil.copy(SITE / "site.css", tmp_path)
    words = ("--sampling-timesteps", "20", "--results-folder", "my-run", "x" * 99)
    code = " ".join(f'<span class="pre">{word}</span>' for word in words)
    parts = ['<link rel="stylesheet" href="site.css">']
    parts += [f"<p>{'is ' * count}<code>{code}</code></p>" for count in range(12)]
    file = tmp_path / "options.html"
    file.write_text(SHELL.format(*PAPERS[False], "".join(parts)), encoding="utf-8")
    page = opened.page()
    page.look(360)
    page.go(file.as_uri())
    heights = page.ask("[...document.querySelectorAll('.pre')].map(e => e.offsetHeight)")
    line = min(heights)
    assert [height > line for height in heights] == ([False] * 4 + [True]) * 12
    assert page.ask("document.documentElement.scrollWidth") <= 360


def test_a_page_that_fetches_something_is_no_page_of_the_site(tmp_path: Path) -> None:
    build, page = loaded("build"), tmp_path / "page.html"
    for alone in ('<a href="https://example.com/">', '<script src="a.js">', "url(math.woff)"):
        page.write_text(alone, encoding="utf-8")
        build.check_alone(tmp_path)
    for asks in ('<script defer src="https://a/b.js">', "<img src='//a/b'>", "url(https://a/b)"):
        page.write_text(asks, encoding="utf-8")
        with pytest.raises(ValueError, match=r"page\.html fetches"):
            build.check_alone(tmp_path)
