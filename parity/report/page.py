"""The report as one HTML page that needs nothing beside itself."""

from __future__ import annotations

import math
from collections.abc import Iterable
from html import escape
from itertools import groupby
from pathlib import Path
from string import Template

from .outcomes import FAIL, PASS, SKIP, Outcome, Report, duration_text, share_text
from .score import FILE, read_score

MARKS = {PASS: "✓", FAIL: "✗", SKIP: "–"}
ROW_HEIGHT = 26


def to_html(report: Report) -> str:
    """The page, as text; everything that a run can influence is escaped."""
    status = {0: PASS, 1: FAIL}.get(report.exit_code, SKIP)
    template = Template(Path(__file__).with_name("report.html").read_text(encoding="utf-8"))
    return template.substitute(
        title=escape(f"Parity: {report.verdict}"),
        status=status,
        mark=MARKS[status],
        verdict=escape(report.verdict[0].upper() + report.verdict[1:]),
        subtitle=escape(_subtitle(report)),
        score=escape(_score(report)),
        tiles=_terms(_tiles(report)),
        failures=_failures(report),
        compared=_compared(report),
        plot=_plot(report.outcomes),
        before='<th class="number">Before</th>' if report.compared_with else "",
        rows=_rows(report.outcomes, report.compared_with is not None),
        environment=_terms(_facts(report)),
        command=escape(report.command()),
    )


def _subtitle(report: Report) -> str:
    versions = report.environment
    parts = [f"{name} {versions[name]}" for name in ("ddpm-mindspore", "mindspore")]
    return " · ".join([*parts, report.started.replace("T", " ")])


def _score(report: Report) -> str:
    """What this command is known to find, "" if that was never measured."""
    if not FILE.is_file():
        return ""
    score = read_score()
    since = "" if score.suite == report.suite else " The properties have changed since."
    return f"{score.sentence}.{since}"


def _compared(report: Report) -> str:
    if report.compared_with is None:
        return ""
    return f"A ring is the same property in {escape(report.compared_with)}."


def _tiles(report: Report) -> dict[str, str]:
    shares = [o.worst_share for o in report.outcomes if o.worst_share is not None]
    tiles = {
        "held": len(report.with_status(PASS)),
        "failed": len(report.with_status(FAIL)),
        "skipped": len(report.with_status(SKIP)),
        "cases": f"{sum(o.cases for o in report.outcomes):,}",
        "worst share of a bound": share_text(max(shares, key=_severity, default=None)),
        "duration": duration_text(report.seconds),
    }
    return {name: str(value) for name, value in tiles.items()}


def _facts(report: Report) -> dict[str, str]:
    examples = "the default" if report.examples is None else str(report.examples)
    run = {"device": report.device, "seed": str(report.seed), "examples": examples}
    only = {} if report.only is None else {"only": report.only}
    return {**run, **only, **report.environment}


def _terms(terms: dict[str, str]) -> str:
    items = (f"<dt>{escape(name)}</dt><dd>{escape(text)}</dd>" for name, text in terms.items())
    return "".join(f"<div>{item}</div>" for item in items)


def _failures(report: Report) -> str:
    failed = report.with_status(FAIL)
    if not failed:
        return ""
    hint = (
        "<p class='soft'>In the order of dependence: what comes first is nearest to the cause.</p>"
        if len(failed) > 1
        else ""
    )
    cards = "\n".join(_failure(o, report) for o in failed)
    return f'<section id="failures"><h2>What failed</h2>{hint}\n{cards}\n</section>'


def _failure(o: Outcome, report: Report) -> str:
    parts = [f"<h3>{escape(o.topic)}: {_breakable(o.name)}</h3>"]
    parts += [f"<p>{escape(o.formula)}</p>"] if o.formula else []
    parts += [f"<pre>{escape(o.message or '(no message)')}</pre>"]
    if o.reproduce:
        parts += ["<h4>The failing example, in Python</h4>", _copyable(o.reproduce)]
    parts += ["<h4>The property again</h4>", _copyable(report.command(o))]
    files = "<br>".join(f"<code>{escape(path)}</code>" for path in o.sources)
    parts += [f"<h4>Where to look</h4><p>{files}</p>"] if files else []
    return f'<article class="card failure">{"".join(parts)}</article>'


def _copyable(text: str) -> str:
    return f'<pre class="copy" title="click to select">{escape(text)}</pre>'


def _rows(outcomes: Iterable[Outcome], compared: bool) -> str:
    lines: list[str] = []
    for topic, group in groupby(outcomes, key=lambda o: o.topic):
        lines.append(f'<tr class="topic"><th colspan="{6 + compared}">{escape(topic)}</th></tr>')
        lines += [_row(o, compared) for o in group]
    return "\n".join(lines)


def _row(o: Outcome, compared: bool) -> str:
    said = o.message if o.status == SKIP else o.worst_example
    before = "" if o.earlier_share is None else share_text(o.earlier_share)
    formula = f'<span class="soft">{escape(o.formula)}</span>' if o.formula else ""
    return (
        f'<tr class="property" id="{_anchor(o)}" data-status="{o.status}">'
        f'<td><span class="pill {o.status}">{o.status}</span></td>'
        f'<td class="name"><code>{_breakable(o.name)}</code>{formula}</td>'
        + _cell("number", "cases", f"{o.cases:,}" if o.cases else "")
        + _cell("number", "worst / bound", share_text(o.worst_share) if o.cases else "")
        + (_cell("number", "before", before) if compared else "")
        + _cell("number", "seconds", f"{o.seconds:.1f}")
        + _cell("example", "", _folded(said) if said else "")
        + "</tr>"
    )


