"""The table, the JSON and the page say what the run found, to a reader, a program and a browser."""

from __future__ import annotations

import json
import math
import re
import subprocess
from dataclasses import replace
from html import escape
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from ddpm_mindspore.parity.report import outcomes as report_module
from ddpm_mindspore.parity.report.collect import sources
from ddpm_mindspore.parity.report.outcomes import (
    FAIL,
    SKIP,
    Outcome,
    Report,
    duration_text,
    environment,
    failure_text,
    failures_text,
    share_text,
    to_json,
    to_table,
)
from ddpm_mindspore.parity.report.page import to_html

from ..browser import CHROMIUM, contrast, in_browser

EVIL = "<script>alert('x')</script> & \"quoted\" </pre></td>"
PASSED = Outcome(
    "test_process.py::test_q_sample", "process", "q_sample", "x_t (eq. 4).", cases=20,
    worst_share=0.25, worst_example="x_t: seed=3", seconds=1.25,
)  # fmt: skip
FAILED = Outcome(
    f"test_layers.py::test_attention[{EVIL}]", "layers", f"attention[{EVIL}]", f"QK {EVIL}.", FAIL,
    2.0, 7, 1e6, f"shape=(1, 2) {EVIL}", f"beyond\n{EVIL}", f"print({EVIL!r})", ("/a/layers.py",),
)  # fmt: skip
SKIPPED = Outcome(
    "test_unet.py::test_half", "unet", "half", status=SKIP, message="no float16 on CPU"
)
EXACT = Outcome("test_unet.py::test_exact", "unet", "exact", cases=3, worst_share=0.0)
ENDLESS = replace(FAILED, nodeid="test_unet.py::test_nan", topic="unet", worst_share=math.inf)


def make(*outcomes: Outcome, **changes: Any) -> Report:
    started = "2026-02-03T04:05:06+00:00"
    report = Report(outcomes, "CPU", 7, None, None, started, 61.0, environment())
    return replace(report, **changes)


BOTH = make(PASSED, FAILED, ENDLESS, SKIPPED, EXACT)
GOOD = make(PASSED, SKIPPED, EXACT)


@pytest.mark.parametrize(
    ("report", "code", "verdict"),
    [
        (GOOD, 0, "2 properties hold on CPU (1 skipped)"),
        (make(PASSED), 0, "1 property holds on CPU"),
        (BOTH, 1, "2 of 4 properties fail on CPU (1 skipped)"),
        (make(PASSED, FAILED), 1, "1 of 2 properties fails on CPU"),
        (make(SKIPPED), 2, "nothing was checked on CPU (1 skipped)"),
        (make(PASSED, interrupted=True), 2, "interrupted: 1 property held on CPU until then"),
        (make(FAILED, interrupted=True), 1, "1 of 1 property fails on CPU"),
    ],
)
def test_verdict_and_exit_code_agree(report: Report, code: int, verdict: str) -> None:
    assert (report.exit_code, report.verdict) == (code, verdict)


def test_command_repeats_the_run_or_one_property() -> None:
    report = make(PASSED, device="Ascend", examples=9, only="unet and not half")
    start = "ddpm-mindspore parity --device Ascend --seed 7 --examples 9 --only"
    assert report.command() == f"{start} 'unet and not half'"
    assert report.command(replace(PASSED, name="q_sample[linear-4]")) == f"{start} q_sample"


@pytest.mark.parametrize(
    ("share", "text"),
    [(None, "-"), (0.0, "0"), (0.12345, "0.123"), (31.4, "31.4"), (2e-5, "2.0e-05"),
     (1e300, "1.0e+300"), (math.inf, "inf"), (math.nan, "nan")],
)  # fmt: skip
def test_share_text(share: float | None, text: str) -> None:
    assert share_text(share) == text


def test_duration_text() -> None:
    assert [duration_text(s) for s in (0.04, 59.9, 59.97, 125.4)] == [
        "0.0 s", "59.9 s", "1 min 00 s", "2 min 05 s"
    ]  # fmt: skip


def test_sources_share_the_names_of_the_property(tmp_path: Path) -> None:
    for folder in ("reference/samplers", "reference/networks", "accelerated/networks"):
        (tmp_path / folder).mkdir(parents=True)
    for file in (
        "accelerated/networks/unet.py",
        "reference/networks/unet.py",
        "reference/unet_extra.py",
    ):
        (tmp_path / file).write_text("def forwards(): ...\nclass Unet:\n    def forward(x): ...\n")

    def found(topic: str, name: str = "other") -> list[str]:
        return [str(Path(p).relative_to(tmp_path)) for p in sources(topic, name, tmp_path)]

    assert (
        found("unet")
        == found("unet_gradients")
        == ["accelerated/networks/unet.py", "reference/networks/unet.py"]
    )
    assert found("unet", "forward[3]") == [
        "accelerated/networks/unet.py:3",
        "reference/networks/unet.py:3",
    ]
    assert found("unet_extra") == ["accelerated/networks/unet.py", "reference/unet_extra.py"]
    assert found("samplers", "forward") == ["reference/samplers"]
    assert found("other") == []