def _folded(text: str) -> str:
    """Two lines of it, and all of it for who clicks."""
    return f"<details><summary><code>{escape(text)}</code></summary></details>"


def _cell(kind: str, label: str, content: str) -> str:
    label = f' data-label="{label}"' if label else ""
    return f'<td class="{kind}{"" if content else " empty"}"{label}>{content}</td>'


def _breakable(name: str) -> str:
    return escape(name).replace("_", "_<wbr>")


def _anchor(o: Outcome) -> str:
    return "property-" + escape(o.nodeid.replace(" ", "_"), quote=True)


def _severity(share: float | None) -> float:
    return math.inf if share is None or math.isnan(share) else share


def _plot(outcomes: Iterable[Outcome]) -> str:
    measured = [o for o in outcomes if o.worst_share is not None]
    if not measured:
        return '<p class="soft">No property of this run measured an error.</p>'
    earlier = [o.earlier_share for o in measured if o.earlier_share is not None]
    axis = _Axis([_severity(share) for share in (*(o.worst_share for o in measured), *earlier)])
    topics = groupby(measured, key=lambda o: o.topic)
    strips = "".join(_strip(axis, topic, list(group)) for topic, group in topics)
    return (
        f'<figure class="card"><div class="strip">{strips}<span></span>{axis.labels()}</div>'
        "</figure>"
    )


def _strip(axis: _Axis, topic: str, outcomes: list[Outcome]) -> str:
    dots = "".join(_ring(axis, o) + _dot(axis, o) for o in outcomes)
    return (
        f'<span>{escape(topic)}</span><svg height="{ROW_HEIGHT}" role="img" '
        f'aria-label="{escape(topic)}: errors as shares of their bounds">{axis.lines()}{dots}</svg>'
    )


def _ring(axis: _Axis, o: Outcome) -> str:
    """Where the dot was in an earlier run."""
    if o.earlier_share is None:
        return ""
    x = axis.position(_severity(o.earlier_share))
    title = f"<title>{escape(o.name)}: {share_text(o.earlier_share)} before</title>"
    return f'<circle class="before" cx="{x:.2f}%" cy="{ROW_HEIGHT // 2}" r="7">{title}</circle>'


def _dot(axis: _Axis, o: Outcome) -> str:
    x, y = axis.position(_severity(o.worst_share)), ROW_HEIGHT // 2
    title = f"<title>{escape(o.name)}: {share_text(o.worst_share)} of its bound</title>"
    cross = "M0 -6 L6 0 L0 6 L-6 0 Z"
    shape = (
        f'<svg x="{x:.2f}%" y="{y}"><path d="{cross}">{title}</path></svg>'
        if o.status == FAIL
        else f'<circle cx="{x:.2f}%" cy="{y}" r="5">{title}</circle>'
    )
    return f'<a href="#{_anchor(o)}">{shape}</a>'


class _Axis:
    """A logarithmic axis of shares, in per cent of the width; what lies beyond is at its end."""

    def __init__(self, shares: list[float]) -> None:
        logs = [math.log10(s) for s in shares if 0 < s < math.inf]
        self.low = max(-5, min(-1, math.floor(min(logs, default=-1))))
        self.high = min(5, max(1, math.ceil(max(logs, default=1))))
        self.below, self.beyond = min(shares) < 10.0**self.low, max(shares) > 10.0**self.high

    def position(self, share: float) -> float:
        log = math.log10(share) if 0 < share < math.inf else (-math.inf, math.inf)[share > 0]
        return 2 + 96 * (min(max(log, self.low), self.high) - self.low) / (self.high - self.low)

    def lines(self) -> str:
        one = self.position(1.0)
        grid = "".join(
            f'<line class="grid" x1="{x:.2f}%" x2="{x:.2f}%" y1="0" y2="100%"/>'
            for x in (self.position(10.0**d) for d in range(self.low, self.high + 1))
        )
        over = f'<rect class="over" x="{one:.2f}%" width="{100 - one:.2f}%" height="100%"/>'
        base = '<line class="base" x1="0" x2="100%" y1="50%" y2="50%"/>'
        bound = f'<line class="bound" x1="{one:.2f}%" x2="{one:.2f}%" y1="0" y2="100%"/>'
        return over + grid + base + bound

    def labels(self) -> str:
        def text(decade: int) -> str:
            name = "bound" if decade == 0 else f"{10.0**decade:g}"
            name = f"≤ {name}" if decade == self.low and self.below else name
            name = f"≥ {name}" if decade == self.high and self.beyond else name
            ends = (self.low, self.high)
            kind = "bound-name" if decade == 0 else "end" if decade in ends else "inner"
            last = decade == self.high
            x, anchor = (100.0, "end") if last else (self.position(10.0**decade), "middle")
            return f'<text class="{kind}" x="{x:.2f}%" y="14" text-anchor="{anchor}">{name}</text>'

        ticks = "".join(text(d) for d in range(self.low, self.high + 1))
        return f'<svg height="18" aria-hidden="true">{ticks}</svg>'