@pytest.mark.parametrize("width", [60, 80, 140])
def test_table_fits_and_names_every_property_once(width: int) -> None:
    lines = to_table(BOTH.outcomes, width).splitlines()
    assert max(map(len, lines)) <= width
    assert [line for line in lines if not line.startswith(("pass", "FAIL", "skip", " "))] == [
        "process", "layers", "unet"
    ]  # fmt: skip
    rows = [line.split() for line in lines if line.startswith(("pass", "skip"))]
    assert [row[:2] for row in rows] == [["pass", "q_sample"], ["skip", "half"], ["pass", "exact"]]
    assert rows[0][2:5] == ["20", "0.25", "1.2"]


def test_failure_text_leads_to_the_cause() -> None:
    text = failure_text(replace(FAILED, name="attention"), BOTH)
    assert "formula:    QK " in text and "message:    beyond\n" in text
    assert f"in Python:  {FAILED.reproduce}" in text and "look at:    /a/layers.py" in text
    assert "run again:  ddpm-mindspore parity --device CPU --seed 7 --only attention\n" in text


def test_failures_come_with_a_hint_only_when_there_are_several() -> None:
    assert failures_text(make(FAILED)).startswith("FAIL  layers: attention")
    assert failures_text(BOTH).startswith("In the order of dependence")
    assert failures_text(BOTH).count("\nFAIL  ") == 2


def test_json_is_strict_and_complete() -> None:
    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is not JSON")

    data = json.loads(to_json(BOTH), parse_constant=refuse)
    assert data["exit_code"] == 1 and data["verdict"] == BOTH.verdict
    assert {"numpy", "mindspore", "ddpm-mindspore", "python", "cpu"} <= set(data["environment"])
    assert (data["device"], data["seed"], data["seconds"]) == ("CPU", 7, 61.0)
    rows = data["outcomes"]
    assert [row["worst_share"] for row in rows] == [0.25, 1e6, "inf", None, 0.0]
    assert rows[1]["message"] == FAILED.message and rows[1]["reproduce"] == FAILED.reproduce


def test_environment_survives_a_missing_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(report_module, "PACKAGES", ("numpy", "no-such-package-at-all"))
    found = environment()
    assert found["no-such-package-at-all"] == "not installed"
    assert re.match(r"\d+\.\d+", found["numpy"]) and found["cpu"]


class Page(HTMLParser):
    """Elements with their attributes, the text below each element, and unbalanced tags."""

    VOID = ("meta", "br", "link", "img", "input", "hr", "wbr")

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.texts: list[str] = []
        self.open: list[int] = []
        self.feed(text)
        assert not self.open, f"never closed: {[self.elements[i][0] for i in self.open]}"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attrs}))
        self.texts.append("")
        if tag not in self.VOID and not (self.get_starttag_text() or "").endswith("/>"):
            self.open.append(len(self.elements) - 1)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)

    def handle_endtag(self, tag: str) -> None:
        assert self.elements[self.open.pop()][0] == tag, f"</{tag}> closes something else"

    def handle_data(self, data: str) -> None:
        for i in self.open:
            self.texts[i] += data

    def find(self, tag: str, name: str = "class", value: str = "") -> list[str]:
        """Texts of the elements with this tag, one of whose words in the attribute is this."""
        return [
            self.texts[i]
            for i, (found, attributes) in enumerate(self.elements)
            if found == tag and (not value or value in attributes.get(name, "").split())
        ]


def test_page_is_well_formed_and_needs_nothing_else() -> None:
    for report in (BOTH, GOOD, make(SKIPPED), make(replace(PASSED, cases=0, worst_share=None))):
        page = Page(to_html(report))
        tags = {tag for tag, _ in page.elements}
        assert not tags & {"script", "link", "img", "iframe", "b"}
        for _, attributes in page.elements:
            assert not attributes.get("href", "#").startswith("http") and "src" not in attributes
        ids = [a["id"] for _, a in page.elements if "id" in a]
        assert len(ids) == len(set(ids))
        targets = {a["href"].removeprefix("#") for _, a in page.elements if "href" in a}
        assert targets <= set(ids)
    assert "url(" not in to_html(BOTH) and "@import" not in to_html(BOTH)


def test_page_shows_verdict_rows_and_failures() -> None:
    page = Page(to_html(BOTH))
    assert page.find("h1") == ["✗ 2 of 4 properties fail on CPU (1 skipped)"]
    assert page.find("header", "class", "FAIL") and not Page(to_html(GOOD)).find("article")
    assert page.find("tr", "data-status", "pass")[0].startswith("passq_samplex_t (eq. 4).200.251.2")
    assert len(page.find("tr", "class", "property")) == 5
    cards = page.find("article")
    assert len(cards) == 2 and f"beyond\n{EVIL}" in cards[0]
    copyable = page.find("pre", "class", "copy")
    assert copyable[0] == FAILED.reproduce and copyable[1] == BOTH.command(FAILED)
    assert copyable[-1] == BOTH.command()
    assert BOTH.environment["cpu"] in page.find("dd")


def dots(page: str) -> dict[str, float]:
    """Position of each dot on the axis, by the title it carries."""
    found = re.findall(r'<(?:circle c|svg )x="([\d.]+)%".*?<title>(.*?)</title>', page)
    return {title: float(x) for x, title in found}


def test_plot_puts_dots_on_their_side_of_the_bound() -> None:
    page = to_html(BOTH)
    bound = {float(x) for x in re.findall(r'class="bound" x1="([\d.]+)%"', page)}
    assert len(bound) == 1
    line, positions = bound.pop(), list(dots(page).values())
    assert len(positions) == 4
    below, beyond, endless, exact = positions
    assert exact == 2.0 < below < line < beyond == endless == 98.0
    # logarithmic: from the lowest tick at 0.1, the share 0.25 is log10(2.5) decades on
    decade = (line - 2.0) / 1.0
    assert below == pytest.approx(2.0 + decade * math.log10(2.5), abs=0.02)
    assert "≤ 0.1<" in page and "≥ 100000<" in page


def browse(text: str, folder: Path, *options: str) -> str:
    """The document as the browser holds it after its scripts ran."""
    file = folder / "page.html"
    file.write_text(text, encoding="utf-8")
    command = [str(CHROMIUM), "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run"]
    command += ["--disable-background-networking", f"--user-data-dir={folder / 'profile'}"]
    done = subprocess.run(
        [*command, *options, "--dump-dom", file.as_uri()],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


MEASURE = """
<script>
const frame = document.querySelector("iframe"), inner = frame.contentWindow;
const look = () => {
  const root = frame.contentDocument.documentElement;
  const style = (q) => inner.getComputedStyle(frame.contentDocument.querySelector(q));
  const colours = ["body", "header p", "td .soft", ".pill", ".pill.FAIL", ".pill.skip", "pre"]
    .map((q) => [q, style(q).color]);
  const grounds = ["body", "header", ".pill", ".pill.FAIL", ".pill.skip", "pre"]
    .map((q) => [q, style(q).backgroundColor]);
  const text = frame.contentDocument.querySelector("h1").innerText;
  const seen = [...frame.contentDocument.querySelectorAll("tr.property td.name")]
    .filter((cell) => cell.getBoundingClientRect().width > 40).length;
  document.title = JSON.stringify({
    wide: root.scrollWidth, text, seen, dots: root.querySelectorAll("circle").length,
    colours: Object.fromEntries(colours), grounds: Object.fromEntries(grounds),
  });
};
// The frame may be there already, or still be the empty page that it starts as.
frame.contentDocument.querySelector("#again") ? look() : frame.onload = look;
</script>
"""


def measure(report: Report, width: int, folder: Path, *options: str) -> dict[str, Any]:
    """What a browser window of that width shows of the page."""
    frame = f'<iframe srcdoc="{escape(to_html(report))}" style="width:{width}px;border:0"></iframe>'
    page = browse(f"<!doctype html><title></title>{frame}{MEASURE}", folder, *options)
    title = Page(page).find("title")[0]
    return dict(json.loads(title))


@in_browser
@pytest.mark.parametrize("width", [360, 1100])
def test_page_fits_a_phone_and_a_desk(width: int, tmp_path: Path) -> None:
    seen = measure(BOTH, width, tmp_path)
    assert seen["wide"] <= width, "the page scrolls sideways"
    assert (seen["seen"], seen["dots"]) == (5, 2)
    assert seen["text"] == "✗ 2 of 4 properties fail on CPU (1 skipped)"


@in_browser
def test_page_is_readable_in_light_and_in_dark(tmp_path: Path) -> None:
    # blink's preferredColorScheme: 0 is dark, 1 is light
    light, dark = (
        measure(BOTH, 1000, tmp_path, f"--blink-settings=preferredColorScheme={k}") for k in (1, 0)
    )
    assert contrast(light["grounds"]["body"], dark["grounds"]["body"]) > 10
    pairs = {"td .soft": "header", "header p": "header"}
    for scheme in (light, dark):
        for text, colour in scheme["colours"].items():
            ground = scheme["grounds"][pairs.get(text, text)]
            assert contrast(colour, ground) >= 4.5, (text, colour, ground)
